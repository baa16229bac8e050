"""What a mediation is asked for, checked, and the columns and equations it becomes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smstudy.display.prose import join_words, plural
from smstudy.errors import DataError, DisclosureError, EstimationError, StudyError, did_you_mean
from smstudy.inference.bootstrap import Interval
from smstudy.inference.regression.covariance import FEWEST_CLUSTERS, NAMES, Kind, clustered_kind
from smstudy.inference.regression.design import INTERCEPT, Design, build_design
from smstudy.inference.regression.diagnostics import describes_too_few
from smstudy.inference.regression.formula import Factor, Formula, Term, parse_formula, term_label
from smstudy.inference.regression.pathways import (
    DRIVER,
    MODERATOR,
    OUTCOME,
    PRODUCT,
    PathModel,
    Stretch,
    mediator,
    moderated_mediator,
)
from smstudy.models.mechanisms.moderator_values import usual_values
from smstudy.models.regressions.regression_fits import Errors, Fit, Inference, fit_model, infer
from smstudy.privacy import Privacy
from smstudy.survey.dataset import Data, labels_of
from smstudy.survey.disclosure import NO_GROUP, pool_hidden, pooled_column

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
PARALLEL, SERIAL = 4, 6
MODELS: dict[int, frozenset[Stretch]] = {
    PARALLEL: frozenset(),
    SERIAL: frozenset(),
    7: frozenset({"first"}),
    8: frozenset({"first", "direct"}),
    14: frozenset({"second"}),
    15: frozenset({"second", "direct"}),
    58: frozenset({"first", "second"}),
    59: frozenset({"first", "second", "direct"}),
}
MODERATED = tuple(number for number, moderated in MODELS.items() if moderated)
STRETCHES = {"first": "driver to mediator", "second": "mediator to outcome", "direct": "driver to outcome"}
MOST_MEDIATORS, MOST_SERIAL = 6, 4
FEWEST_RESAMPLES, MOST_RESAMPLES = 100, 100_000


class Asked(NamedTuple):
    """What was asked for, with the names of `mediate`."""

    outcome: str
    driver: str
    mediators: tuple[str, ...]
    moderator: str | None
    number: int
    controls: tuple[Term, ...]
    cluster: str | None
    interval: Interval
    n_boot: int
    seed: int
    conf_level: float

    @property
    def names(self) -> dict[str, str]:
        """What the columns of the path model are called in the data."""
        middle = {mediator(place): name for place, name in enumerate(self.mediators)}
        found = {OUTCOME: self.outcome, DRIVER: self.driver, **middle}
        if self.moderator is not None:
            found |= {MODERATOR: self.moderator, PRODUCT: f"{self.driver}:{self.moderator}"}
            found |= {moderated_mediator(i): f"{name}:{self.moderator}" for i, name in enumerate(self.mediators)}
        return found


class MediationModel(NamedTuple):
    """What a mediation is fitted to.

    `columns` are those of `paths.columns`, less their means, then the controls; `places` are values of the moderator in
    words and as numbers; `groups` are clusters, from 0.
    """

    asked: Asked
    paths: PathModel
    design: Design
    columns: Array
    n_controls: int
    places: tuple[tuple[str, float], ...]
    groups: Codes | None
    labels: Mapping[str, str]

    @property
    def n_groups(self) -> int:
        """Clusters; 0 without."""
        return 0 if self.groups is None else int(self.groups.max()) + 1

    @property
    def covariance(self) -> Kind:
        """How errors of single paths are computed."""
        return "HC3" if self.groups is None else clustered_kind(self.n_groups)

    @property
    def control_names(self) -> list[str]:
        """Names of the controls' coefficients."""
        wanted = [term_label(term) for term in self.asked.controls]
        pairs = list(zip(self.design.names, self.design.terms, strict=True))
        return [name for label in wanted for name, term in pairs if term == label]

    def column(self, name: str) -> Array:
        """A column of the path model."""
        return self.columns[:, self.paths.columns.index(name)]

    def unit(self, name: str) -> float:
        """A standard deviation of a column; the whole step of one with two values."""
        values = self.column(name)
        return float(np.ptp(values) if len(np.unique(values)) == 2 else values.std(ddof=1))

    def coefficient_names(self, outcome: str) -> list[str]:
        """Names of the coefficients of an equation."""
        own = [self.asked.names[name] for name in self.paths.equations[outcome]]
        return [INTERCEPT, *own, *self.control_names]


