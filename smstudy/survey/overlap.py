"""Rules looked at together: which hit the same respondents, and which hit more often than in the previous wave."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from scipy import stats

from smstudy.privacy import Privacy
from smstudy.result import Finding, Result
from smstudy.survey.disclosure import blank, covers, possible_values
from smstudy.survey.flow import first_rule, gate_flow, known_sums, number_entered_is_shown

NO_RULE = "no rule"
OTHERS = "other combinations"
NEAREST = 40
CHANGES = (
    "stage", "rule", "reason", "threshold", "threshold_previous", "n_hit", "n_hit_previous", "share", "share_previous",
    "conf_low", "conf_high", "verdict",
)  # fmt: skip
CHANGE_NUMBERS = ("n_hit", "n_hit_previous", "share", "share_previous", "conf_low", "conf_high")


@dataclass(frozen=True, kw_only=True, repr=False)
class Reasons(Result):
    """How many respondents were hit by the same rules.

    Attributes
    ----------
    combinations : DataFrame
        One row per combination of rules: rule, reason, n; ungated.
    members : array of bool, shape (combinations, rules)
        Which rules a combination is made of.
    flow : DataFrame
        The flow whose counts readers know as well.
    """

    combinations: pd.DataFrame = field(repr=False)
    members: np.ndarray = field(repr=False)
    flow: pd.DataFrame = field(repr=False)

    def tidy(self) -> pd.DataFrame:
        """One row per combination of rules: rule, reason, n."""
        return self.combinations.copy()

    def shown(self) -> pd.DataFrame:
        """The large combinations; the others are not even named, and no count of theirs follows from the flow."""
        if not self._hidden.any():
            return self.combinations
        kept = self.combinations[~self._hidden].astype({"n": float}).assign(hidden=False)
        rest = pd.DataFrame([{"rule": OTHERS, "reason": "", "n": np.nan, "hidden": True}])
        return pd.concat([kept, rest], ignore_index=True)

    @cached_property
    def _hidden(self) -> np.ndarray:
        return _hidden_combinations(self.combinations, self.members, self.flow, self.privacy.min_n)


def count_reasons(hits: pd.DataFrame, flow: pd.DataFrame, *, title: str, privacy: Privacy) -> Reasons:
    """Count the combinations of rules that hit the same respondents.

    Parameters
    ----------
    hits : DataFrame of bool, shape (n rows, k rules)
        Which rule applies to whom.
    flow : DataFrame
        The flow of the same rules, in the same order.
    title : str
        Caption.
    privacy : Privacy
        The policy.
    """
    members, n = _combinations(hits.to_numpy(dtype=bool))
    first = first_rule(pd.DataFrame(members, columns=hits.columns), flow)
    ids, reasons = flow["rule"].to_numpy(), np.append(flow["reason"].to_numpy(dtype=object), "not removed")
    names = [" + ".join(ids[row]) or NO_RULE for row in members]
    return Reasons(
        title=title,
        note="Each respondent is in one row: all rules that apply, and the reason of the one that removed first.",
        privacy=privacy,
        combinations=pd.DataFrame({"rule": names, "reason": reasons[first], "n": n}),
        members=members,
        flow=flow,
    )


def _combinations(hits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the different rows of an array of bool and how often each occurs, the most frequent first."""
    packed = np.packbits(hits, axis=1)
    sizes = pd.DataFrame(packed).groupby(list(range(packed.shape[1])), sort=True).size() if packed.size else None
    if sizes is None:
        return np.zeros((1, hits.shape[1]), dtype=bool), np.array([len(hits)])
    keys = np.array([np.atleast_1d(key) for key in sizes.index], dtype=np.uint8)
    order = np.argsort(-sizes.to_numpy(), kind="stable")
    members = np.unpackbits(keys, axis=1, count=hits.shape[1]).astype(bool)
    return members[order], sizes.to_numpy()[order]


