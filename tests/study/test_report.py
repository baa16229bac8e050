"""The page: inert, valid, complete, and honest about what it hides."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest

from smstudy.display import rules
from smstudy.engine.manifest import write_manifest
from smstudy.errors import DisclosureError
from smstudy.models.differences.groups import by_group, changes
from smstudy.models.regressions.regression import regress
from smstudy.study import report
from smstudy.study.answer import Answer
from smstudy.study.definition import Hypothesis, Study
from smstudy.study.hypotheses import decide
from smstudy.study.inputs import Inputs
from smstudy.study.ledger import FILE, KEY
from smstudy.study.report import publish_report, render_report
from smstudy.study.session import _store
from smstudy.study.wording import COLUMNS
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
        keep_until="2030-12-31", waves={"2": {"file": "x.csv"}},
        notebooks=[{"name": "30-groups"}, {"name": "40-drivers"}, {"name": "own"}],
        cite=f"{words} source", synthetic=True,
        hypotheses=[
            {"id": "H1", "statement": f"{words} statement.", "result": "40-drivers/drivers", "term": "support"},
        ],
    )  # fmt: skip


def given():
    return Inputs(responses=Path("x.csv"), previous_responses=None, frame=None, wave="2", previous_wave="1")


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
    return render_report(folder, study(words), given())


def with_record(folder: Path, notebook: str, kind: str, rows: list[dict], **more) -> str:
    """The page of a run in which a notebook stored one result of a kind."""
    make_run(folder, "Plain")
    cells = [[str(value) for value in row.values()] for row in rows]
    headings = list(rows[0]) if rows else ["term"]
    table = {"title": f"Title of {kind}", "headings": headings, "rows": cells, "numeric": [False] * len(headings)}
    record = {
        "kind": kind, "title": table["title"], "note": "", "findings": [], "labels": {}, "glance": {}, "order": 0,
        "columns": headings, "layout": headings, "tidy": rows, "table": {**table, "note": ""}, **more,
    }  # fmt: skip
    path = folder / "results" / notebook / "one.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record), encoding="utf-8")
    return render_report(folder, study("Plain"), given())


def block_of(page: str, kind: str) -> str:
    """What stands under the heading of that result."""
    part = page[page.index(f"<h3>Title of {kind}</h3>") :]
    return part[: part.index("</section>")]


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


GRADES = [
    {"term": "response", "estimate": None, "reading": "cannot tell", "reason": "cannot tell: no head counts"},
    {"term": "item_missing", "estimate": 0.0565, "reading": "C", "reason": "somebody (2000)"},
    {"term": "careless", "estimate": None, "reading": "A", "reason": "somebody (2001)"},
    {"term": "burden", "estimate": 4.8, "reading": "A", "reason": "somebody (2002)"},
    {"term": "hazards", "estimate": 1.0, "reading": "B", "reason": "there is no attention check; somebody (2003)"},
    {"term": "overall", "estimate": None, "reading": "B", "reason": "second worst of 4 parts"},
]


def test_the_grade_card_has_a_unit_or_words_in_every_cell(tmp_path):
    part = block_of(with_record(tmp_path, "10-quality", "QualityGrade", GRADES), "QualityGrade")
    cells = re.findall(r"<td>(.*?)</td>", part)
    assert cells == [
        "response", "not known", "cannot tell: no head counts", "item_missing", "6 %", "C", "careless", "hidden", "A",
        "burden", "4.8 minutes", "A", "hazards", "1: there is no attention check", "B",
        "overall", "from the parts above", "B",
    ]  # fmt: skip
    assert "A is good, E is poor. Overall: second worst of 4 parts." in part


def test_the_fit_of_a_factor_model_is_told_in_words_beside_its_picture(tmp_path):
    fit = {"n": 300, "cfi": 0.97, "rmsea": 0.12, "srmr": 0.03, "tli": 0.5}
    rows = [{"parameter": "loading", "term": "a", "estimate": 0.7}]
    part = block_of(with_record(tmp_path, "20-scales", "FactorModel", rows, glance=fit), "FactorModel")
    cells = re.findall(r"<td.*?>(.*?)</td>", part)
    assert cells[1::3] == [".97", ".12", ".03"] and cells[2::3] == ["close fit", "poor fit", "close fit"]


def test_the_page_says_of_each_scale_whether_its_means_may_be_compared(tmp_path):
    steps = [
        {"scale": "use", "step": "metric", "verdict": "supported", "reading": "Fine.", "reason": "",
         "means": "allowed"},
        {"scale": "fear", "step": "metric", "verdict": "supported", "reading": "Fine.", "reason": "", "means": "no"},
        {"scale": "fear", "step": "scalar", "verdict": "not supported", "reading": "It is not.", "reason": "Why.",
         "means": "not allowed"},
    ]  # fmt: skip
    part = block_of(with_record(tmp_path, "20-scales", "Invariance", steps), "Invariance")
    cells = re.findall(r"<td.*?>(.*?)</td>", part)
    assert cells == ["use", "allowed", "The questions mean the same.", "fear", "no", "It is not. Why."]


def test_the_pages_of_scales_are_folded_and_summed_up_in_a_sentence(tmp_path):
    rows = [
        {"term": name, "mean": 3.0, "item_rest": 0.5, "verdict": verdict, "reason": "Why."}
        for name, verdict in {"a": "fits", "b": "fits", "c": "does not fit", "d": "cannot tell"}.items()
    ]
    page = with_record(tmp_path, "20-scales", "Construct", rows, labels={"c": "I like it."})
    assert "<details><summary><h3>Title of Construct</h3></summary>" in page
    words = "2 of 4 statements fit their scale. Not fitting: I like it. Too few answers to tell: d. Unfold a scale"
    assert words in page


def test_a_refused_analysis_says_why_on_the_page(tmp_path):
    rows = [{"reason": "There is no previous wave."}]
    assert "There is no previous wave." in block_of(with_record(tmp_path, "20-scales", "Refusal", rows), "Refusal")


def test_no_hazard_is_said_in_words(tmp_path):
    rows = [{**GRADES[4], "estimate": 0.0}, GRADES[5]]
    part = block_of(with_record(tmp_path, "10-quality", "QualityGrade", rows), "QualityGrade")
    assert "<td>none</td>" in part


@pytest.mark.parametrize(
    ("kind", "rows", "sentence"),
    [
        ("Segmentation", [{"segment": "Segment 1", "n": 38}], "everybody counts as one group"),
        ("Distribution", [], "There is nothing to show here."),
        ("WaveChanges", [], "There is no previous wave"),
        ("GroupScores", [{"group": "A", "n": None, "hidden": True}], "Everything in this table is hidden"),
    ],
)
def test_a_table_that_tells_nothing_is_one_sentence(tmp_path, kind, rows, sentence):
    part = block_of(with_record(tmp_path, "50-segments", kind, rows), kind)
    assert sentence in part
    assert "<table" not in part and part.count("<p") == 1


def test_a_profile_of_one_group_is_left_out_with_its_empty_section(tmp_path):
    rows = [{"term": "use", "segment": "Segment 1", "mean": 3.0, "std_mean": 0.0}]
    page = with_record(tmp_path, "50-segments", "Profile", rows)
    assert "Title of Profile" not in page and "Kinds of respondents" not in page


def test_the_rule_of_the_verdicts_and_their_correction_stand_below_them(page):
    part = page[page.index("What the data allow to say") : page.index("Departments and change")]
    for words in ("Supported: ", "Not supported: ", "Too little data: ", "Not tested: ", "nothing is corrected for"):
        assert words in part, words


def test_a_table_of_changes_says_for_how_many_comparisons_it_is_corrected(page):
    part = page[page.index("Change from wave 1 to wave 2") :]
    assert "corrected for the 2 comparisons of this table" in part[: part.index("</section>")]


def test_the_yardstick_of_the_words_stands_below_the_drivers(page):
    part = page[page.index("What goes with the outcome") :]
    part = part[: part.index("</section>")]
    for word in rules.STANDARDIZED.words:
        assert word in part, word
    assert "negligible below .10, small from .10, medium from .20 and large from .30" in part


def test_the_page_tells_data_protection_purpose_ledger_and_that_nothing_left(page):
    part = page[page.index("data protection</h3>") : page.index("How it was done")]
    text = "".join(Reader(part.removeprefix("data protection</h3>")[: part.index("</dl>")]).text)
    for words in ("Plain title: Plain question?", "Plain organization", "x.csv", FILE, KEY, "min_n: 10", "Nothing."):
        assert words in text, words


def test_the_page_names_who_answers_for_the_study_and_until_when_answers_are_kept(page):
    part = page[page.index("data protection</h3>") : page.index("How it was done")]
    assert "Not stated: write &#34;contact:&#34; in study.yml." in part and "2030-12-31" in part


def test_columns_that_are_treated_alike_stand_in_one_row(tmp_path):
    rows = [{"term": name, "action": "used", "reason": "counted"} for name in ("Q1", "Q2")]
    rows = [{"term": "IP", "action": "dropped", "reason": "address"}, *rows]
    page = with_record(tmp_path, "10-quality", "ProtectionSheet", rows, note="Told above.")
    assert re.findall(r"<td>(.*?)</td>", page[page.index("Title of ProtectionSheet") :]) == [
        "dropped", "address", "IP", "used", "counted", "Q1, Q2",
    ]  # fmt: skip
    assert "Told above." not in page
