"""Words of questionnaires: answers that are none, answer scales in order, and questions asked in rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from smstudy.survey.decoding import NUMBER, normalize

HIGHEST_CODE = 10
MISSING_WORDS = {
    "refused": (
        "prefer not to say", "prefer not to answer", "i prefer not to say", "refused", "rather not say", "keine angabe",
        "sin respuesta", "ne souhaite pas répondre", "zeg ik liever niet",
    ),
    "not applicable": (
        "na", "n/a", "n a", "not applicable", "does not apply", "trifft nicht zu (nicht anwendbar)", "nicht anwendbar",
        "non applicable", "no aplica", "niet van toepassing",
    ),
    "no opinion": (
        "don't know", "i don't know", "do not know", "dont know", "no opinion", "not sure", "weiß nicht", "ne sait pas",
        "no sabe", "weet niet",
    ),
    "not shown": ("not shown", "not asked", "not displayed", "logically skipped"),
    "dropped out": ("dropped out", "not reached", "abandoned"),
    "no answer": ("no answer", "no response", "not answered", "skipped", "?", "sans réponse", "geen antwoord"),
}  # fmt: skip
AGREEMENT = (
    ("strongly disagree", "disagree strongly", "fully disagree", "completely disagree", "totally disagree"),
    ("disagree", "tend to disagree"),
    ("somewhat disagree", "slightly disagree", "rather disagree"),
    ("neither agree nor disagree", "neither", "neutral", "undecided", "neither disagree nor agree"),
    ("somewhat agree", "slightly agree", "rather agree"),
    ("agree", "tend to agree"),
    ("strongly agree", "agree strongly", "fully agree", "completely agree", "totally agree"),
)
AGREEMENT_PLACES = (0, 0.25, 0.375, 0.5, 0.625, 0.75, 1)
FIVE_PLACES = (0, 0.25, 0.5, 0.75, 1)
OTHER_AGREEMENTS = (
    (
        ("stimme gar nicht zu", "stimme überhaupt nicht zu", "trifft gar nicht zu", "trifft überhaupt nicht zu"),
        ("stimme nicht zu", "stimme eher nicht zu", "trifft eher nicht zu"),
        ("teils teils", "teils, teils", "weder noch", "neutral"),
        ("stimme zu", "stimme eher zu", "trifft eher zu"),
        ("stimme voll zu", "stimme voll und ganz zu", "trifft voll zu", "trifft voll und ganz zu"),
    ),
    (
        ("pas du tout d'accord", "tout à fait en désaccord", "fortement en désaccord"),
        ("pas d'accord", "plutôt pas d'accord", "en désaccord"),
        ("ni d'accord ni pas d'accord", "ni en accord ni en désaccord", "neutre"),
        ("d'accord", "plutôt d'accord"),
        ("tout à fait d'accord", "fortement d'accord"),
    ),
    (
        ("totalmente en desacuerdo", "muy en desacuerdo"),
        ("en desacuerdo",),
        ("ni de acuerdo ni en desacuerdo", "neutral"),
        ("de acuerdo",),
        ("totalmente de acuerdo", "muy de acuerdo"),
    ),
    (
        ("helemaal mee oneens", "zeer mee oneens", "helemaal niet mee eens"),
        ("mee oneens", "niet mee eens"),
        ("niet mee eens en niet mee oneens", "noch mee eens noch mee oneens", "neutraal"),
        ("mee eens",),
        ("helemaal mee eens", "zeer mee eens"),
    ),
    (
        ("fortemente in disaccordo", "completamente in disaccordo"),
        ("in disaccordo",),
        ("né d'accordo né in disaccordo", "neutrale"),
        ("d'accordo",),
        ("fortemente d'accordo", "completamente d'accordo"),
    ),
    (
        ("discordo totalmente", "discordo completamente"),
        ("discordo",),
        ("nem concordo nem discordo", "não concordo nem discordo", "neutro"),
        ("concordo",),
        ("concordo totalmente", "concordo completamente"),
    ),
)
ORDERED = (
    AGREEMENT,
    *OTHER_AGREEMENTS,
    (("never",), ("rarely", "seldom"), ("sometimes",), ("often",), ("very often",), ("always",)),
    (("never",), ("once in a while",), ("about half the time",), ("usually", "most of the time"), ("always",)),
    (("nie",), ("selten",), ("manchmal",), ("oft", "häufig"), ("sehr oft", "sehr häufig"), ("immer",)),
    (("none",), ("a little",), ("some",), ("a lot",), ("all",)),
    (("low",), ("medium", "middle"), ("high",)),
    (
        ("very unfavorably", "very unfavorable"),
        ("somewhat unfavorably", "somewhat unfavorable", "unfavorable"),
        ("neither favorably nor unfavorably (neutral)", "neither favorable nor unfavorable", "neutral"),
        ("somewhat favorably", "somewhat favorable", "favorable"),
        ("very favorably", "very favorable"),
    ),
    (
        ("never",),
        ("less than monthly", "less than once a month"),
        ("monthly", "once a month"),
        ("weekly", "once a week"),
        ("several times a week",),
        ("daily", "every day"),
        ("several times a day",),
    ),
    (
        ("not at all",),
        ("a little", "slightly"),
        ("somewhat", "moderately"),
        ("much", "quite a bit", "very"),
        ("very much", "extremely"),
    ),
    (
        ("very dissatisfied",),
        ("dissatisfied",),
        ("neither satisfied nor dissatisfied", "neutral"),
        ("satisfied",),
        ("very satisfied",),
    ),
    (("very unlikely",), ("unlikely",), ("neither likely nor unlikely", "neutral"), ("likely",), ("very likely",)),
    (("very poor",), ("poor",), ("fair", "acceptable"), ("good",), ("very good",), ("excellent",)),
    (
        ("not important", "not at all important"),
        ("slightly important",),
        ("moderately important",),
        ("important",),
        ("very important",),
    ),
)
STEMS = (
    re.compile(r"(.+?)\s\|\s(.+)", re.DOTALL),
    re.compile(r"(.+?)\s?\[([^\[\]]+)\]", re.DOTALL),
    re.compile(r"(.{4,}?)\s[-–—]\s(.+)", re.DOTALL),
)
NUMBERED = re.compile(r"(\d{1,2})\b.*", re.DOTALL)
NEGATIONS = re.compile(
    r"\b(not|no|never|nobody|nothing|hardly|without|cannot|don't|doesn't|isn't|avoid|unclear)\b", re.IGNORECASE
)
BELOW = re.compile(
    r"\b(less|under|below|fewer|up to|until|at most|younger|weniger|unter|bis zu|moins|menos)\b|[<≤]", re.IGNORECASE
)
ABOVE = re.compile(r"\b(more|over|above|older|at least|mehr|über|plus|más)\b|[>≥+]", re.IGNORECASE)
NUMBERS = re.compile(r"\d{1,3}(?:[,']\d{3})+|\d+(?:\.\d+)?")


NOT_APPLICABLE = re.compile(r"\(n ?/ ?a\)", re.IGNORECASE)


def missing_reason(word: str) -> str:
    """Say why a word stands for no answer; empty if it is an answer.

    >>> missing_reason("Prefer not to say"), missing_reason("N/A"), missing_reason("Agree")
    ('refused', 'not applicable', '')
    """
    folded = normalize(word) or word.strip()
    if NOT_APPLICABLE.search(word):
        return "not applicable"
    return next((reason for reason, words in MISSING_WORDS.items() if folded in words), "")


def order_answers(words: Iterable[str]) -> tuple[str, ...] | None:
    """Put the words of an answer scale in order, if they are one that is known or begin with their number.

    >>> order_answers(["Agree", "Strongly disagree", "Disagree"])
    ('Strongly disagree', 'Disagree', 'Agree')
    >>> order_answers(["5 (fully)", "1 (not at all)", "3"])
    ('1 (not at all)', '3', '5 (fully)')
    """
    words = list(words)
    if len(words) < 2:
        return None
    for known in ORDERED:
        places = {phrase: i for i, phrases in enumerate(known) for phrase in phrases}
        if all(normalize(word) in places for word in words):
            return tuple(sorted(words, key=lambda word: places[normalize(word)]))
    numbers = leading_numbers(words)
    return tuple(sorted(words, key=numbers.__getitem__)) if numbers and not all(map(NUMBER.fullmatch, words)) else None


def leading_numbers(words: Sequence[str]) -> dict[str, int]:
    """Word to the number it begins with; empty unless each has one of its own from 0 to 10."""
    found = {word: int(match[1]) for word in words if (match := NUMBERED.fullmatch(word))}
    different = len(set(found.values())) == len(words) >= 3
    return found if different and max(found.values()) <= HIGHEST_CODE else {}


def size_order(words: Sequence[str]) -> tuple[str, ...] | None:
    """Put ranges and amounts in order by their numbers; None if a word has none or two are the same.

    >>> size_order(["More than 10 years", "2 to 5 years", "Less than 2 years"])
    ('Less than 2 years', '2 to 5 years', 'More than 10 years')
    """
    keys: dict[str, tuple] = {}
    for word in words:
        numbers = [float(re.sub(r"[,']", "", found)) for found in NUMBERS.findall(word)]
        if not numbers:
            return None
        keys[word] = (numbers[0], -1 if BELOW.search(word) else 1 if ABOVE.search(word) else 0, *numbers[1:])
    different = len(set(keys.values())) == len(words) >= 3
    return tuple(sorted(words, key=keys.__getitem__)) if different else None


def known_scale(words: Iterable[str]) -> int | None:
    """Number of the answer scale that has all these words; None if there is none."""
    folded = {normalize(word) for word in words}
    for number, steps in enumerate(ORDERED):
        if folded and folded <= {phrase for phrases in steps for phrase in phrases}:
            return number
    return None


def agreement_places(words: Iterable[str]) -> dict[str, float] | None:
    """Find the words of an answer scale of agreement in a known language, from 0 (least) to 1; None if one is unknown.

    >>> agreement_places(["Agree", "Strongly agree"]), agreement_places(["Stimme eher zu"]), agreement_places(["Blue"])
    ({'Agree': 0.75, 'Strongly agree': 1}, {'Stimme eher zu': 0.75}, None)
    """
    words = list(words)
    for steps, marks in ((AGREEMENT, AGREEMENT_PLACES), *((steps, FIVE_PLACES) for steps in OTHER_AGREEMENTS)):
        places = {phrase: mark for phrases, mark in zip(steps, marks, strict=True) for phrase in phrases}
        if words and all(normalize(word) in places for word in words):
            return {word: places[normalize(word)] for word in words}
    return None


def split_title(title: str) -> tuple[str, str]:
    """Part the wording of a row of a matrix question into the question and the row; ("", title) if it is none.

    >>> split_title("How far do you agree? - I use it daily.")
    ('How far do you agree?', 'I use it daily.')
    >>> split_title("Rate these [Speed]"), split_title("Rate these | Speed"), split_title("A well-known question")
    (('Rate these', 'Speed'), ('Rate these', 'Speed'), ('', 'A well-known question'))
    """
    for pattern in STEMS:
        match = pattern.fullmatch(title)
        if match and match[1].strip() and match[2].strip():
            return match[1].strip(), match[2].strip()
    return "", title