def _hidden_combinations(table: pd.DataFrame, members: np.ndarray, flow: pd.DataFrame, min_n: int) -> np.ndarray:
    """Choose the combinations to hide, given that readers know the flow; all of them if nothing less is safe."""
    n = table["n"].to_numpy(float)
    if len(n) == 1 or flow.empty:
        return (n > 0) & (n < min_n)
    absent = _absent(members)
    every = np.vstack([members, absent])
    first = first_rule(pd.DataFrame(every), flow)
    removed_by = first[None, :] == np.arange(len(flow))[:, None]
    hits_known = gate_flow(flow, min_n)["n_hit"].iloc[: len(flow)].notna().to_numpy()
    equations = np.vstack([every.T[hits_known], known_sums(flow, min_n) @ removed_by, (first < 0)[None, :]])
    return _hide_small(np.append(n, np.zeros(len(absent))), equations.astype(float), min_n)[: len(n)]


def _absent(members: np.ndarray) -> np.ndarray:
    """The single rules and pairs nobody has: hidden rows are not named, so a reader must reckon with them."""
    alone = np.eye(members.shape[1], dtype=bool)
    pairs = (alone[:, None] | alone[None, :]).reshape(-1, members.shape[1])
    there = {row.tobytes() for row in members}
    return np.unique(
        [row for row in pairs if row.tobytes() not in there] or np.zeros((0, members.shape[1]), bool), axis=0
    )


def _hide_small(n: np.ndarray, equations: np.ndarray, min_n: int) -> np.ndarray:
    """Hide counts, and with each the next smallest of its sums, until every small one could be 1 to min_n - 1.

    A count that the flow alone narrows down is left as open as the flow leaves it: this table adds nothing.
    Hidden combinations are not named, so a reader does not know which of them there are. That is why this is less
    strict than `disclosure.hide_cells`.
    """
    hidden = n < min_n
    for cell in np.flatnonzero(hidden & (n > 0)):
        while not _is_open(cell, n, equations, hidden, min_n):
            near = np.any(equations[equations[:, cell] != 0] != 0, axis=0) & ~hidden
            choices = np.flatnonzero(near if near.any() else ~hidden)
            if not len(choices):
                return np.ones(len(n), dtype=bool)
            hidden[choices[np.argmin(n[choices])]] = True
    return hidden


def _is_open(cell: int, n: np.ndarray, equations: np.ndarray, hidden: np.ndarray, min_n: int) -> bool:
    """Say whether a hidden count is open, first with only its nearest hidden ones unknown: that is quick, and safe."""
    likeness = np.where(hidden, equations.T @ equations[:, cell] / np.sqrt(1 + equations.sum(axis=0)), -1.0)
    likeness[cell] = np.inf
    near = np.zeros(len(n), dtype=bool)
    near[np.argsort(-likeness, kind="stable")[:NEAREST]] = True
    quick = _bounds(cell, n, equations, near & hidden)
    if covers(quick, min_n):
        return True
    bounds = _bounds(cell, n, equations, hidden)
    return covers(bounds, min_n) or bounds == _bounds(cell, n, equations, np.ones(len(n), dtype=bool))


def _bounds(cell: int, n: np.ndarray, equations: np.ndarray, hidden: np.ndarray) -> tuple[float, float]:
    return possible_values(cell, n, equations, hidden, least=np.zeros(len(n)))


@dataclass(frozen=True, kw_only=True, repr=False)
class RuleChanges(Result):
    """How often each rule of cleaning hits, beside the previous wave."""

    rows: pd.DataFrame = field(repr=False)
    comparable: bool = True

    def tidy(self) -> pd.DataFrame:
        """One row per rule: hits, shares and cut-offs of both waves, the interval of the difference, the verdict."""
        return self.rows.drop(columns="closed")

    def shown(self) -> pd.DataFrame:
        """The rows whose hits both flows show and that differ by nobody, or by enough people."""
        hit, previous = (self.rows[name].to_numpy(float) for name in ("n_hit", "n_hit_previous"))
        difference = np.abs(np.nan_to_num(hit) - np.nan_to_num(previous))
        hidden = self.rows["closed"].to_numpy() | ((difference > 0) & (difference < self.privacy.min_n))
        shown = blank(self.tidy(), hidden | (not self.comparable), CHANGE_NUMBERS)
        return shown if "hidden" not in shown else shown.assign(verdict=shown["verdict"].mask(shown["hidden"]))


