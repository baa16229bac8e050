"""How far teams differ in a multilevel model: variances with their tests, and the teams that may be shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy import stats

from smstudy.display import figures
from smstudy.display.caterpillars import MOST_NAMED, caterpillar
from smstudy.errors import ColumnError, DataError, StudyError, did_you_mean
from smstudy.inference.regression.design import INTERCEPT, Design
from smstudy.inference.regression.random_effects import Spread
from smstudy.result import Finding, Result
from smstudy.survey.dataset import Data, Survey, frame_of
from smstudy.survey.disclosure import hidden_groups
from smstudy.survey.suppression import hidden_rows

Array = NDArray[np.float64]
WITHIN = "(residual)"
DEVIATION, CORRELATION = "standard deviation", "correlation"
TALL = 12


@dataclass(frozen=True, kw_only=True, repr=False)
class TeamVariances(Result):
    """Standard deviations and correlations of the random effects of a multilevel model, one row each."""

    rows: pd.DataFrame = field(repr=False)
    summary: dict[str, int | float | str]

    picture: ClassVar = staticmethod(partial(figures.estimates, xlabel="Standard deviation, with interval"))

    def tidy(self) -> pd.DataFrame:
        """One row per standard deviation, the residual one last, then the correlations."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Sample and level of the intervals."""
        return dict(self.summary)

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """Leave out columns without a value."""
        return shown[[name for name in shown if shown[name].notna().any()]]

    def drawn(self) -> pd.DataFrame:
        """Standard deviations only; correlations have another scale."""
        drawn = super().drawn()
        return drawn[drawn["parameter"] == DEVIATION]


@dataclass(frozen=True, kw_only=True, repr=False)
class TeamDeviations(Result):
    """How far each team is from the average one, as the model expects it; only teams that may be shown."""

    rows: pd.DataFrame = field(repr=False)
    summary: dict[str, int | float | str]

    picture: ClassVar = staticmethod(caterpillar)

    def tidy(self) -> pd.DataFrame:
        """One row per random effect and team."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """Teams shown and level of the intervals."""
        return dict(self.summary)

    def drawn(self) -> pd.DataFrame:
        """The level of each team, not its slopes."""
        drawn = super().drawn()
        return drawn[drawn["term"] == INTERCEPT]

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the teams sorted; names only where there is room for them."""
        drawn = self.drawn()
        rows = len(drawn) if len(drawn) <= MOST_NAMED else TALL
        return caterpillar(ax or figures.new_axes(rows), drawn, labels=self.labels, title=self.title)


class Teams(NamedTuple):
    """Names in order, the number of each respondent's team, and the respondents of each."""

    names: list[str]
    codes: NDArray[np.intp]
    sizes: NDArray[np.intp]


def teams_of(column: pd.Series, group: str) -> Teams:
    """Read the teams from a column without gaps.

    Raises
    ------
    DataError
        If it holds numbers with decimals, names one team only, or a team of its own for everybody.
    """
    if pd.api.types.is_float_dtype(column.dtype) and (column % 1 != 0).any():
        raise DataError(f'"{group}" holds numbers with decimals, so it names no teams. Name the column of the teams.')
    codes, found = pd.factorize(column, sort=True)
    sizes = np.bincount(codes, minlength=len(found))
    if len(found) < 2:
        raise DataError(f'"{group}" has one team only in the complete rows. Use regress() instead.')
    if sizes.max() < 2:
        raise DataError(f'Every team of "{group}" has one respondent, so teams and persons cannot be told apart.')
    return Teams([_name(name) for name in found], codes, sizes)


def _name(value: object) -> str:
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def check_group(data: Data, group: str) -> None:
    """Refuse a column of teams that the data do not have with a DataError."""
    columns = [str(name) for name in frame_of(data).columns]
    if group not in columns:
        hint = did_you_mean(group, columns)
        raise ColumnError(f'There is no column "{group}", which would name teams. Name the teams: group=. {hint}')


def check_level(conf_level: float) -> None:
    """Refuse what is no level of an interval with a StudyError."""
    if not isinstance(conf_level, (int, float)) or not 0.5 <= conf_level < 1:
        raise StudyError(f"conf_level = {conf_level} is no level. Give a share from 0.5 to below 1, such as 0.95.")


