# The words of run.py, for those who have make: make test ARGS="-k alpha"
PYTHON ?= python3

.PHONY: demo test notebooks lab lock

demo test notebooks lab:
	$(PYTHON) run.py $@ $(ARGS)

# After a change of the dependencies in pyproject.toml; ARGS=--upgrade takes the newest versions.
lock:
	.venv/bin/python -m uv pip compile pyproject.toml --universal --all-extras --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --python-version 3.11 \
	  --custom-compile-command "make lock" --quiet --output-file requirements.lock $(ARGS)
	.venv/bin/python .ci/environment.py
