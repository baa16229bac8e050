"""What the base of all results does, on a result made for the purpose."""

import json
from dataclasses import dataclass, field

import matplotlib
import numpy as np
import pandas as pd
import pytest

import smstudy
from smstudy.display import figures
from smstudy.errors import CodebookError, ColumnError, DataError, DisclosureError, EstimationError, StudyError
from smstudy.privacy import Privacy
from smstudy.result import Finding, Pages, Refusal, Result, Rows, attempt, write_record

matplotlib.use("Agg")


@dataclass(frozen=True, kw_only=True, repr=False)
class Plain(Result):
    """Any table as a result."""

    rows: pd.DataFrame
    line: dict = field(default_factory=dict)
    picture = staticmethod(figures.estimates)

    def tidy(self):
        return self.rows.copy()

    def glance(self):
        return self.line


ROWS = pd.DataFrame({
    "term": ["sup", "use"], "n": [40, 3], "estimate": [1 / 3, 0.987654],
    "conf_low": [0.1, 0.8], "conf_high": [0.5, 1.1],
})  # fmt: skip
SMALL = ["0.99", "0.987654", "1.10", "0.80"]


def plain(**changes):
    options = {"title": "T", "rows": ROWS, "labels": {"sup": "Support", "other": "Other"}} | changes
    return Plain(**options)


def test_no_rendering_shows_the_numbers_of_a_hidden_row():
    result = plain()
    documents = [cell.text for row in result.to_docx().tables[0].rows for cell in row.cells]
    for text in (
        result.to_html(), result.to_text(), result.to_latex(), result.to_csv(), write_record(result), repr(result),
        result._repr_html_(), result.alt_text(), " ".join(documents),
    ):  # fmt: skip
        assert not any(number in text for number in SMALL)
    assert "hidden" in result.to_html()


def test_full_precision_is_in_the_record_and_in_csv_only():
    result = plain()
    assert repr(1 / 3) in result.to_csv() and repr(1 / 3) in write_record(result)
    assert repr(1 / 3) not in result.to_html() + result.to_text() + result.to_latex()


def test_a_raised_threshold_hides_more():
    assert plain(privacy=Privacy(min_n=41)).shown()["hidden"].all()


def test_a_glance_about_too_few_is_not_shown():
    for text in (plain(line={"n": 4, "estimate": 0.987654}).to_text(), plain(line={"n": 4, "share": 0.99}).to_html()):
        assert "0.99" not in text and "99 %" not in text
    assert plain(line={"n": 4}).to_record()["glance"] == {}
    assert plain(line={"n": 5}).to_record()["glance"] == {"n": 5}


def test_rows_without_a_count_are_hidden_if_the_glance_is_about_too_few():
    rows = ROWS.drop(columns="n")
    few = plain(rows=rows, line={"n": 9}, privacy=Privacy(min_n=10))
    assert few.shown()["hidden"].all() and few.shown()["estimate"].isna().all() and few.drawn().empty
    assert not any(number in few.to_text() + few.to_csv() + write_record(few) for number in SMALL)
    assert plain(rows=rows, line={"n": 10}, privacy=Privacy(min_n=10)).shown().equals(rows)


def test_only_labels_that_are_used_are_stored():
    assert plain().to_record()["labels"] == {"sup": "Support"}


def test_what_json_does_not_have_becomes_null():
    rows = pd.DataFrame({
        "term": ["a", "b", None], "estimate": [np.inf, -np.inf, np.nan], "n": pd.array([9, None, 9], dtype="Int64"),
        "share": np.array([0.5, 0.5, 0.5], dtype="float32"),
    })  # fmt: skip
    record = json.loads(write_record(plain(rows=rows)))
    assert [row["estimate"] for row in record["tidy"]] == [None, None, None]
    assert [row["n"] for row in record["tidy"]] == [9, None, 9]
    assert [row["share"] for row in record["tidy"]] == [0.5, 0.5, 0.5]


def test_the_place_of_a_result_is_stored():
    assert json.loads(write_record(plain(), order=3))["order"] == 3


def test_findings_are_listed_with_their_severity_and_escaped():
    page = plain(findings=(Finding(name="x", text="<b> & co", severity="serious"),)).to_html()
    assert '<li class="serious">&lt;b&gt; &amp; co</li>' in page
    assert "[serious] <b> & co" in plain(findings=(Finding(name="x", text="<b> & co", severity="serious"),)).to_text()