def check_rows(design: Design) -> None:
    """Refuse a design with too few rows for its coefficients and a variance with a DataError."""
    n, p = design.x.shape
    if n - p < 2:
        raise DataError(f"{n} complete rows cannot carry {p} coefficients and a variance. Name fewer terms.")


def variance_rows(
    names: tuple[str, ...], deviations: Spread, related: Spread, shares: Array, tests: list[tuple[float, float, float]]
) -> pd.DataFrame:
    """The table of `TeamVariances`.

    Parameters
    ----------
    names : tuple of str, length q
        Terms whose effect differs between teams.
    deviations : Spread
        Of the q random effects, and of the residuals where the model has them.
    related : Spread
        Their correlations in the order of the lower triangle.
    shares : array, shape of the deviations
        Share of the variance each accounts for.
    tests : list of (statistic, df, p)
        Likelihood-ratio test of each random effect.
    """
    terms = [*names, WITHIN][: len(deviations.estimate)]
    rows, columns = np.tril_indices(len(names), -1)
    tests = [*tests, *[(np.nan,) * 3] * (len(terms) - len(tests))]
    table = pd.DataFrame(
        {
            "term": terms,
            "other_term": None,
            "parameter": DEVIATION,
            **_numbers(deviations),
            "variance_share": shares,
            **dict(zip(("statistic", "df", "p_value"), np.array(tests).T, strict=True)),
        }
    )
    pairs = pd.DataFrame(
        {
            "term": [names[i] for i in columns],
            "other_term": [names[i] for i in rows],
            "parameter": CORRELATION,
            **_numbers(related),
        }
    )
    return pd.concat([table, pairs], ignore_index=True) if len(pairs) else table.drop(columns="other_term")


def _numbers(spread: Spread) -> dict[str, Array]:
    return {"estimate": spread.estimate, "conf_low": spread.low, "conf_high": spread.high}


def deviation_rows(
    names: tuple[str, ...], teams: list[str], sizes: Array, modes: Array, errors: Array, conf_level: float
) -> pd.DataFrame:
    """The table of `TeamDeviations`: modes and their errors of shape (G, q)."""
    estimate, error = modes.T.ravel(), errors.T.ravel()
    reach = stats.norm.isf((1 - conf_level) / 2) * error
    low, high = estimate - reach, estimate + reach
    return pd.DataFrame(
        {
            "term": np.repeat(names, len(teams)),
            "group": teams * len(names),
            "n": np.tile(sizes, len(names)).astype(int),
            "estimate": estimate,
            "std_error": error,
            "conf_low": low,
            "conf_high": high,
            "reading": np.where(
                low > 0, "above the average", np.where(high < 0, "below the average", "not told apart")
            ),
        }
    )


def closed_teams(
    data: Data, group: str, names: list[str], people: NDArray[np.intp], alike: NDArray[np.bool_], min_n: int
) -> NDArray[np.bool_]:
    """Teams that are not shown, shape (G,): small ones, those of one mind, and those that protect them.

    What the model expects of a team, its size and the coefficients tell the mean of its members. Of an outcome of two
    answers that is how many gave each, so that teams in which few gave one of them are not shown either.

    Parameters
    ----------
    data : Survey or DataFrame
        A survey closes what every table of it hides.
    group : str
        Column of the teams.
    names : list of str
        Teams of the model.
    people : array, shape (G, k)
        Their respondents, and where the outcome has two answers those who gave each.
    alike : bool array, shape (G,)
        Teams whose members all have the same outcome.
    min_n : int
        Smallest team that may be shown.
    """
    hidden = alike.copy()
    if isinstance(data, Survey):
        hidden |= np.isin(names, list(hidden_groups(data, group)))
    return hidden_rows(people.astype(float), min_n, hidden=hidden)


def hidden_finding(hidden: NDArray[np.bool_], min_n: int) -> tuple[Finding, ...]:
    """Say that teams are not shown, and that they count in the model."""
    if not hidden.any():
        return ()
    text = (
        f"Teams are not shown: fewer than {min_n} respondents, in all or with one of two answers, all with the same "
        "answer, or needed so that such a one does not follow. They count in the model."
    )
    return (Finding(name="groups_hidden", text=text, severity="info"),)
