"""A new study from an export: a codebook to finish and a study that can be checked and run."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from smstudy.engine.fingerprint import digest_file
from smstudy.errors import StudyError
from smstudy.survey.drafting import Draft, draft_variables
from smstudy.survey.exports import read_export

NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,60}")


def draft_study(name: str, export: str) -> Path:
    """Draft a study from an export.

    Parameters
    ----------
    name : str
        Name of the study: small letters, digits, hyphens.
    export : str
        The survey export to begin from; it is left where it is.

    Returns
    -------
    Path
        The new folder `studies/NAME` with `codebook.yml`, `study.yml` and `README.md`.

    Raises
    ------
    StudyError
        If the name cannot be used or is taken.
    DataError
        If the export cannot be read.
    """
    if not NAME.fullmatch(name):
        raise StudyError(f'"{name}" cannot name a study. Use small letters, digits and hyphens, for instance my-study.')
    folder = Path.cwd() / "studies" / name
    if folder.exists():
        raise StudyError(f"{folder} is there already. Choose another name, or delete the folder.")
    source = Path(export).expanduser().resolve()
    drafts = draft_variables(read_export(source))
    pages = _render(name, source, drafts)
    try:
        folder.mkdir(parents=True)
        for file, text in pages.items():
            (folder / file).write_text(text, encoding="utf-8")
    except OSError as problem:
        raise StudyError(f"{folder} cannot be written: {problem.strerror}. Choose a folder you may write to.") from None
    return folder


def _render(name: str, source: Path, drafts: Sequence[Draft]) -> dict[str, str]:
    environment = Environment(
        loader=PackageLoader("smstudy.study", "drafts"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters["quoted"] = lambda text: json.dumps(str(text), ensure_ascii=False)
    scales = answer_scales(drafts)
    values = {
        "name": name,
        "source": source,
        "sha256": digest_file(source),
        "drafts": drafts,
        "scales": scales,
        "scale_of": {d.name: key for key, categories in scales.items() for d in drafts if d.categories == categories},
        "batteries": batteries(drafts),
        "unit": next((d.name for d in drafts if d.kind == "category" and _is_unit(d)), ""),
    }
    return {file: environment.get_template(f"{file}.j2").render(values) for file in ("codebook.yml", "study.yml", "README.md")}


def answer_scales(drafts: Sequence[Draft]) -> dict[str, tuple[tuple[str, str], ...]]:
    """Name the answer scales that several items share."""
    shared = [d.categories for d in drafts if d.kind == "item"]
    twice = [categories for categories in dict.fromkeys(shared) if shared.count(categories) > 1]
    return {f"answers_{i}": categories for i, categories in enumerate(twice, 1)}


def batteries(drafts: Sequence[Draft]) -> list[list[str]]:
    """Runs of at least three neighboring items on one answer scale: likely scales, for a person to sort."""
    runs: list[list[Draft]] = []
    for draft in (d for d in drafts if d.kind == "item"):
        same = runs and runs[-1][-1].categories == draft.categories and _stem(runs[-1][-1]) == _stem(draft)
        runs[-1].append(draft) if same else runs.append([draft])
    return [[d.name for d in run] for run in runs if len(run) >= 3]


def _stem(draft: Draft) -> str:
    return re.sub(r"[_\W]*\d+[a-z]?$", "", draft.name)


def _is_unit(draft: Draft) -> bool:
    return bool(re.search(r"department|unit|team|division|abteilung|bereich", f"{draft.column} {draft.title}", re.IGNORECASE))
