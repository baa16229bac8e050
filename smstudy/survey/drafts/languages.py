"""The language of a questionnaire, by the small words of its questions or by what the platform says."""

from __future__ import annotations

import re
from collections.abc import Iterable

FEWEST = 3
CLEARLY = 2
SHARE = 0.1
SMALL_WORDS = {
    "de": "der die das und ich ist nicht wir mit für auf sie wie ein eine einen meine mein sich zu welche haben werden",
    "en": "the and of to is are my you your what how which with do have this that not it for our me we",
    "es": "el los las y qué cómo cuál con para una mi su usted es del por está mis nuestra se más muy al lo cuántas",
    "fr": "le les des et je est vous votre dans avec pour une du au mon ma nous quel quelle pas êtes sont à",
    "it": "il gli della di e che con per una mio mia è del nel sono quale come i nostra suo lavoro non",
    "nl": "het een en ik van is mijn met voor niet welke wij hoe deze dit uw zijn wordt hebt bij onze u",
    "pt": "o os as e do da com para uma meu minha é não seu sua você qual como no na em são mais",
}
CODE = re.compile(r"([A-Za-z]{2})([-_]\w+)*")


def spoken_in(wordings: Iterable[str]) -> str:
    """Guess the language of questions by their small words; empty if few are known, or two languages are close.

    >>> spoken_in(["Wie zufrieden sind Sie mit der Plattform?", "Ich nutze sie für meine Arbeit."])
    'de'
    >>> spoken_in(["Q1", "Q2"])
    ''
    """
    words = [word for text in set(wordings) for word in re.findall(r"(?<!\w)[^\W\d_]+(?!\w)", text.casefold())]
    hits = {code: sum(word in known for word in words) for code, known in _KNOWN.items()}
    second, first = sorted(hits.values())[-2:]
    clear = first >= max(FEWEST, CLEARLY * second, SHARE * len(words))
    return max(hits, key=hits.__getitem__) if clear else ""


def declared_in(answers: Iterable[str]) -> str:
    """Give the one language that the platform notes for all respondents; empty if there are several or none.

    >>> declared_in(["ES-ES", "es"]), declared_in(["DE", "EN"])
    ('es', '')
    """
    codes = {match[1].lower() if (match := CODE.fullmatch(answer)) else "" for answer in answers}
    return codes.pop() if len(codes) == 1 else ""


_KNOWN = {code: frozenset(words.split()) for code, words in SMALL_WORDS.items()}
