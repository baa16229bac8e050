"""Which answers a message may quote: short numbers, words of questionnaires, and spellings of declared answers."""

from __future__ import annotations

from difflib import SequenceMatcher

from smstudy.survey.codebook import Variable
from smstudy.survey.decoding import SHORT_CODE, normalize
from smstudy.survey.drafts.wordings import MISSING_WORDS, agreement_places

SPELLING = 0.8
NO_ANSWER = frozenset(phrase for phrases in MISSING_WORDS.values() for phrase in phrases)


def may_quote(answer: str, variable: Variable) -> bool:
    """Say whether an answer can be nobody's own words, however many gave it.

    Parameters
    ----------
    answer : str
        A cell of the export, without spaces around it.
    variable : Variable
        Its declared answers.

    Returns
    -------
    bool
        True for a number of at most four digits, for words that stand for no answer or for a step of agreement in a
        language smstudy knows, and for a declared answer, word for word up to spelling. One word more and it is not.

    Examples
    --------
    >>> unit = Variable.model_validate({"name": "u", "kind": "unit", "categories": [{"value": 1, "label": "Sales"}]})
    >>> [may_quote(word, unit) for word in ("9", "n/a", "Salse", "Anna", "Sales, my boss", "470011")]
    [True, True, True, False, False, False]
    """
    if SHORT_CODE.fullmatch(answer) or normalize(answer) in NO_ANSWER or agreement_places([answer]):
        return True
    return any(is_spelling(answer, word) for c in variable.categories for word in (c.value, c.label, *c.aliases))


def is_spelling(answer: str, declared: str) -> bool:
    """Say whether two texts have the same words, each up to spelling; numbers must be equal.

    >>> is_spelling("reserch & development", "Research & Development"), is_spelling("Sales North", "Sales")
    (True, False)
    """
    words, meant = normalize(answer).split(), normalize(declared).split()
    return len(words) == len(meant) > 0 and all(map(_alike, words, meant))


def _alike(word: str, meant: str) -> bool:
    if word == meant:
        return True
    spelled = not any(map(str.isdigit, word + meant))
    return spelled and SequenceMatcher(None, word, meant, autojunk=False).ratio() >= SPELLING
