"""The policy that protects people: thresholds that can only be raised, and the gate every table passes.

Suppression lowers the risk that somebody is recognized; it is not anonymity.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from smstudy.errors import DisclosureError

if TYPE_CHECKING:
    import pandas as pd

FLOOR_SCORES = 5
FLOOR_COMMENTS = 10
COUNTS = ("n", "n_previous", "n_linked")
ABOUT_NOBODY = ("threshold", "k", "n_items")
TELLING = ("reading", "verdict")
OF_A_VERDICT = "reason"  # without a verdict it names a rule, or why an answer is missing


@dataclass(frozen=True, kw_only=True)
class Privacy:
    """Smallest groups that may be shown.

    Parameters
    ----------
    min_n : int
        Respondents a group needs before its scores or its size are shown; at least 5.
    comment_min_n : int
        Respondents a group needs before any comment is shown; at least 10.
    closed : set of (unit, group)
        Groups that every table hides whatever their size, such as those that would differ by few people from what was
        released before.

    Raises
    ------
    DisclosureError
        If a threshold is lower than its floor.

    Examples
    --------
    >>> Privacy(min_n=8).min_n
    8
    """

    min_n: int = FLOOR_SCORES
    comment_min_n: int = FLOOR_COMMENTS
    closed: frozenset[tuple[str, str]] = frozenset()

    def __post_init__(self) -> None:
        for name, floor in (("min_n", FLOOR_SCORES), ("comment_min_n", FLOOR_COMMENTS)):
            if not getattr(self, name) >= floor:
                raise DisclosureError(
                    f"{name} = {getattr(self, name)} is lower than {floor}. Thresholds can only be raised: "
                    f"use {floor} or more."
                )

    def raised_to(self, min_n: int) -> Privacy:
        """Give the same policy with a higher threshold for scores; a lower one is refused."""
        if min_n < self.min_n:
            raise DisclosureError(
                f"min_n = {min_n} is lower than the {self.min_n} this study is held to. "
                f"Thresholds can only be raised: use {self.min_n} or more."
            )
        return replace(self, min_n=min_n, comment_min_n=max(self.comment_min_n, min_n))

    def closing(self, groups: Iterable[tuple[str, str]]) -> Privacy:
        """Give the same policy with further groups closed; a closed one is never opened.

        >>> sorted(Privacy().closing([("unit", "Sales")]).closed)
        [('unit', 'Sales')]
        """
        return replace(self, closed=self.closed | frozenset(groups))

    def allows(self, n: float) -> bool:
        """Say whether a group of n respondents may be shown; an empty group shows nobody."""
        return n == 0 or n >= self.min_n

    def too_few(self, what: str) -> str:
        """Say that too few respondents did something, without their number.

        >>> Privacy().too_few("answered all items")
        'Fewer than 5 respondents answered all items, and nothing is shown for so few.'
        """
        return f"Fewer than {self.min_n} respondents {what}, and nothing is shown for so few."

    def gate(self, table: pd.DataFrame) -> pd.DataFrame:
        """Blank every number of a row that stands for too few respondents, its count and the words for it included.

        Parameters
        ----------
        table : DataFrame
            A tidy table; without a column named `n`, `n_previous`, `n_linked` or `hidden` it passes unchanged. Rows
            marked `hidden` are blanked whatever their count.

        Returns
        -------
        DataFrame
            The same rows and columns plus, where a row was blanked, a true `hidden`.

        Examples
        --------
        >>> import pandas as pd
        >>> Privacy().gate(pd.DataFrame({"group": ["A", "B"], "n": [12, 3], "mean": [3.1, 4.0]}))
          group     n  mean  hidden
        0     A  12.0   3.1   False
        1     B   NaN   NaN    True
        """
        counts = [name for name in COUNTS if name in table]
        closed = ((table[counts] > 0) & (table[counts] < self.min_n)).any(axis=1)
        if "hidden" in table:
            closed |= table["hidden"].eq(True)
        if not closed.any():
            return table
        numbers = [name for name in table.select_dtypes("number") if name not in ABOUT_NOBODY]
        gated = table.astype({name: float for name in numbers})
        gated.loc[closed, numbers] = float("nan")
        told = (*TELLING, OF_A_VERDICT) if "verdict" in table else TELLING
        gated.loc[closed, [name for name in told if name in table]] = None
        gated["hidden"] = closed
        return gated
