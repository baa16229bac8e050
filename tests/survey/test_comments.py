"""Open answers are shown from large groups only, scrubbed, in an order that says nothing, beside nothing else."""

import pandas as pd
import pytest

from smstudy.errors import DataError
from smstudy.privacy import Privacy
from smstudy.survey.codebook import Codebook
from smstudy.survey.comments import likely_names, scrub, verbatims
from smstudy.survey.dataset import Survey

BOOK = Codebook.model_validate(
    {
        "title": "Comments",
        "variables": [
            {"name": "unit", "kind": "unit", "categories": [
                {"value": "S", "label": "Sales", "aliases": ["Sls"]}, {"value": "I", "label": "IT Support"},
                {"value": "L", "label": "Legal"},
            ]},
            {"name": "q", "kind": "number"},
            {"name": "comment", "title": "What would help?", "kind": "text"},
        ],
    }
)  # fmt: skip
PLAIN = [f"we need more time for answers in {word} channels" for word in (
    "public", "private", "quiet", "busy", "small", "large", "new", "old", "open", "closed", "local", "shared",
    "slow", "quick", "noisy", "long", "short", "round", "flat", "deep",
)]  # fmt: skip


def survey(sales, it=(), legal=(), privacy=None):
    rows = [("Sales", text) for text in sales] + [("IT Support", text) for text in it] + [("Legal", t) for t in legal]
    answers = pd.DataFrame(rows, columns=["unit", "comment"]).assign(q=17.0)
    nothing = pd.DataFrame(columns=["row", "variable", "reason"])
    return Survey(answers=answers, codebook=BOOK, missing=nothing, privacy=privacy or Privacy())


def shown(result):
    return [row["comment"] for row in result.to_record()["tidy"] if row["comment"] is not None]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("write to jo.doe+x@mail.example.co.uk today", "write to [e-mail] today"),
        ("write to jo.doe (at) example (dot) org", "write to [e-mail]"),
        ("call 0170/123 45 67 or +49 (30) 901820-0 now", "call [phone] or [phone] now"),
        ("pay DE89 3704 0044 0532 0130 00 please", "pay [account] please"),
        ("my staff number is AB-12345 or 0048213", "my staff number is [number] or [number]"),
        ("since 2019 it got better", "since 2019 it got better"),
        ("see https://intra.example.org/x?id=7 and intranet.example.de/hr", "see [link] and [link]"),
        ("thanks to @anna_b and @Tom", "thanks to [mention] and [mention]"),
        ("thanks to Anna Maria von Berg for it", "thanks to [name] for it"),
        ("ask Dr. Ito or Frau Müller-Lüdenscheid", "ask [name] or [name]"),
        ("O'Brien Smith knows", "[name] knows"),
        ("The IT Support is slow, sls too", "The [department] is slow, [department] too"),
        ("nothing to hide here", "nothing to hide here"),
    ],
)
def test_what_identifies_people_is_masked(text, masked):
    assert scrub(text, units=["Sales", "Sls", "IT Support"]) == masked


def test_single_names_are_masked_however_many_people_use_them():
    texts = ["I told Sandra so", "Sandra never listens", *["we wrote to Sandra a lot"] * 9, "Leaders help in May"]
    result = verbatims(survey([*texts, "our leaders help the HR", *PLAIN]), "comment", seed=1)
    assert not any("Sandra" in text for text in shown(result))
    assert {"Leaders help in May", "our leaders help the HR", "[name] never listens"} <= set(shown(result))


def test_words_of_the_questionnaire_are_no_names():
    texts = ["we use Yammer here", "ask Yammer", "ask Tom"]
    assert likely_names(texts, ["Yammer"]) == {"Tom"}


def test_nine_comments_are_too_few_and_ten_are_enough():
    nine = verbatims(survey(PLAIN[:9], it=PLAIN[9:]), "comment", by="unit", seed=1)
    record = nine.to_record()["tidy"]
    assert [row["group"] for row in record if row["hidden"]] == ["Sales"]
    assert sorted(shown(nine)) == sorted(PLAIN[9:])
    assert shown(verbatims(survey(PLAIN[:9]), "comment", seed=1)) == []
    assert len(shown(verbatims(survey(PLAIN[:10]), "comment", seed=1))) == 10


def test_respondents_without_a_comment_do_not_count():
    assert shown(verbatims(survey([*PLAIN[:9], None, " ", None]), "comment", seed=1)) == []


def test_a_raised_threshold_holds():
    data = survey(PLAIN[:15], privacy=Privacy(comment_min_n=16))
    assert shown(verbatims(data, "comment", seed=1)) == []


def test_the_order_follows_from_the_words_and_the_seed_alone():
    there, back = survey(PLAIN), survey(PLAIN[::-1])
    assert shown(verbatims(there, "comment", seed=1)) == shown(verbatims(back, "comment", seed=1))
    assert shown(verbatims(there, "comment", seed=1)) != shown(verbatims(there, "comment", seed=2))
    assert shown(verbatims(there, "comment", seed=1)) != sorted(PLAIN)


def test_no_other_variable_stands_beside_a_comment():
    for by, columns in ((None, ["comment"]), ("unit", ["group", "comment"])):
        assert list(verbatims(survey(PLAIN), "comment", by=by, seed=1).tidy()) == columns


def test_a_comment_of_which_little_is_left_is_left_out_and_not_counted():
    result = verbatims(survey([*PLAIN[:12], "Ann Lee", "jo@example.org"]), "comment", seed=1)
    assert sorted(shown(result)) == sorted(PLAIN[:12])
    told = [finding.text for finding in result.findings if finding.name == "comments_hidden"]
    assert told and told[0].startswith("Some comments") and "2" not in told[0]


def test_a_group_that_all_tables_hide_is_hidden_here_too():
    data = survey(PLAIN, it=PLAIN, privacy=Privacy().closing([("unit", "Sales")]))
    assert {row["group"] for row in verbatims(data, "comment", by="unit", seed=1).to_record()["tidy"]} == {
        "Sales", "IT Support",
    }  # fmt: skip
    assert shown(verbatims(data, "comment", by="unit", seed=1)) == []


def test_comments_are_escaped_at_the_last_step():
    evil = "<img src=x onerror=alert> is what we need"
    result = verbatims(survey([*PLAIN, evil, "=cmd is what we need"]), "comment", seed=1)
    assert "<img" not in result.to_html() and "&lt;img" in result.to_html()
    assert "'=cmd" in result.to_csv()
    assert "Masking names is incomplete" in result.to_html()


def test_only_open_answers_are_verbatims():
    with pytest.raises(DataError, match="kind text"):
        verbatims(survey(PLAIN), "q", seed=1)
    with pytest.raises(DataError, match='Did you mean "comment"'):
        verbatims(survey(PLAIN), "coment", seed=1)
