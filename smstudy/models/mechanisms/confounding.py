"""How strong an unmeasured confounder of mediator and outcome would have to be to undo an indirect effect."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from smstudy.display import apa, confounders, figures
from smstudy.display.prose import join_words
from smstudy.inference.bootstrap import Bootstrap
from smstudy.privacy import Privacy
from smstudy.result import Finding, Result

Array = NDArray[np.float64]
RHO = np.round(np.linspace(-0.9, 0.9, 37), 2)
SHOWN = (-0.6, -0.4, -0.2, 0.0, 0.2, 0.4, 0.6)
PICTURE_ROWS = 8


@dataclass(frozen=True, kw_only=True, repr=False)
class Confounding(Result):
    """The indirect effect over the strength of an unmeasured confounder.

    Attributes
    ----------
    rows : DataFrame
        term (the mediator), rho, estimate, conf_low, conf_high.
    summary : mapping
        `rho` at which the effect is zero, with its interval; `explained_unexplained`, the product of the shares of what
        is unexplained in mediator and outcome that the confounder would account for; `explained_total`, that of shares
        of all their variance; all of these with one mediator only, with several the note has each rho.
    """

    rows: pd.DataFrame = field(repr=False)
    summary: Mapping[str, int | float | str]

    picture: ClassVar[Callable[..., Axes]] = staticmethod(confounders.sensitivity_curve)

    def tidy(self) -> pd.DataFrame:
        """One row per mediator and correlation of the errors."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Where the effect is zero."""
        return dict(self.summary)

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """A few correlations."""
        near = np.isclose(shown["rho"].to_numpy()[:, None], SHOWN).any(axis=1)
        term = ["term"] if shown["term"].nunique() > 1 else []
        return shown.loc[near, [*term, "rho", "estimate", "conf_low", "conf_high"]]

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the effect over the correlation of the errors."""
        return super().plot(ax or figures.new_axes(PICTURE_ROWS))

    def alt_text(self) -> str:
        """Where the effect is zero, in words."""
        rho = self._gated_glance().get("rho")
        return self.title if rho is None else f"{self.title}. The effect is zero at rho = {apa.bounded(rho)}."


def confounding_of(
    found: Sequence[Bootstrap],
    left: tuple[Sequence[float], float],
    *,
    n: int,
    conf_level: float,
    names: tuple[str, Sequence[str], str],
    labels: Mapping[str, str],
    privacy: Privacy,
) -> Confounding:
    """Analyze how sensitive indirect effects are, one mediator at a time.

    Parameters
    ----------
    found : sequence of Bootstrap
        For each mediator: the effect at each of `RHO`, then the rho at which it is zero.
    left : tuple
        Shares of the variance of each mediator, and of the outcome, that their equations leave unexplained.
    n : int
        Respondents.
    conf_level : float
        Level of the percentile intervals.
    names : tuple
        Driver, mediators and outcome.
    labels, privacy
        Of the result.

    References
    ----------
    Imai, Keele & Yamamoto (2010), Statistical Science 25, 51-71, theorem 4 and section 5.2; several mediators: Imai &
    Yamamoto (2013), Political Analysis 21, 141-171. Agrees with the formulas of R `mediation::medsens`
    (tests/reference/mediation.R).
    """
    driver, outcome = (labels.get(name, name) for name in (names[0], names[2]))
    between = [labels.get(name, name) for name in names[1]]
    ends = [each.interval(conf_level) for each in found]
    critical = [float(each.estimate[-1]) for each in found]
    told = zip(critical, ends, between, strict=True)
    return Confounding(
        title=f"What an unmeasured confounder of {join_words(between, 'or')} and {outcome} would do",
        note=_note(driver, between, outcome, critical),
        findings=tuple(finding for each in told for finding in _findings(*each, outcome)),
        rows=pd.concat([_rows(*each) for each in zip(names[1], found, ends, strict=True)], ignore_index=True),
        summary={"n": n, **(_one(critical[0], ends[0], left) if len(found) == 1 else {}), "conf_level": conf_level},
        labels=labels,
        privacy=privacy,
    )


def _rows(mediator: str, found: Bootstrap, ends: tuple[Array, Array]) -> pd.DataFrame:
    low, high = (end[:-1] for end in ends)
    return pd.DataFrame(
        {"term": mediator, "rho": RHO, "estimate": found.estimate[:-1], "conf_low": low, "conf_high": high}
    )


def _one(rho: float, ends: tuple[Array, Array], left: tuple[Sequence[float], float]) -> dict[str, float]:
    """What is told of a single mediator."""
    return {
        "rho": rho,
        "rho_low": float(ends[0][-1]),
        "rho_high": float(ends[1][-1]),
        "explained_unexplained": rho**2,
        "explained_total": rho**2 * left[0][0] * left[1],
    }


def _note(driver: str, between: Sequence[str], outcome: str, critical: Sequence[float]) -> str:
    note = (
        f"Indirect effect of {driver} on {outcome} by way of {join_words(between, 'or')}, if something that was not "
        "measured made what is unexplained in both correlate by rho. "
    )
    if len(between) == 1:
        return note + (
            "Below the table is the rho at which the effect is zero: the nearer to 0, the less it takes. R² are shares "
            "of variance of both, multiplied."
        )
    zeros = [f"{name} {apa.bounded(rho)}" for name, rho in zip(between, critical, strict=True)]
    return note + (
        f"The effect is zero at rho = {join_words(zeros)}: the nearer to 0, the less it takes. One mediator at a time: "
        "the confounder is taken to have nothing to do with the other mediators, and none of them to act on another."
    )


def _findings(rho: float, ends: tuple[Array, Array], mediator: str, outcome: str) -> tuple[Finding, ...]:
    """Say what it takes to undo the indirect effect, where there is one to undo."""
    low, high = (float(end[:-1][RHO == 0][0]) for end in ends)
    if low <= 0 <= high:
        return ()
    text = (
        f"Something unmeasured that made {mediator} and {outcome} correlate by {apa.bounded(rho)}, beyond what is in "
        "the equations, would account for all of the indirect effect."
    )
    return (Finding(name="unmeasured_confounder", text=text, severity="info"),)