def test_intervals_are_headed_by_their_level():
    assert "90% CI" in plain(line={"conf_level": 0.9}).to_text()


def test_a_result_of_hidden_rows_is_drawn_in_words():
    axes = plain(rows=ROWS.assign(n=2)).plot()
    assert "Nothing to draw" in axes.texts[0].get_text()
    matplotlib.pyplot.close(axes.get_figure())
    assert "nothing to draw" in plain(rows=ROWS.assign(n=2)).alt_text()


def test_a_result_without_a_picture_says_so():
    @dataclass(frozen=True, kw_only=True, repr=False)
    class Bare(Result):
        def tidy(self):
            return ROWS.copy()

    with pytest.raises(DataError, match="A Bare has no picture"):
        Bare(title="T").plot()


def test_it_draws_on_the_axes_it_is_given():
    figure, axes = matplotlib.pyplot.subplots()
    assert plain().plot(axes) is axes
    matplotlib.pyplot.close(figure)


def test_rows_show_their_shape_only():
    rows = Rows(pd.DataFrame({"name": ["secret"]}))
    assert "secret" not in f"{rows!r} {rows}" and "1 rows x 1 columns" in repr(rows)
    assert not hasattr(rows, "_repr_html_")


def test_a_result_cannot_be_changed():
    with pytest.raises(AttributeError):
        plain().title = "other"


def test_an_analysis_that_refuses_leaves_its_reason():
    def refuse(data: object) -> Result:
        raise EstimationError("Nothing varies. Ask something else.")

    made = attempt(refuse, plain())
    assert isinstance(made, Refusal) and made.reason == made.alt_text() == "Nothing varies. Ask something else."
    assert made.tidy()["reason"].tolist() == [made.reason] and made.reason in made.to_html()
    words = " ".join(text.get_text() for text in made.plot().texts)
    assert " ".join(words.split()) == made.reason


def test_an_analysis_that_answers_is_given_back_as_it_is():
    made = plain()
    assert attempt(lambda result: result, made) is made


@pytest.mark.parametrize("error", [CodebookError, ColumnError, StudyError])
def test_a_mistake_of_the_caller_is_no_refusal(error):
    with pytest.raises(error):
        attempt(lambda: (_ for _ in ()).throw(error("no such scale")))


@pytest.mark.parametrize("error", [DataError, DisclosureError, EstimationError])
def test_what_data_estimates_or_protection_do_not_allow_is_a_refusal(error):
    made = attempt(lambda: (_ for _ in ()).throw(error("Too few people. Put departments together.")))
    assert isinstance(made, Refusal) and "Put departments together" in made.to_html()


@pytest.mark.parametrize(
    ("analysis", "options"),
    [
        (smstudy.importance, {}),
        (smstudy.necessity, {}),
        (smstudy.moderate, {"formula": "adoption ~ leadership * redines"}),
        (smstudy.nesting, {"group": "unit"}),
        (smstudy.multilevel, {"group": "unit"}),
    ],
)
def test_a_column_that_is_not_there_is_no_refusal(analysis, options):
    survey = smstudy.open_study("quarterly-pulse").survey("clean")
    formula = options.pop("formula", "adoption ~ leadership + redines")
    with pytest.raises(ColumnError, match='"redines".*Did you mean "readiness"'):
        attempt(analysis, formula, survey, **options)
    with pytest.raises(ColumnError, match='"redines"'):
        attempt(smstudy.mediate, survey, outcome="adoption", driver="leadership", mediators=["redines"])


def test_pages_are_a_mapping_shown_in_order(monkeypatch):
    drawn = []
    monkeypatch.setattr(Plain, "plot", lambda self: drawn.append(self.title))
    pages = Pages({"b": plain(title="second name"), "a": plain(title="first name")})
    assert list(pages) == ["b", "a"] and pages["a"].title == "first name"
    assert repr(pages).index("second name") < repr(pages).index("first name")
    pages.plot()
    assert drawn == ["second name", "first name"]


def test_exports_for_papers_say_n_and_warnings_and_leave_readings_out():
    rng = np.random.default_rng(1)
    people = pd.DataFrame({"x": rng.normal(size=25), "y": rng.normal(size=25)})
    fit = smstudy.regress("y ~ x", people)
    paper, word = fit.to_latex(), fit.to_docx()
    assert "n: 25" in paper and "too little data" in paper and "Reading" not in paper and "Reading" in fit.to_text()
    assert "n: 25" in word.paragraphs[-1].text
