"""The page: inert, valid, complete, and honest about what it hides."""

import re
from html.parser import HTMLParser
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest

from smstudy.engine.manifest import write_manifest
from smstudy.errors import DisclosureError
from smstudy.models.groups import by_group, changes
from smstudy.models.regression import regress
from smstudy.study import report
from smstudy.study.answer import Answer
from smstudy.study.definition import Hypothesis, Study
from smstudy.study.hypotheses import decide
from smstudy.study.inputs import Inputs
from smstudy.study.report import COLUMNS, publish_report, render_report
from smstudy.study.session import _store
from smstudy.survey.codebook import Codebook
from smstudy.survey.dataset import Survey
from smstudy.vocabulary import TIDY

matplotlib.use("Agg")
EVIL = '<script>alert("1")</script><img src=x onerror=alert(2)>'
VOID = {"meta", "img", "br", "hr", "link", "input"}
ALLOWED = {
    "lang",
    "charset",
    "name",
    "content",
    "http-equiv",
    "class",
    "aria-label",
    "scope",
    "src",
    "alt",
    "role",
    "tabindex",
}


def survey(words, *, seed=1, wave="2"):
    rng = np.random.default_rng(seed)
    units = [f"{words} one"] * 20 + [f"{words} two"] * 15 + [f"{words} three"] * 3
    answers = pd.DataFrame({"unit": units, "use": rng.normal(3, 1, 38), "support": rng.normal(3, 1, 38)})
    numbers = [{"name": name, "title": f"{words} {name}", "kind": "number"} for name in ("use", "support")]
    unit = {"name": "unit", "title": f"{words} unit", "kind": "unit", "categories": [{"value": "1", "label": "x"}]}
    book = Codebook.model_validate({"title": "T", "variables": [unit, *numbers]})
    nothing = pd.DataFrame(columns=["row", "variable", "reason"])
    return Survey(answers=answers, codebook=book, missing=nothing, wave=wave)


def study(words):
    return Study(
        title=f"{words} title", question=f"{words} question?", organization=f"{words} organization", wave="2",
        waves={"2": {"file": "x.csv"}}, notebooks=[{"name": "30-groups"}, {"name": "40-drivers"}, {"name": "own"}],
        cite=f"{words} source", synthetic=True,
        hypotheses=[
            {"id": "H1", "statement": f"{words} statement.", "result": "40-drivers/drivers", "term": "support"},
        ],
    )  # fmt: skip


def make_run(folder: Path, words: str) -> str:
    now, then = survey(words), survey(words, seed=2, wave="1")
    drivers = regress("use ~ support", now)
    made = {
        ("30-groups", "groups"): by_group(now, ["use", "support"], "unit"),
        ("30-groups", "changes"): changes(now, then, ["use", "support"]),
        ("40-drivers", "drivers"): drivers,
        ("own", "again"): drivers,
        ("90-summary", "verdicts"): decide(
            [Hypothesis(**study(words).hypotheses[0].model_dump())], {"40-drivers/drivers": drivers.to_record()}
        ),
        ("90-summary", "answer"): Answer(title="Q", sentences=(("a", f"{words} sentence."), ("b", "Second."))),
    }
    for (notebook, name), result in made.items():
        stage = folder / "stage" / notebook
        _store(stage, name, result)
        for kind in ("results", "tables", "figures"):
            for path in (stage / kind).glob(f"{name}.*"):
                target = folder / kind / notebook / path.name
                target.parent.mkdir(parents=True, exist_ok=True)
                path.rename(target)
    identity = {"study": "s", "title": "t", "organization": words, "wave": "2", "data": {"responses": "0" * 64}}
    manifest = {"identity": identity, "result_digest": "1" * 64, "environment": {"python": "3.11"}, "notebooks": {}}
    write_manifest(folder, manifest, outputs=False)
    given = Inputs(responses=Path("x.csv"), previous_responses=None, frame=None, wave="2", previous_wave="1")
    return render_report(folder, study(words), given)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("run"), "Plain")


@pytest.fixture(scope="module")
def evil(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("evil"), EVIL)