def model_number(model: int | None, moderator: str | None) -> int:
    """Check the number of the model; StudyError if it is not known or a moderator is missing or too many."""
    if model is None and moderator is not None:
        meanings = [f"{number} ({depending(number)})" for number in MODERATED]
        raise StudyError(
            f"A moderator needs the number of the model: {join_words(meanings, 'or')}. Name one in model=."
        )
    if model == 1:
        raise StudyError('Model 1 has no mediator. Use moderate("outcome ~ driver * moderator", data).')
    number = PARALLEL if model is None else model
    if isinstance(number, bool) or number not in MODELS:
        raise StudyError(f"model = {model!r} is not known. Allowed: {join_words([str(n) for n in MODELS], 'or')}.")
    if MODELS[number] and moderator is None:
        raise StudyError(f"Model {number} needs a moderator, for {depending(number)}. Name it in moderator=.")
    if not MODELS[number] and moderator is not None:
        known = join_words([str(n) for n in MODERATED], "or")
        raise StudyError(f"Model {number} has no moderator. Leave moderator= out, or choose model {known}.")
    return number


def depending(number: int) -> str:
    """Which paths depend on the moderator, in words.

    >>> depending(15)
    'mediator to outcome and driver to outcome'
    """
    return join_words([words for stretch, words in STRETCHES.items() if stretch in MODELS[number]])


def names_of(names: Sequence[str], what: str) -> tuple[str, ...]:
    """A list of names as a tuple; StudyError if it is anything else."""
    if isinstance(names, str) or not isinstance(names, Iterable) or not all(isinstance(name, str) for name in names):
        raise StudyError(f'{what} must be a list of names, such as {what}=["usefulness"].')
    return tuple(names)


def control_terms(controls: Sequence[str], outcome: str) -> tuple[Term, ...]:
    """Read controls as the terms of a formula."""
    names = names_of(controls, "controls")
    if not names:
        return ()
    parsed = parse_formula(f"`{outcome}` ~ {' + '.join(names)}")
    if not parsed.intercept:
        raise StudyError("The equations keep their constant. Remove the 0 or -1 from the controls.")
    return parsed.terms


def check_asked(asked: Asked) -> None:
    """Refuse what contradicts itself or is out of range."""
    roles = [asked.outcome, asked.driver, *asked.mediators, *([asked.moderator] if asked.moderator else [])]
    twice = sorted({name for name in roles if roles.count(name) > 1})
    if twice:
        raise StudyError(f'"{twice[0]}" has two parts to play. Outcome, driver, mediators and moderator must differ.')
    used = sorted({factor.column for term in asked.controls for factor in term} & set(roles))
    if used:
        raise StudyError(f'"{used[0]}" is a control and something else too. Take it out of controls.')
    least, most = (2, MOST_SERIAL) if asked.number == SERIAL else (1, MOST_MEDIATORS)
    if not least <= len(asked.mediators) <= most:
        raise StudyError(f"Model {asked.number} has {least} to {most} mediators, not {len(asked.mediators)}.")
    kinds = get_args(Interval)
    if asked.interval not in kinds:
        raise StudyError(f'interval = "{asked.interval}" is not known. {did_you_mean(str(asked.interval), kinds)}')
    if not isinstance(asked.n_boot, int) or not FEWEST_RESAMPLES <= asked.n_boot <= MOST_RESAMPLES:
        allowed = f"Use a whole number from {FEWEST_RESAMPLES} to {MOST_RESAMPLES:,}."
        raise StudyError(f"n_boot = {asked.n_boot!r} is no number of resamples. {allowed}")
    if not isinstance(asked.seed, int) or asked.seed < 0:
        raise StudyError(f"seed = {asked.seed!r} is no seed. Give a whole number from 0 on, such as 1.")


def build_mediation(asked: Asked, data: Data, policy: Privacy) -> MediationModel:
    """Read the columns.

    Raises
    ------
    DataError
        If a column is unknown, constant or text, has two values where a number is needed or several levels where two
        are, or there are fewer than 6 clusters.
    DisclosureError
        If too few respondents answered, or have a value or level.
    """
    formula = _formula(asked)
    frame = pool_hidden(data, formula.columns)
    _refuse_unfit(asked, frame)
    design = build_design(formula, frame, min_level_n=policy.min_n, also=[asked.cluster] if asked.cluster else [])
    centered = _centered(asked, design)
    places: tuple[tuple[str, float], ...] = ()
    middle = 0.0
    if asked.moderator is not None:
        values = design.x[:, design.terms.index(asked.moderator)]
        places, middle = _places(asked.moderator, values, design, policy.min_n), values.mean()
    paths = PathModel(
        n_mediators=len(asked.mediators),
        serial=asked.number == SERIAL,
        moderated=MODELS[asked.number],
        values=tuple(value - middle for _, value in places),
    )
    labels = [term_label(term) for term in asked.controls]
    controls = [place for label in labels for place, term in enumerate(design.terms) if term == label]
    return MediationModel(
        asked=asked,
        paths=paths,
        design=design,
        columns=np.column_stack([*(centered[name] for name in paths.columns), design.x[:, controls]]),
        n_controls=len(controls),
        places=places,
        groups=_clusters(pooled_column(data, asked.cluster)[design.used]) if asked.cluster else None,
        labels=dict(labels_of(data)),
    )