def compare_rules(
    flow: pd.DataFrame, previous: pd.DataFrame, *, entered: tuple[int, int], privacy: Privacy
) -> RuleChanges:
    """Compare the hits of two flows rule by rule.

    Parameters
    ----------
    flow, previous : DataFrame
        The flows of this wave and of the previous one, ungated.
    entered : tuple of int
        Rows that entered, this wave and the previous one.
    privacy : Privacy
        The stricter policy of the two.

    Returns
    -------
    RuleChanges
        The interval is that of the difference of the two shares, Newcombe's method 10.

    References
    ----------
    Newcombe (1998), Statistics in Medicine 17, 873-890; the example of `difference_of_shares` is his.
    """
    now, before = (_with_gate(each, privacy.min_n) for each in (flow, previous))
    both = now.merge(before, on="rule", how="outer", suffixes=("", "_previous"), sort=False)
    ids = list(dict.fromkeys([*flow["rule"], *previous["rule"]]))
    both = both.set_index("rule").loc[ids].reset_index()
    for word in ("stage", "reason"):
        both[word] = both[word].fillna(both[f"{word}_previous"])
    both["share"], both["share_previous"] = both["n_hit"] / entered[0], both["n_hit_previous"] / entered[1]
    both["conf_low"], both["conf_high"] = difference_of_shares(
        both["share"], entered[0], both["share_previous"], entered[1]
    )
    both["verdict"] = _verdicts(both)
    both["closed"] = both["gated"].eq(True) | both["gated_previous"].eq(True)
    open_totals = all(number_entered_is_shown(each, privacy.min_n) for each in (flow, previous))
    return RuleChanges(
        title="Cleaning rules, this wave and the previous one",
        note=(
            "Share of the rows that entered; interval of the difference by Newcombe's method 10. Rules whose hits "
            f"differ by fewer than {privacy.min_n} respondents are hidden, since one file may contain the other."
        ),
        findings=() if open_totals else (_closed_finding(),),
        privacy=privacy,
        rows=both[[*CHANGES, "closed"]],
        comparable=open_totals,
    )


def difference_of_shares(
    share: np.ndarray, n: int, previous: np.ndarray, n_previous: int, *, conf_level: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Give the interval of share minus previous share, two independent samples, shape (k,) each.

    >>> low, high = difference_of_shares(np.array([56 / 70]), 70, np.array([48 / 80]), 80)
    >>> float(low[0].round(4)), float(high[0].round(4))
    (0.0524, 0.3339)
    """
    (low, high), (low_before, high_before) = (
        _wilson(p, m, conf_level) for p, m in ((share, n), (previous, n_previous))
    )
    difference = share - previous
    down = np.sqrt((share - low) ** 2 + (high_before - previous) ** 2)
    up = np.sqrt((high - share) ** 2 + (previous - low_before) ** 2)
    return difference - down, difference + up


def _wilson(share: np.ndarray, n: int, conf_level: float) -> tuple[np.ndarray, np.ndarray]:
    z = stats.norm.isf((1 - conf_level) / 2)
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return middle - half, middle + half


def _with_gate(flow: pd.DataFrame, min_n: int) -> pd.DataFrame:
    gated = gate_flow(flow, min_n)["n_hit"].iloc[: len(flow)].isna().to_numpy()
    return flow[["stage", "rule", "reason", "threshold", "n_hit"]].assign(gated=gated)


def _verdicts(rows: pd.DataFrame) -> list[str]:
    """Say what the two waves allow to say; a rule with another cut-off is another rule."""
    moved = rows["threshold"].ne(rows["threshold_previous"]) & rows[["threshold", "threshold_previous"]].notna().any(
        axis=1
    )
    conditions = [
        rows["n_hit_previous"].isna(), rows["n_hit"].isna(), moved, rows["conf_low"] > 0, rows["conf_high"] < 0,
    ]  # fmt: skip
    words = ["new rule", "no longer a rule", "another cut-off", "more often", "less often"]
    return np.select(conditions, words, "no clear change").tolist()


def _closed_finding() -> Finding:
    text = "In one of the waves so few respondents were removed that its shares would tell how many entered."
    return Finding(name="few_removed", text=f"{text} The comparison is hidden.")
