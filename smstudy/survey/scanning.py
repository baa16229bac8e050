"""A last look at everything that is published: addresses, identifiers, answers in respondents' own words."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable
from functools import lru_cache
from html import unescape
from ipaddress import ip_address
from pathlib import Path

from smstudy.display.prose import plural

SHORTEST = 5
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".ico", ".pdf", ".woff", ".woff2")
ARCHIVES = (".docx", ".xlsx", ".zip")
EMBEDDED = re.compile(r"data:[\w/+.-]+;base64,[A-Za-z0-9+/=\s]+")
EMAIL = re.compile(r"@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9])")
EMAIL_NAME = re.compile(r"[\w.+%-]{1,64}$")
IP4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\d)")
IP6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f:]{7,39}(?![\w:])")
IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])")
PHONE = re.compile(r"(?<![\w.+-])\+[1-9]\d{0,2}[ ./-]?\(?\d{2,5}\)?[ ./-]\d{2,4}(?:[ ./-]?\d{2,4}){1,3}(?![\w.])")
ESCAPED = re.compile(r"\\u([0-9A-Fa-f]{4})|\\[nrt]")
WORD = re.compile(r"\d+(?:[.,]\d+)+|\w+")


def scan_text(text: str, forbidden: Iterable[str] = (), *, allowed: Iterable[str] = ()) -> list[str]:
    """Look for people in a text that is to be published: addresses, accounts, telephones, forbidden strings.

    Parameters
    ----------
    text : str
        Any text: HTML, JSON, CSV, a log. Pictures embedded in it are skipped.
    forbidden : iterable of str
        Identifiers and comments. Letters and digits are compared, whatever the case, the
        escaping or the punctuation between them. Strings with fewer than 5 letters and digits cannot be told from
        ordinary numbers and are not looked for.
    allowed : iterable of str
        E-mail addresses that may be there, such as that of the study's contact.

    Returns
    -------
    list of str
        What was found, without the string itself; empty if nothing was.

    Examples
    --------
    >>> scan_text("Ask Ann.Lee@example.org for 'R_2ab9Xy'.", ["R_2ab9Xy"])
    ['1 e-mail address', '1 identifier or comment of a respondent']
    """
    text = EMBEDDED.sub(" ", text)
    counts = (
        (len(_emails(text, {name.casefold() for name in allowed})), "e-mail address", "e-mail addresses"),
        (len(_addresses(text)), "IP address", "IP addresses"),
        (len(_accounts(text)), "account number", "account numbers"),
        (len(set(PHONE.findall(text))), "telephone number", "telephone numbers"),
        (_forbidden_found(text, forbidden), "identifier or comment of a respondent", "identifiers or comments"),
    )
    return [plural(n, one, many) for n, one, many in counts if n]


def scan_file(path: Path, forbidden: Iterable[str] = (), *, allowed: Iterable[str] = ()) -> list[str]:
    """Look for people in a file as `scan_text` does; inside Word, Excel and zip files too, not inside pictures.

    Returns
    -------
    list of str
        Each problem, with the part of the archive it is in.
    """
    found = []
    for inside, text in _texts(Path(path)):
        found += [problem + inside for problem in scan_text(text, forbidden, allowed=allowed)]
    return found


def _texts(path: Path) -> Iterable[tuple[str, str]]:
    if path.suffix.lower() in PICTURES:
        return
    if path.suffix.lower() not in ARCHIVES:
        yield "", path.read_bytes().decode("utf-8", errors="replace")
        return
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if not member.filename.lower().endswith((*PICTURES, *ARCHIVES)):
                yield f" in {member.filename}", archive.read(member).decode("utf-8", errors="replace")


def _emails(text: str, allowed: set[str]) -> set[str]:
    found = set()
    for match in EMAIL.finditer(text):
        name = EMAIL_NAME.search(text[max(0, match.start() - 64) : match.start()])
        if name:
            found.add((name.group() + match.group()).casefold())
    return found - allowed


def _addresses(text: str) -> set[str]:
    candidates = {m.group() for m in IP4.finditer(text)}
    candidates |= {m.group() for m in IP6.finditer(text) if m.group().count(":") >= 3}
    return {one for one in candidates if _is_address(one)}


def _accounts(text: str) -> set[str]:
    """IBANs with a right checksum: first four signs moved to the end, letters as 10 to 35, modulo 97 is 1."""
    found = {match.group().replace(" ", "") for match in IBAN.finditer(text)}
    return {one for one in found if int("".join(str(int(sign, 36)) for sign in one[4:] + one[:4])) % 97 == 1}


def _is_address(text: str) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified)


def _forbidden_found(text: str, forbidden: Iterable[str]) -> int:
    words = _words(text)
    known = set(words)
    wanted = [parts for parts in _wanted(frozenset(forbidden)) if known.issuperset(parts)]
    flat = f" {' '.join(words)} " if wanted else ""
    return sum(f" {' '.join(parts)} " in flat for parts in wanted)


@lru_cache(maxsize=1)
def _wanted(forbidden: frozenset[str]) -> list[list[str]]:
    """The words of each forbidden text; the same for every file of a run."""
    return [parts for parts in map(_words, forbidden) if sum(map(len, parts)) >= SHORTEST]


def _words(text: str) -> list[str]:
    plain = ESCAPED.sub(lambda m: chr(int(m.group(1), 16)) if m.group(1) else " ", text)
    return WORD.findall(unescape(plain).casefold())