def fit_equation(
    model: MediationModel, outcome: str, policy: Privacy, *, explains: Sequence[str] | None = None
) -> tuple[Fit, Inference]:
    """Fit one equation, with robust errors; `explains` takes the place of what the model has explain the outcome.

    Raises
    ------
    DataError
        If there are fewer respondents than coefficients.
    DisclosureError
        If coefficients would describe too few respondents.
    EstimationError
        If columns determine each other or what is explained.
    """
    place = {name: number for number, name in enumerate(model.paths.columns)}
    explaining = model.paths.equations[outcome] if explains is None else explains
    own = [place[name] for name in explaining]
    controls = range(len(place), model.columns.shape[1])
    x = np.column_stack([np.ones(len(model.columns)), model.columns[:, [*own, *controls]]])
    names = (INTERCEPT, *(model.asked.names[name] for name in explaining), *model.control_names)
    if len(x) - len(names) < 1:
        raise DataError(f"{len(x)} complete rows cannot carry {len(names)} coefficients. Name fewer columns.")
    numeric = (True,) * len(names)
    design = replace(model.design, y=model.column(outcome), x=x, names=names, terms=names, numeric=numeric)
    fit = fit_model(design, "linear", None)
    if fit.exact:
        explained = model.asked.names[outcome]
        raise EstimationError(f'"{explained}" is given exactly by the others. Is it computed from one of them?')
    if describes_too_few(x, fit.hat, min_n=policy.min_n):
        raise DisclosureError(
            f"Some coefficients together give the mean of fewer than {policy.min_n} respondents whom nobody resembles. "
            "Merge values by what they mean, or name fewer columns."
        )
    kind = model.covariance
    return fit, infer(design, fit, "linear", Errors(kind, model.asked.conf_level, NAMES[kind], model.groups))


def _formula(asked: Asked) -> Formula:
    """Everything any equation needs, as one formula."""
    driver, *middle = (Factor(name) for name in (asked.driver, *asked.mediators))
    terms: list[Term] = [(driver,), *((factor,) for factor in middle)]
    if asked.moderator is not None:
        other = Factor(asked.moderator)
        moderated = MODELS[asked.number]
        products = [driver] * bool(moderated & {"first", "direct"}) + middle * ("second" in moderated)
        terms += [(other,), *((factor, other) for factor in products)]
    every = (*terms, *asked.controls)
    return Formula(f"mediation of {asked.outcome}", Factor(asked.outcome), tuple(sorted(every, key=len)), True)


def _refuse_unfit(asked: Asked, frame: pd.DataFrame) -> None:
    """Outcome and mediators are explained by linear equations, so they must be numbers with more than two values."""
    parts = [(asked.outcome, "outcome"), *((name, "mediator") for name in asked.mediators)]
    for name, part in parts:
        if name not in frame or isinstance(frame[name], pd.DataFrame):
            continue  # build_design says so
        if frame[name].nunique() == 2:
            advice = {
                "outcome": 'Ask regress(..., family="logit") with and without the mediators instead.',
                "mediator": "Use the scale it was made from, or ask regress() for each path instead.",
            }
            raise DataError(f'The {part} "{name}" has two values, but needs to be a number with more. {advice[part]}')
        if not pd.api.types.is_numeric_dtype(frame[name].dtype):
            raise DataError(f'The {part} "{name}" is text. Outcome and mediators must be numbers.')


def _centered(asked: Asked, design: Design) -> dict[str, Array]:
    """Columns of the path model less their means, products made of these."""
    names = asked.names
    found = {OUTCOME: design.y - design.y.mean()}
    for key in (DRIVER, *(mediator(place) for place in range(len(asked.mediators))), MODERATOR):
        if key in names:
            if design.terms.count(names[key]) != 1:
                raise DataError(f'"{names[key]}" has more than two levels. Name a number, or one with two values.')
            values = design.x[:, design.terms.index(names[key])]
            found[key] = values - values.mean()
    if MODERATOR in found:
        found[PRODUCT] = found[DRIVER] * found[MODERATOR]
        for place in range(len(asked.mediators)):
            found[moderated_mediator(place)] = found[mediator(place)] * found[MODERATOR]
    return found


def _places(moderator: str, values: Array, design: Design, min_n: int) -> tuple[tuple[str, float], ...]:
    """Values of the moderator at which effects are looked at."""
    levels = design.levels.get(moderator)
    if levels:
        return tuple(zip(levels.names, np.unique(values).tolist(), strict=True))
    return tuple(usual_values(values, values.min(), values.max(), min_n))


def _clusters(column: pd.Series) -> Codes:
    """Number the clusters from 0; those who do not state theirs are one."""
    groups, found = pd.factorize(column.astype(object).fillna(NO_GROUP))
    if len(found) < FEWEST_CLUSTERS:
        raise DataError(
            f'"{column.name}" has {plural(len(found), "cluster")} in the complete rows; drawing clusters needs at '
            f"least {FEWEST_CLUSTERS}. Leave cluster= out and add C({column.name}) to the controls."
        )
    return groups