class Reader(HTMLParser):
    """Opens and closes every tag in its turn; keeps tags with attributes and all text."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.open, self.text = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        assert len({name for name, _ in attrs}) == len(attrs), tag
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.mark.parametrize("words", ["page", "evil"])
def test_every_tag_is_closed_in_its_turn(words, request):
    reader = Reader(request.getfixturevalue(words))
    assert reader.open == []
    for one in ("html", "head", "body", "main", "h1", "title"):
        assert len(reader.all(one)) == 1, one


def test_markup_from_study_and_codebook_is_text(evil):
    reader = Reader(evil)
    assert {tag for tag, _ in reader.tags} & {"script", "iframe", "object", "embed", "link", "base", "form"} == set()
    assert {name for _, attributes in reader.tags for name in attributes} <= ALLOWED
    text = "".join(reader.text)
    for what in ("title", "question?", "organization", "source", "statement.", "sentence.", "one", "use"):
        assert f"{EVIL} {what}" in text, what


@pytest.mark.parametrize("words", ["page", "evil"])
def test_the_page_runs_nothing_and_asks_no_network(words, request):
    reader = Reader(request.getfixturevalue(words))
    policy = [a["content"] for a in reader.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]
    assert all(image["src"].startswith("data:image/svg+xml;base64,") for image in reader.all("img"))
    style = re.findall(r"<style>(.*?)</style>", request.getfixturevalue(words), re.DOTALL)
    assert not any(word in " ".join(style) for word in ("url(", "@import", "expression"))


def test_the_policy_comes_before_anything_it_guards(page):
    assert page.index("Content-Security-Policy") < page.index("<title>") < page.index("<style>")


def test_readers_are_told_language_width_and_character_set(page):
    reader = Reader(page)
    assert reader.all("html") == [{"lang": "en"}]
    metas = reader.all("meta")
    assert {"charset": "utf-8"} in metas and any(meta.get("name") == "viewport" for meta in metas)


def test_headings_step_down_one_level_at_a_time(page):
    levels = [int(tag[1]) for tag, _ in Reader(page).tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:], strict=False))


def test_every_picture_has_words_and_every_wide_table_its_own_box(page):
    reader = Reader(page)
    assert reader.all("img") and all(len(image["alt"]) > 20 for image in reader.all("img"))
    boxes = page.count('<div class="scroll" role="region"')
    assert boxes == page.count("<table>") + page.count("<img")
    assert all(a.get("aria-label") and a.get("tabindex") == "0" for a in reader.all("div"))
    assert all(a.get("scope") == "col" for a in reader.all("th"))


def test_rows_are_as_long_as_their_heading(page):
    for table in re.findall(r"<table>.*?</table>", page, re.DOTALL):
        head, *rows = re.findall(r"<tr>.*?</tr>", table, re.DOTALL)
        assert {row.count("<td") for row in rows} <= {head.count("<th")}


def test_synthetic_data_are_called_so_first(page):
    text = "".join(Reader(page).text)
    assert text.index("Synthetic data.") < text.index("Plain title", text.index("Synthetic"))


def test_what_is_hidden_is_said_with_the_reason_and_not_among_the_warnings(page):
    part = page[page.index("What was hidden") : page.index("How it was done")]
    assert "needed so that such a group does not follow" in part
    assert "nothing had to be hidden" not in part
    keep = page[page.index("What to keep in mind") : page.index("What was hidden")]
    assert "groups are hidden" not in keep


def test_the_answer_and_the_verdicts_come_before_the_numbers(page):
    text = "".join(Reader(page).text)
    assert text.index("Plain sentence. Second.") < text.index("What the data allow to say") < text.index("Departments")


def test_a_notebook_of_the_studys_own_has_its_name_as_heading(page):
    assert "<h2>own</h2>" in page


def test_leaders_see_no_test_statistics(page):
    headings = set(re.findall(r"<th[^>]*>([^<]*)</th>", page))
    assert headings & {"Driver", "Mean now", "95% interval", "In words"}
    assert not headings & {"Term", "Statistic", "df", "SE", "VIF", "p", "p (corrected)", "Estimate", "M"}


def test_plain_headings_are_for_columns_of_the_vocabulary():
    assert all(set(columns) <= set(TIDY) for columns in COLUMNS.values())


def test_a_column_that_says_the_same_in_every_row_is_left_out(page):
    part = page[page.index("Change from wave 1 to wave 2") :]
    head = part[part.index("<thead>") : part.index("</thead>")]
    assert "Score" in head and "Group" not in head


def test_the_same_results_give_the_same_page(page, tmp_path):
    assert make_run(tmp_path, "Plain") == page


def test_nothing_is_published_where_a_file_shows_somebody(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "render_report", lambda *given: "<p>fine</p>")
    monkeypatch.setattr(report, "read_study", lambda folder: None)
    monkeypatch.setattr(report, "_secrets", lambda folder, inputs: {"my boss shouts at us"})
    (tmp_path / "results").mkdir()
    publish_report(tmp_path, tmp_path, None)
    (tmp_path / "results" / "x.json").write_text('{"t": "My boss shouts at us!"}', encoding="utf-8")
    with pytest.raises(DisclosureError, match="x.json") as raised:
        publish_report(tmp_path, tmp_path, None)
    assert "boss" not in str(raised.value)
