"""The flow of respondents through the rules: counted, split by group, and gated so that no small count follows."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from smstudy.result import Result
from smstudy.survey.disclosure import blank, hidden_rows, hide_cells

FLOW = ("stage", "rule", "reason", "action", "threshold", "n_before", "n_hit", "n_removed", "n_after")
WORDS = ("stage", "rule", "reason", "action")
COUNTS = ("n_before", "n_hit", "n_removed", "n_after")


@dataclass(frozen=True, kw_only=True, repr=False)
class UnitFlow(Result):
    """The flow of respondents by department; most cells are small, so most are hidden."""

    flow: pd.DataFrame = field(repr=False)
    overall: pd.DataFrame = field(repr=False)

    def tidy(self) -> pd.DataFrame:
        """One row per department and rule."""
        return self.flow.copy()

    def shown(self) -> pd.DataFrame:
        """The flow with cells hidden so that none follows from departments, rules or the flow of all."""
        return gate_unit_flow(self.flow, self.overall, self.privacy.min_n)


def first_rule(hits: pd.DataFrame, flow: pd.DataFrame) -> np.ndarray:
    """The place in the flow of the rule that removed each row, shape (n rows,); -1 for those who stayed."""
    removes = (flow["action"] == "exclude").to_numpy()
    first = np.full(len(hits), -1)
    for place in np.flatnonzero(removes)[::-1]:
        first[hits.iloc[:, place].to_numpy()] = place
    return first


def first_reason(hits: pd.DataFrame, flow: pd.DataFrame) -> pd.Series:
    """The id of the rule that removed each row; None for those who stayed."""
    ids = np.append(flow["rule"].to_numpy(dtype=object), None)
    return pd.Series(ids[first_rule(hits, flow)], index=hits.index, dtype=object)


def flow_by_group(groups: pd.Series, hits: pd.DataFrame, flow: pd.DataFrame) -> pd.DataFrame:
    """Count the flow of each group, one row per group and rule, groups in the order of their names."""
    codes, names = pd.factorize(groups, sort=True)
    k, rules = len(names), len(flow)
    first = first_rule(hits, flow)
    cells = np.bincount((codes * (rules + 1) + first + 1), minlength=k * (rules + 1)).reshape(k, rules + 1)
    removed = cells[:, 1:]
    after = cells.sum(axis=1)[:, None] - np.cumsum(removed, axis=1)
    hit = np.column_stack([np.bincount(codes[hits.iloc[:, place].to_numpy()], minlength=k) for place in range(rules)])
    words = pd.concat([flow[list(WORDS)]] * k, ignore_index=True)
    words.insert(0, "group", np.repeat(np.asarray(names, dtype=object), rules))
    counts = {"n_before": after + removed, "n_hit": hit, "n_removed": removed, "n_after": after}
    return words.assign(**{name: values.ravel() for name, values in counts.items()})


def number_entered_is_shown(flow: pd.DataFrame, min_n: int) -> bool:
    """Say whether enough respondents were removed to show how many entered."""
    return _together(flow["n_removed"].to_numpy(), min_n)[1]


def gate_flow(flow: pd.DataFrame, min_n: int) -> pd.DataFrame:
    """Hide rules that hit or removed few respondents, so that none of these counts follows from the totals.

    Hidden rules are counted together in a last row. If their sum would narrow one of them down, the rule with the next
    smallest number of removed joins them. Running totals are those of the shown rows, in their order: nobody is removed
    twice, so they reconcile in any order. Where the hits of a shown rule would say something about some of the hidden
    ones (hits beyond the removed were removed before), or that few of those hit were out already, they are left out.

    Parameters
    ----------
    flow : DataFrame
        Columns as `FLOW`.
    min_n : int
        Smallest count that may be shown.

    Returns
    -------
    DataFrame
        The same rows with numbers blanked and `hidden` true where needed, and a row of the hidden ones together. It is
        left out, and with it the number entered, if so few were removed in all that their sum gives a count away.
    """
    if flow.empty or 0 < flow["n_after"].iloc[-1] < min_n:
        return blank(flow, np.ones(len(flow), dtype=bool), COUNTS)
    together, known = _together(flow["n_removed"].to_numpy(), min_n)
    hidden = together | flow["n_hit"].between(1, min_n - 1).to_numpy()
    if not hidden.any():
        return flow.assign(n_hit=flow["n_hit"].mask(_few_already_out(flow, min_n)))
    shown = pd.concat([flow, _together_row(flow, together)]) if known and together.any() else flow
    shown = shown.reset_index(drop=True)
    added = (0, len(shown) - len(flow))
    mask = np.pad(hidden, added)
    after = flow["n_after"].iloc[-1] + shown["n_removed"].where(~mask, 0)[::-1].cumsum()[::-1]
    shown = shown.assign(n_before=after, n_after=after - shown["n_removed"].where(~mask, 0))
    before = np.pad(np.cumsum(together) - together, added)
    some = (before > 0) & ((before < together.sum()) | (not known))
    partial = (some & (shown["n_hit"] > shown["n_removed"]).to_numpy()) | _few_already_out(shown, min_n)
    shown["n_hit"] = shown["n_hit"].astype(float).mask(partial)
    return blank(shown, mask, COUNTS)


def _few_already_out(flow: pd.DataFrame, min_n: int) -> np.ndarray:
    """Say of which rules hits minus removed gives a small count away: those hit who were out already."""
    return (flow["n_hit"] - flow["n_removed"]).between(1, min_n - 1).to_numpy()


def _together(removed: np.ndarray, min_n: int) -> tuple[np.ndarray, bool]:
    """Choose the rules to count together, and say whether their sum may be shown."""
    together = (removed > 0) & (removed < min_n)
    order = [place for place in np.argsort(removed, kind="stable") if removed[place] >= min_n]
    while together.any() and not _open(removed[together], min_n):
        if not order:
            return together, False
        together[order.pop(0)] = True
    return together, True


def _open(removed: np.ndarray, min_n: int) -> bool:
    """Say whether removals whose sum is known leave each of them open from 1 to min_n - 1."""
    return len(removed) > 1 and removed.sum() >= min_n + len(removed) - 2


def _together_row(flow: pd.DataFrame, together: np.ndarray) -> pd.DataFrame:
    words = {"stage": "several", "rule": "hidden rules", "reason": "The hidden rules together", "action": "exclude"}
    return pd.DataFrame([{**words, "n_hit": np.nan, "n_removed": flow.loc[together, "n_removed"].sum()}])


def gate_unit_flow(flow: pd.DataFrame, overall: pd.DataFrame, min_n: int) -> pd.DataFrame:
    """Hide cells of a flow by department so that none follows from its row, its rule or the flow of all respondents.

    The removals by department and rule, and all removals, the rows entered and the rows left of each department are the
    cells of one system of sums, checked by linear programming (see `disclosure.hide_cells`). Running totals are shown
    for departments in which nothing is hidden.
    """
    groups, rules = list(dict.fromkeys(flow["group"])), len(overall)
    cube = {name: flow[name].to_numpy(float).reshape(len(groups), rules) for name in COUNTS}
    entered, left = cube["n_before"][:, 0], cube["n_after"][:, -1]
    removed = np.column_stack([cube["n_removed"], cube["n_removed"].sum(axis=1), entered, left])
    live = removed.sum(axis=0)[:rules] > 0
    start = np.zeros(removed.shape, dtype=bool)
    start[:, :rules] = (removed[:, :rules] < min_n) & live
    start[:, rules : rules + 2] = hidden_rows(
        removed[:, rules : rules + 2], min_n, hidden=(removed[:, rules] < min_n) & live.any()
    )[:, None]
    start[:, rules + 2] = hidden_rows(removed[:, [rules + 2]], min_n)
    equations = _unit_equations(len(groups), known_sums(overall, min_n))
    totals = np.tile(np.arange(rules + 3) > rules, len(groups))
    hidden = hide_cells(removed.ravel(), equations, min_n, hidden=start.ravel(), last=totals).reshape(removed.shape)
    cells = hidden[:, :rules] | hidden_rows(np.column_stack([entered, left]), min_n)[:, None]
    cells = _hide_hits(cells, cube["n_hit"], cube["n_removed"], min_n)
    closed = np.repeat(cells.any(axis=1) | hidden[:, rules:].any(axis=1), rules)
    shown = blank(flow, cells.ravel(), COUNTS)
    return shown.assign(n_before=shown["n_before"].mask(closed), n_after=shown["n_after"].mask(closed))


def _hide_hits(cells: np.ndarray, hit: np.ndarray, removed: np.ndarray, min_n: int) -> np.ndarray:
    """Extend hidden cells, shape (departments, rules), until the hits by rule give none away either.

    A rule that hits more than it removes says how many were out before, so after a hidden cell it is hidden too.
    """
    cells = cells | ((hit < min_n) & (hit.sum(axis=0) > 0)) | ((hit > removed) & (hit - removed < min_n))
    before = np.zeros_like(cells)
    while not np.array_equal(before, cells):
        before = cells.copy()
        cells |= (hit > removed) & (np.cumsum(cells, axis=1) - cells > 0)
        for rule in range(cells.shape[1]):
            cells[:, rule] = hidden_rows(hit[:, [rule]], min_n, hidden=cells[:, rule])
    return cells


def known_sums(overall: pd.DataFrame, min_n: int) -> np.ndarray:
    """Give the sums of removals that the shown flow gives away, one row of ones and zeros over the rules for each."""
    together, known = _together(overall["n_removed"].to_numpy(), min_n)
    single = np.eye(len(overall))[~together]
    return np.vstack([single, together]) if known and together.any() else single


def _unit_equations(groups: int, sums: np.ndarray) -> np.ndarray:
    """Known sums over the cells of every department: its rules, then removed, entered and left.

    Within a department its rules add up to the removed, and entered - removed - left = 0; over departments the known
    sums of rules, and the numbers left. The numbers entered follow from these.
    """
    rules = sums.shape[1]
    own = np.array([[1.0] * rules + [-1, 0, 0], [0.0] * rules + [-1, 1, -1]])
    all_left = np.eye(1, rules + 3, rules + 2)
    across = np.vstack([np.pad(sums, ((0, 0), (0, 3))), all_left])
    return np.vstack([np.kron(np.eye(groups), own), np.tile(across, (1, groups))])
