"""Open answers that may be shown: only from large groups, scrubbed, in random order, beside no other variable."""

from __future__ import annotations

import re
from calendar import day_name, month_name
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from smstudy.display.prose import plural
from smstudy.errors import DataError
from smstudy.result import Finding, Result
from smstudy.survey.dataset import Survey, need_survey
from smstudy.survey.disclosure import group_names, hidden_groups
from smstudy.survey.scanning import IBAN, scan_text

LEAST_WORDS = 2
CALENDAR = (*day_name, *month_name, "I")
NAME, MARK = "[name]", re.compile(r"\[[a-z -]+\]")
WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
SENTENCE_END = re.compile(r"(?:^|[.!?:;…\n\"“(])\s*$")
TITLE = re.compile(
    r"\b(?:Mr|Mrs|Ms|Miss|Dr|Prof|Professor|Herrn?|Frau|Mme|Mlle|Monsieur|Madame|Sr|Sra|Señora?|Signora?)\b\.?\s+"
    r"(?:(?:Dr|Prof)\.?\s+)*\w[\w'’-]*(?:\s+[A-ZÀ-ÞĀ-Ž][\w'’-]*)*"
)
NAME_PART = r"(?:[A-Z]['’])?[A-ZÀ-ÞĀ-Ž][^\W\d_]+(?:['’-][A-ZÀ-ÞĀ-Ž]?[^\W\d_]+)*"
FULL_NAME = re.compile(rf"\b{NAME_PART}(?:\s+(?:(?:von|van|de|da|del|der|den|di|la|le|bin|al)\s+)*{NAME_PART})+")
PATTERNS = (
    (re.compile(r"\b(?:https?://|www\.)\S+", re.IGNORECASE), "[link]"),
    (re.compile(r"[\w.+%-]+\s?(?:@|\(at\)|\[at\])\s?[\w-]+(?:\s?(?:\.|\(dot\)|\[dot\])\s?[\w-]+)+", re.IGNORECASE),
     "[e-mail]"),
    (re.compile(r"\b(?:[\w-]+\.)+(?:com|org|net|de|eu|fr|es|it|uk|ch|at|nl|io|info)\b(?:/\S*)?", re.IGNORECASE),
     "[link]"),
    (re.compile(r"(?<![\w@])@[\w.-]*\w"), "[mention]"),
    (IBAN, "[account]"),
    (re.compile(r"(?<![\w+])(?:(?:\+|00)[1-9](?:[\s()./-]*\d){6,13}|\(?0\d{2,5}\)?[\s/.-]+\d(?:[\s./-]*\d){3,9})(?!\w)"),
     "[phone]"),
    (re.compile(r"\b(?!(?:19|20)\d\d\b)(?:[A-Za-z]{1,4}[-_/]?\d{3,}|\d{4,})(?:[-/]?\w+)*\b"), "[number]"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, repr=False)
class Verbatims(Result):
    """Open answers as they may be shown.

    Attributes
    ----------
    rows : DataFrame
        group (if asked for) and comment, in random order within a group; hidden groups have no comment.
    """

    rows: pd.DataFrame = field(repr=False)

    def tidy(self) -> pd.DataFrame:
        """One row per comment, and one per hidden group."""
        return self.rows.copy()

    def alt_text(self) -> str:
        """What a picture would show; there is none."""
        return self.title


def verbatims(survey: Survey, variable: str, *, by: str | None = None, seed: int) -> Verbatims:
    """Show what respondents wrote, where the group is large enough and what identifies people is masked.

    Parameters
    ----------
    survey : Survey
        Clean answers.
    variable : str
        Variable of kind text.
    by : str, optional
        Variable that says which group a respondent belongs to; comments are then shown group by group.
    seed : int
        Start of the random order.

    Returns
    -------
    Verbatims
        Comments of groups with at least `comment_min_n` of them. Addresses, telephone, account and other numbers, and
        what looks like a name or another department are replaced by words in square brackets; a comment of which too
        little is left, or in which something personal remains, is left out.

    Raises
    ------
    DataError
        If the variable is not there or is no open answer.

    Notes
    -----
    Masking names is incomplete: nicknames, names in lower case, rare events and a way of writing can still tell who
    wrote. Somebody who knows the people must read the comments before they are passed on. Words with a capital that the
    questionnaire does not use are taken for names, so in a language that writes nouns with a capital much is masked.
    """
    survey = need_survey(survey, "verbatims")
    comments = _comments(survey, variable)
    groups = group_names(survey, by).loc[comments.index] if by else pd.Series("", index=comments.index)
    hidden = _hidden(survey, groups, by)
    scrubbed = _scrubbed(comments, survey)
    kept = scrubbed[_fit(scrubbed) & ~groups.isin(hidden)]
    rows = _rows(kept, groups.loc[kept.index], hidden, np.random.default_rng(seed))
    return Verbatims(
        title=survey.codebook.labels.get(variable, variable),
        note=(
            f"Answers in respondents' own words, in random order, from groups with at least "
            f"{survey.privacy.comment_min_n} of them. Square brackets stand for what was masked."
        ),
        findings=_findings(int((~groups.isin(hidden)).sum()) - len(kept), len(hidden), survey),
        labels=survey.codebook.labels,
        privacy=survey.privacy,
        rows=rows if by else rows.drop(columns="group"),
    )


def scrub(text: str, *, names: Iterable[str] = (), units: Iterable[str] = ()) -> str:
    """Replace what identifies people: addresses, numbers, names with a title or a surname, and given words.

    Parameters
    ----------
    text : str
        What somebody wrote.
    names : iterable of str
        Single words to mask as names.
    units : iterable of str
        Names of departments to mask.

    Examples
    --------
    >>> scrub("Ask Ann Lee (ann.lee@example.org, +49 170 1234567) or Dr. Ito, staff no. 0048213.")
    'Ask [name] ([e-mail], [phone]) or [name], staff no. [number].'
    """
    for pattern, mark in PATTERNS:
        text = pattern.sub(mark, text)
    text = _mask(text, units, "[department]")
    text = TITLE.sub(NAME, text)
    text = FULL_NAME.sub(lambda found: _keep_opening(found, text), text)
    return _mask(text, names, NAME)


def _keep_opening(found: re.Match, text: str) -> str:
    """Mask a run of capitalized words; the word that opens a sentence stays, unless it is all but the last name."""
    words = found.group().split()
    opens = SENTENCE_END.search(text[: found.start()]) is not None
    return f"{words[0]} {NAME}" if opens and len(words) > 2 else NAME


def _mask(text: str, words: Iterable[str], mark: str) -> str:
    wanted = sorted({word for word in words if word.strip()}, key=len, reverse=True)
    if not wanted:
        return text
    return re.sub(rf"(?<!\w)(?:{'|'.join(map(re.escape, wanted))})(?!\w)", mark, text, flags=re.IGNORECASE)


def _comments(survey: Survey, variable: str) -> pd.Series:
    column = survey.column(variable)
    if survey.codebook.variable(variable).kind != "text":
        raise DataError(f'"{variable}" is no open answer. Name a variable of kind text.')
    words = column.dropna().astype(str).str.split().str.join(" ")
    return words[words != ""]


def _hidden(survey: Survey, groups: pd.Series, by: str | None) -> list[str]:
    """Groups with too few comments, and those that every table hides."""
    sizes = groups.value_counts()
    few = set(sizes.index[sizes < survey.privacy.comment_min_n])
    return sorted(few | (set(hidden_groups(survey, by)) if by else set()))


def _unit_names(survey: Survey) -> set[str]:
    """Every department by all its names; beside a comment even the own one says where the writer sees the others."""
    categories = [category for variable in survey.codebook.of_kind("unit") for category in variable.categories]
    return {name for category in categories for name in (category.label, *category.aliases)}


def _scrubbed(comments: pd.Series, survey: Survey) -> pd.Series:
    units, names = _unit_names(survey), likely_names(comments.tolist(), _codebook_words(survey))
    return comments.map(lambda text: scrub(text, names=names, units=units))


def _codebook_words(survey: Survey) -> set[str]:
    """The words of the questionnaire, such as the name of the platform: whoever repeats them names nobody."""
    texts = [text for variable in survey.codebook.variables for text in (variable.title, variable.name)]
    texts += [
        category.label for variable in survey.codebook.of_kind("item", "category") for category in variable.categories
    ]
    return {word for text in texts for word in WORD.findall(text)}


def likely_names(comments: Sequence[str], known: Iterable[str] = ()) -> set[str]:
    """Find words that are written with a capital inside a sentence and never without one.

    How many people use the word does not matter: a manager everybody complains about is a person too. Abbreviations in
    capitals, days and months, and `known` words are no names.

    >>> sorted(likely_names(["I asked Sandra about VPN.", "Sandra has no time", "we use Slack on Monday"], ["Slack"]))
    ['Sandra']
    """
    found = [(match.group(), text[: match.start()]) for text in comments for match in WORD.finditer(text)]
    plain = {word for word, _ in found if word[0].islower()} | {word.lower() for word in (*known, *CALENDAR)}
    inside = {word for word, before in found if word[0].isupper() and not SENTENCE_END.search(before)}
    return {word for word in inside if not word.isupper() and word.lower() not in plain}


def _fit(comments: pd.Series) -> pd.Series:
    """Say which comments may be shown: enough words are left, and nothing personal is found in them."""
    left = comments.map(lambda text: len(WORD.findall(MARK.sub(" ", text))))
    return (left >= LEAST_WORDS) & comments.map(lambda text: not scan_text(text)).astype(bool)


def _rows(kept: pd.Series, groups: pd.Series, hidden: Sequence[str], rng: np.random.Generator) -> pd.DataFrame:
    """Put comments in an order that depends on nothing but their words and the seed."""
    frame = pd.DataFrame({"group": groups, "comment": kept}).astype(object)
    frame = frame.sort_values(["group", "comment"]).iloc[rng.permutation(len(frame))]
    frame = frame.sort_values("group", kind="stable").assign(hidden=False)
    closed = pd.DataFrame({"group": list(hidden), "comment": None, "hidden": True})
    rows = pd.concat([frame, closed], ignore_index=True) if hidden else frame.reset_index(drop=True)
    return rows if hidden else rows.drop(columns="hidden")


def _findings(left_out: int, hidden: int, survey: Survey) -> tuple[Finding, ...]:
    text = "Masking names is incomplete. Let somebody who knows the people read the comments before they are passed on."
    found = [Finding(name="names_masked", text=text)]
    if left_out:
        some = plural(left_out, "comment") if survey.privacy.allows(left_out) else "Some comments"
        text = f"{some} left out, because too little remained after masking or something personal was still in them."
        found.append(Finding(name="comments_hidden", text=text, severity="info"))
    if hidden:
        text = (
            f"Comments of some groups are hidden: fewer than {survey.privacy.comment_min_n} of them, or a group that "
            "all tables hide."
        )
        found.append(Finding(name="groups_hidden", text=text, severity="info"))
    return tuple(found)
