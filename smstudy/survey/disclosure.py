"""Tables in which no hidden number follows from the shown ones, and a last look at everything that is published.

The law of this module: from the shown cells and the totals nobody learns more about a hidden small count than the word
"hidden" says, that is 1 to min_n - 1. What readers know from elsewhere is not guarded; suppression is not anonymity.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import unescape
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import linprog

from smstudy.display.prose import plural
from smstudy.errors import DataError, DisclosureError, did_you_mean
from smstudy.privacy import Privacy
from smstudy.result import Finding
from smstudy.survey.dataset import Survey

ALL = "all"
POOLED = "(small groups)"
SHORTEST = 5
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".ico", ".pdf", ".woff", ".woff2")
ARCHIVES = (".docx", ".xlsx", ".zip")
EMBEDDED = re.compile(r"data:[\w/+.-]+;base64,[A-Za-z0-9+/=\s]+")
EMAIL = re.compile(r"@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9])")
EMAIL_NAME = re.compile(r"[\w.+%-]{1,64}$")
IP4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\d)")
IP6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f:]{7,39}(?![\w:])")
ESCAPED = re.compile(r"\\u([0-9A-Fa-f]{4})|\\[nrt]")
WORD = re.compile(r"\d+(?:[.,]\d+)+|\w+")


@dataclass(frozen=True, kw_only=True)
class Suppression:
    """One hidden place and why, without numbers.

    The reason is the same for small groups and for those hidden beside them: to tell the two apart would narrow the
    guess.
    """

    where: str
    reason: str


class Protected(NamedTuple):
    """A table that may be shown, and what to say about it."""

    table: pd.DataFrame
    findings: tuple[Finding, ...]


def protect(
    table: pd.DataFrame,
    *,
    group: str,
    counts: Sequence[str],
    numbers: Sequence[str],
    privacy: Privacy,
    total_known: bool = True,
) -> Protected:
    """Hide the rows of small groups, and further rows so that no hidden count follows from the totals.

    Parameters
    ----------
    table : DataFrame
        One row per group.
    group : str
        Column that names the group.
    counts : sequence of str
        Columns with numbers of people; a count of 0 shows nobody and stays.
    numbers : sequence of str
        Columns to blank beside the counts.
    privacy : Privacy
        The thresholds.
    total_known : bool
        Whether the sum of each count over all groups is known to readers; then the next smallest groups are hidden too,
        until at least two are hidden and each could be anything from 1 to min_n - 1.

    Returns
    -------
    Protected
        The table with numbers blanked and a flag `hidden`, and the findings.

    Raises
    ------
    DataError
        If a column is not there.

    References
    ----------
    Hundepool et al. (2012), Statistical Disclosure Control, chapter 4. Known limit: a reader who reckons with the next
    smallest group being hidden can sometimes narrow the guess.

    Examples
    --------
    >>> table = pd.DataFrame({"group": ["A", "B", "C"], "n": [20, 3, 8], "mean": [3.1, 4.0, 2.5]})
    >>> protect(table, group="group", counts=["n"], numbers=["mean"], privacy=Privacy()).table
      group     n  mean  hidden
    0     A  20.0   3.1   False
    1     B   NaN   NaN    True
    2     C   NaN   NaN    True
    """
    _need(table, [group, *counts, *numbers])
    before = table["hidden"].astype(bool).to_numpy() if "hidden" in table else np.zeros(len(table), dtype=bool)
    hidden = hidden_rows(table[list(counts)].to_numpy(float), privacy.min_n, total_known=total_known, hidden=before)
    shown = blank(table, hidden, [*counts, *numbers])
    return Protected(shown, _findings(hidden, privacy.min_n))


def hidden_groups(survey: Survey, unit: str) -> frozenset[str]:
    """Choose the groups of a survey that every table hides.

    The choice looks at all scores at once, so that no two tables of one wave hide different groups and thereby give
    away what each hides.

    Parameters
    ----------
    survey : Survey
        Clean answers with scores.
    unit : str
        Variable that says which group a respondent belongs to.
    """
    scores = [scale.name for scale in survey.codebook.scales if scale.name in survey.answers]
    answered = survey.answers[scores].notna().assign(**{ALL: True}).groupby(survey.column(unit)).sum()
    hidden = hidden_rows(answered.to_numpy(float), survey.privacy.min_n)
    return frozenset(answered.index[hidden])


def hidden_rows(
    counts: np.ndarray, min_n: int, *, total_known: bool = True, hidden: np.ndarray | None = None
) -> np.ndarray:
    """Choose the rows to hide, shape (n groups,), for counts of shape (n groups, k columns) with known column sums.

    >>> hidden_rows(np.array([[20], [3], [8]]), 5)
    array([False,  True,  True])
    """
    counts = np.nan_to_num(counts)
    small = (counts > 0) & (counts < min_n)
    hidden = small.any(axis=1) | (False if hidden is None else hidden)
    size = np.where(counts > 0, counts, np.inf).min(axis=1, initial=np.inf)
    while total_known and hidden.any() and not hidden.all() and not _safe(counts[hidden], min_n):
        candidates = np.where(hidden, np.inf, size)
        if not np.isfinite(candidates).any():
            break
        hidden[np.argmin(candidates)] = True
    return hidden


def _safe(counts: np.ndarray, min_n: int) -> bool:
    """Say whether hidden counts with known sums (one per column) leave each of them open from 1 to min_n - 1."""
    people = counts > 0
    some = people.sum(axis=0)
    return len(counts) > 1 and bool(np.all((some == 0) | ((some > 1) & (counts.sum(axis=0) >= min_n + some - 2))))


def blank(table: pd.DataFrame, hidden: np.ndarray, numbers: Sequence[str]) -> pd.DataFrame:
    """Blank the numbers of hidden rows and flag them; a table with nothing hidden is given back as it is."""
    if not np.any(hidden):
        return table
    shown = table.astype({name: float for name in numbers})
    shown.loc[np.asarray(hidden), list(numbers)] = float("nan")
    shown["hidden"] = np.asarray(hidden)
    return shown


def protect_change(
    table: pd.DataFrame,
    previous: pd.DataFrame,
    *,
    group: str,
    counts: Sequence[str],
    numbers: Sequence[str],
    privacy: Privacy,
) -> tuple[Protected, Protected]:
    """Hide a group in both waves if either wave hides it, so that a change and one wave never give away the other.

    Parameters are those of `protect`, with the table of the previous wave; a group may be missing in one of them.
    """
    for one in (table, previous):
        _need(one, [group, *counts, *numbers])
    groups = list(dict.fromkeys([*table[group], *previous[group]]))
    both = [one.set_index(group)[list(counts)].reindex(groups) for one in (table, previous)]
    hidden = hidden_rows(np.hstack([one.to_numpy(float) for one in both]), privacy.min_n)
    names = {name for name, hide in zip(groups, hidden, strict=True) if hide}
    masks = [one[group].isin(names).to_numpy() for one in (table, previous)]
    pairs = zip((table, previous), masks, strict=True)
    now, then = (Protected(blank(one, m, [*counts, *numbers]), _findings(m, privacy.min_n)) for one, m in pairs)
    return now, then


def protect_two_way(table: pd.DataFrame, *, privacy: Privacy) -> Protected:
    """Hide cells of a cross-tabulation so that none follows from the row and column totals, which are cells too.

    Parameters
    ----------
    table : DataFrame, shape (r, c)
        Numbers of people.

    Returns
    -------
    Protected
        Shape (r + 1, c + 1): the counts and their totals, named "all", as floats; NaN is hidden. Cells of 0 are hidden
        as small ones are, unless their whole line is empty. Every choice is checked by linear programming: the least
        and the greatest value a hidden count could have, given what is shown.

    Raises
    ------
    DisclosureError
        If no choice of cells is safe, because all respondents together are too few.

    Examples
    --------
    >>> protect_two_way(pd.DataFrame({"x": [9, 3], "y": [8, 20]}, index=["a", "b"]), privacy=Privacy()).table
            x     y   all
    a     NaN   NaN  17.0
    b     NaN   NaN  23.0
    all  12.0  28.0  40.0
    """
    full = table.astype(float)
    full[ALL] = full.sum(axis=1)
    full.loc[ALL] = full.sum(axis=0)
    counts, equations = full.to_numpy(), _margins(*full.shape)
    totals = np.any(equations < 0, axis=0)
    empty = (counts == 0) & (counts[:, [-1]] > 0) & (counts[[-1], :] > 0)
    cells = slice(0, -1)
    hidden = hide_cells(
        counts.ravel()[cells], equations[:, cells], privacy.min_n, hidden=empty.ravel()[cells], last=totals[cells]
    )
    hidden = np.append(hidden, False)
    shown = full.mask(hidden.reshape(full.shape))
    return Protected(shown, _findings(hidden, privacy.min_n, what="cells"))


def _margins(rows: int, columns: int) -> np.ndarray:
    """One equation per line of a table whose last row and column are totals: parts - total = 0."""
    cells = np.arange(rows * columns).reshape(rows, columns)
    equations = np.zeros((rows + columns, rows * columns))
    for place, line in enumerate([*cells, *cells.T]):
        equations[place, line[:-1]], equations[place, line[-1]] = 1, -1
    return equations


def hide_cells(
    values: np.ndarray, equations: np.ndarray, min_n: int, *, hidden: np.ndarray, last: np.ndarray
) -> np.ndarray:
    """Choose cells to hide so that no small count can be narrowed down by linear equations readers know.

    Parameters
    ----------
    values : array, shape (n,)
        Counts of people; those from 1 to min_n - 1 are hidden first.
    equations : array, shape (m, n)
        Coefficients of the sums readers know; what each adds up to is taken from the values.
    min_n : int
        Smallest count that may be shown.
    hidden : array of bool, shape (n,)
        Cells that are hidden anyway, above all those of 0, which would else tell that the hidden ones are not empty.
    last : array of bool, shape (n,)
        Totals: hidden only if nothing else helps, and known not to be empty.

    Returns
    -------
    array of bool, shape (n,)

    Raises
    ------
    DisclosureError
        If no choice is safe.
    """
    small = (values > 0) & (values < min_n)
    hidden = small | hidden
    for cell in np.flatnonzero(small):
        while not covers(possible_values(cell, values, equations, hidden, least=last.astype(float)), min_n):
            hidden[_next_cell(cell, values, equations, hidden, last)] = True
    return hidden


def covers(bounds: tuple[float, float], min_n: int) -> bool:
    """Say whether every count from 1 to min_n - 1 lies within the bounds."""
    return bounds[0] <= 1 and bounds[1] >= min_n - 1


def possible_values(
    cell: int, values: np.ndarray, equations: np.ndarray, hidden: np.ndarray, *, least: np.ndarray
) -> tuple[float, float]:
    """Find the least and the greatest whole number a hidden cell could be, given the shown cells and the sums.

    `least`, shape (n,), says what a reader knows each hidden cell to be at least.
    """
    free = equations[:, hidden]
    used = np.any(free != 0, axis=1)
    rest = (equations @ (values * hidden))[used]
    target = (np.flatnonzero(hidden) == cell).astype(float)
    if not np.any(free[:, target > 0]):
        return float(least[cell]), np.inf
    limits = [(floor, None) for floor in least[hidden]]
    ends = []
    for sign in (1, -1):
        found = linprog(sign * target, A_eq=free[used], b_eq=rest, bounds=limits)
        ends.append(np.inf if found.status == 3 else sign * found.fun)
    return float(np.ceil(ends[0] - 1e-6)), float(np.floor(ends[1] + 1e-6))


def _next_cell(cell: int, values: np.ndarray, equations: np.ndarray, hidden: np.ndarray, last: np.ndarray) -> int:
    """Choose the smallest shown count near a cell: in one of its sums if there is one; cells marked last come last."""
    near = np.any(equations[equations[:, cell] != 0] != 0, axis=0)
    linked = np.any(equations[np.any(equations[:, hidden] != 0, axis=1)] != 0, axis=0)
    for choice in (near & ~last, linked & ~last, near & last, linked & last):
        places = np.flatnonzero(choice & ~hidden & (values > 0))
        if len(places):
            return int(places[np.argmin(values[places])])
    raise DisclosureError(
        "This table cannot be shown: whatever is hidden, a count of a small group follows from the totals. "
        "Combine groups, or leave the table out."
    )


def pool_small(
    groups: pd.Series, min_n: int, *, label: str = POOLED
) -> tuple[pd.Series, tuple[Finding, ...]]:
    """Put small groups together under one name, with the next smallest when they alone would be too few.

    Parameters
    ----------
    groups : Series, shape (n respondents,)
        Name of each respondent's group; missing stays missing.
    min_n : int
        Respondents a group needs to stand alone.
    label : str
        Name of the pooled group.

    Returns
    -------
    tuple
        The pooled names as a Series of the same index, and a finding when something was pooled.

    Examples
    --------
    >>> pooled, findings = pool_small(pd.Series(["a"] * 9 + ["b"] * 2 + ["c"] * 6), 5)
    >>> pooled.value_counts().to_dict(), findings[0].name
    ({'a': 9, '(small groups)': 8}, 'small_groups_pooled')
    """
    sizes = groups.value_counts(sort=False)
    pooled = set(sizes.index[hidden_rows(sizes.to_numpy(float)[:, None], min_n)])
    if not pooled:
        return groups, ()
    text = (
        f'{plural(len(pooled), "group")} with fewer than {min_n} respondents, or needed to hide such a group, '
        f'{"is" if len(pooled) == 1 else "are"} counted together as "{label}".'
    )
    names = groups.astype(object).where(~groups.isin(pooled), label)
    return names, (Finding(name="small_groups_pooled", text=text, severity="info"),)


def list_suppressed(table: pd.DataFrame, *, group: str, min_n: int) -> tuple[Suppression, ...]:
    """List what a table with a column `hidden` hides, without numbers.

    >>> list_suppressed(pd.DataFrame({"group": ["A", "B"], "hidden": [False, True]}), group="group", min_n=5)[0].where
    'B'
    """
    if "hidden" not in table:
        return ()
    places = table.loc[table["hidden"].astype(bool), group]
    return tuple(Suppression(where=str(place), reason=_why(min_n)) for place in places)


def _why(min_n: int) -> str:
    return f"fewer than {min_n} respondents, or needed to hide a group that has fewer"


def _findings(hidden: np.ndarray, min_n: int, *, what: str = "groups") -> tuple[Finding, ...]:
    if not np.any(hidden):
        return ()
    text = f"{int(np.sum(hidden))} of {len(hidden)} {what} are hidden: {_why(min_n)}."
    everything = " Nothing is left to show; combine groups." if np.all(hidden) else ""
    return (Finding(name="groups_hidden", text=text + everything, severity="warning" if everything else "info"),)


def _need(table: pd.DataFrame, names: Sequence[str]) -> None:
    for name in names:
        if name not in table:
            hint = did_you_mean(name, map(str, table.columns))
            raise DataError(f'The table to protect has no column "{name}". {hint}')


def scan_text(text: str, forbidden: Iterable[str] = (), *, allowed: Iterable[str] = ()) -> list[str]:
    """Look for people in a text that is to be published: e-mail addresses, IP addresses and forbidden strings.

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


def _is_address(text: str) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified)


def _forbidden_found(text: str, forbidden: Iterable[str]) -> int:
    words = _words(text)
    known = set(words)
    wanted = [parts for parts in map(_words, set(forbidden)) if sum(map(len, parts)) >= SHORTEST]
    wanted = [parts for parts in wanted if known.issuperset(parts)]
    flat = f" {' '.join(words)} " if wanted else ""
    return sum(f" {' '.join(parts)} " in flat for parts in wanted)


def _words(text: str) -> list[str]:
    plain = ESCAPED.sub(lambda m: chr(int(m.group(1), 16)) if m.group(1) else " ", text)
    return WORD.findall(unescape(plain).casefold())
