"""How strong an unmeasured confounder of mediator and outcome would have to be to undo an indirect effect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from smstudy.display import apa, confounders, figures
from smstudy.inference.bootstrap import Bootstrap
from smstudy.privacy import Privacy
from smstudy.result import Finding, Result

RHO = np.round(np.linspace(-0.9, 0.9, 37), 2)
SHOWN = (-0.6, -0.4, -0.2, 0.0, 0.2, 0.4, 0.6)
PICTURE_ROWS = 8


@dataclass(frozen=True, kw_only=True, repr=False)
class Confounding(Result):
    """The indirect effect over the strength of an unmeasured confounder.

    Attributes
    ----------
    rows : DataFrame
        rho, estimate, conf_low, conf_high.
    summary : mapping
        `rho` at which the effect is zero, with its interval; `explained_unexplained`, the product of the shares of what
        is unexplained in mediator and outcome that the confounder would account for; `explained_total`, that of shares
        of all their variance.
    """

    rows: pd.DataFrame = field(repr=False)
    summary: Mapping[str, int | float | str]

    picture: ClassVar[Callable[..., Axes]] = staticmethod(confounders.sensitivity_curve)

    def tidy(self) -> pd.DataFrame:
        """One row per correlation of the errors."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Where the effect is zero."""
        return dict(self.summary)

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """A few correlations."""
        near = np.isclose(shown["rho"].to_numpy()[:, None], SHOWN).any(axis=1)
        return shown.loc[near, ["rho", "estimate", "conf_low", "conf_high"]]

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the effect over the correlation of the errors."""
        return super().plot(ax or figures.new_axes(PICTURE_ROWS))

    def alt_text(self) -> str:
        """Where the effect is zero, in words."""
        rho = self._gated_glance().get("rho")
        return self.title if rho is None else f"{self.title}. The effect is zero at rho = {apa.bounded(rho)}."


def confounding_of(
    found: Bootstrap,
    left: tuple[float, float],
    *,
    n: int,
    conf_level: float,
    names: tuple[str, str, str],
    labels: Mapping[str, str],
    privacy: Privacy,
) -> Confounding:
    """Analyze how sensitive an indirect effect by way of one mediator is.

    Parameters
    ----------
    found : Bootstrap
        The effect at each of `RHO`, then the rho at which it is zero.
    left : tuple of float
        Shares of the variance of mediator and outcome that their equations leave unexplained.
    n : int
        Respondents.
    conf_level : float
        Level of the percentile intervals.
    names : tuple of str
        Driver, mediator and outcome.
    labels, privacy
        Of the result.

    References
    ----------
    Imai, Keele & Yamamoto (2010), Statistical Science 25, 51-71, theorem 4 and section 5.2. Agrees with the formulas of
    R `mediation::medsens` (tests/reference/mediation.R).
    """
    low, high = found.interval(conf_level)
    zero = int(np.flatnonzero(RHO == 0)[0])
    rho = float(found.estimate[-1])
    driver, between, outcome = (labels.get(name, name) for name in names)
    return Confounding(
        title=f"What an unmeasured confounder of {between} and {outcome} would do",
        note=f"Indirect effect of {driver} on {outcome} by way of {between}, if something that was not measured made "
        "what is unexplained in both correlate by rho. Below the table is the rho at which the effect is zero: the "
        "nearer to 0, the less it takes. R² are shares of variance of both, multiplied.",
        findings=_findings(rho, float(low[zero]), float(high[zero]), between, outcome),
        rows=pd.DataFrame({"rho": RHO, "estimate": found.estimate[:-1], "conf_low": low[:-1], "conf_high": high[:-1]}),
        summary={
            "n": n,
            "rho": rho,
            "rho_low": float(low[-1]),
            "rho_high": float(high[-1]),
            "explained_unexplained": rho**2,
            "explained_total": rho**2 * left[0] * left[1],
            "conf_level": conf_level,
        },
        labels=labels,
        privacy=privacy,
    )


def _findings(rho: float, low: float, high: float, mediator: str, outcome: str) -> tuple[Finding, ...]:
    """Say what it takes to undo the indirect effect, where there is one to undo."""
    if low <= 0 <= high:
        return ()
    text = (
        f"Something unmeasured that made {mediator} and {outcome} correlate by {apa.bounded(rho)}, beyond what is in "
        "the equations, would account for all of the indirect effect."
    )
    return (Finding(name="unmeasured_confounder", text=text, severity="info"),)
