"""Several fitted models side by side in one publication table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import ClassVar, Literal, get_args

import pandas as pd

from smstudy.display import apa, figures, tables
from smstudy.display.prose import join_words
from smstudy.errors import DisclosureError, StudyError, did_you_mean
from smstudy.inference.multiplicity import CORRECTED, CORRECTIONS, Correction
from smstudy.inference.regression.design import INTERCEPT
from smstudy.models.nested.multilevels import Multilevel
from smstudy.models.regressions.likelihood_models import LikelihoodModel, named_by_category, respondents
from smstudy.models.regressions.marginal import SEVERAL, MarginalEffects
from smstudy.models.regressions.regression import Regression
from smstudy.privacy import Privacy
from smstudy.result import Finding, Result

Model = Regression | LikelihoodModel | Multilevel | MarginalEffects
Beside = Literal["interval", "std_error"]
KINDS = (Regression, LikelihoodModel, Multilevel, MarginalEffects)
WHOLE = (
    "n", "n_groups", "r_squared", "adj_r_squared", "r_squared_marginal", "r_squared_conditional", "r2_mcfadden",
    "r2_nagelkerke", "aic", "covariance", "estimator",
)  # fmt: skip
NUMBERS = ("estimate", "std_error", "statistic", "df", "p_value", "conf_low", "conf_high")
CONTROLLED = "Controlled for"
BESIDE: dict[Beside, str] = {"interval": "{:.0%} intervals in brackets", "std_error": "Standard errors in parentheses"}
FIT = "AIC and R² can be compared between models of one kind, outcome and set of respondents only."


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class SideBySide(Result):
    """Models side by side: terms are rows and models columns of the table; `tidy()` is long.

    Attributes
    ----------
    rows : DataFrame
        The tidy table.
    whole : mapping
        Name of a model to its respondents, fit and errors.
    aside : mapping
        Name of a model to its terms that are no drivers: constants and thresholds.
    controls : mapping
        Name of a model to its coefficients that are only controlled for.
    summary : mapping
        What `glance()` gives.
    beside : {"interval", "std_error"}
        What stands beside an estimate.
    alike : bool
        Whether estimates of all models are in the same unit, so that they fit into one picture.
    """

    rows: pd.DataFrame = field(repr=False)
    whole: Mapping[str, Mapping[str, int | float | str]] = field(repr=False)
    aside: Mapping[str, frozenset[str]] = field(repr=False)
    controls: Mapping[str, frozenset[str]] = field(repr=False)
    summary: Mapping[str, int | float | str]
    beside: Beside
    alike: bool

    picture: ClassVar = staticmethod(figures.estimates)

    def tidy(self) -> pd.DataFrame:
        """One row per model and coefficient."""
        return self.rows.copy()

    def glance(self) -> dict[str, int | float | str]:
        """The fewest respondents of a model, and the level of intervals."""
        return dict(self.summary)

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """Leave out controls and columns without a value."""
        kept = shown[~_named_in(shown, self.controls)]
        return kept[[name for name in kept if kept[name].notna().any()]]

    def table(self) -> tables.Table:
        """Terms as rows, constants last, then what is true of each model as a whole."""
        layout = self.layout(self.shown())
        cells = {(row["model"], *_key(row)): self._cell(row) for row in layout.to_dict("records")}
        later = _named_in(layout, self.aside).to_numpy()
        ordered = pd.concat([layout[~later], layout[later]]).to_dict("records")
        keys = list(dict.fromkeys(_key(row) for row in ordered))
        names = list(self.whole)
        lines = [(self._word(*key), *(cells.get((name, *key), "") for name in names)) for key in keys]
        return tables.Table(
            title=self.title,
            headings=(apa.column("term").heading, *names),
            rows=(*lines, *self._controlled(), *self._about_the_whole()),
            numeric=(False, *(True for _ in names)),
            note=self.note,
        )

    def drawn(self) -> pd.DataFrame:
        """The drivers, each model's under the other; nothing if estimates are not in the same unit."""
        shown = super().drawn()
        kept = shown[~_named_in(shown, self.aside) & ~_named_in(shown, self.controls)]
        if not self.alike:
            return kept[:0]
        keys = [_key(row) for row in kept.to_dict("records")]
        place = pd.Series(pd.factorize(pd.Series(keys, dtype=object))[0], index=kept.index)
        named = named_by_category(kept, self.labels)
        words = [
            f"{apa.say('term', term, self.labels)} ({model})"
            for term, model in zip(named["term"], named["model"], strict=True)
        ]
        return named.assign(term=words).loc[place.sort_values(kind="stable").index]

    def _cell(self, row: Mapping[str, object]) -> str:
        """An estimate and what stands beside it."""
        if row.get("hidden") is True:
            return tables.HIDDEN
        estimate = apa.write("estimate", row["estimate"])
        if self.beside == "std_error":
            return f"{estimate} ({apa.write('std_error', row['std_error'])})"
        return f"{estimate} {apa.interval(row['conf_low'], row['conf_high'])}"

    def _word(self, term: str, category: str) -> str:
        word = apa.say("term", term, self.labels)
        return f"{word}: {category}" if category else word

    def _controlled(self) -> Iterator[tuple[str, ...]]:
        if not any(self.controls.values()):
            return
        words = [join_words(_variables(self.controls[name], self.labels)) or apa.EMPTY for name in self.whole]
        yield (CONTROLLED, *words)

    def _about_the_whole(self) -> Iterator[tuple[str, ...]]:
        for key in WHOLE:
            if any(key in whole for whole in self.whole.values()):
                cells = (apa.write(key, whole[key]) if key in whole else "" for whole in self.whole.values())
                yield (apa.column(key).heading, *cells)


def compare_regressions(
    models: Mapping[str, Model],
    *unnamed: Model,
    beside: Beside = "interval",
    correction: Correction = "holm",
) -> SideBySide:
    """Put fitted models side by side in one table, as a publication shows them.

    Parameters
    ----------
    models : mapping of str to model
        What `regress`, `ordinal`, `multinomial`, `counts`, `multilevel` or `effects` gave, each by the name its column
        gets.
    *unnamed
        Not allowed: models without names are refused.
    beside : {"interval", "std_error"}
        What stands beside an estimate. There are no stars: an interval says more.
    correction : {"holm", "benjamini_hochberg"}
        How `p_adjusted` in `tidy()` allows for the drivers of all models together; constants, thresholds and what is
        only controlled for are no tests.

    Returns
    -------
    SideBySide
        `tidy()` has one row per model and coefficient; the table, one row per coefficient, ends with respondents, fit
        and errors of each model.

    Raises
    ------
    StudyError
        If models have no names, one is no such model, or they differ in the level of their intervals.
    DisclosureError
        If fewer respondents than the threshold are in one model but not in another: what they answered would follow
        from the two.

    Examples
    --------
    >>> from smstudy.models.regressions.regression import regress
    >>> frame = pd.DataFrame({"a": [1.0, 2, 3, 4] * 10, "b": [1.0, 2, 2, 1, 3] * 8, "y": [2.0, 1, 4, 3, 5] * 8})
    >>> both = {"one": regress("y ~ a", frame), "two": regress("y ~ a + b", frame)}
    >>> [row[0] for row in compare_regressions(both).table().rows]
    ['a', 'b', 'Constant', 'n', 'R²', 'Adjusted R²', 'AIC', 'Errors']
    """
    _refuse_unfit(models, unnamed)
    for option, value, allowed in (("beside", beside, get_args(Beside)), ("correction", correction, CORRECTIONS)):
        if value not in allowed:
            raise StudyError(f'{option} = "{value}" is not known. {did_you_mean(str(value), allowed)}')
    privacy = _strictest([model.privacy for model in models.values()])
    _refuse_few_apart(models, privacy)
    glances = {name: model.glance() for name, model in models.items()}
    level = float(next(iter(glances.values()))["conf_level"])
    aside, controls = ({name: take(model) for name, model in models.items()} for take in (_aside, _controls))
    return SideBySide(
        title=_title(models),
        note=_note(models, level, beside, correction),
        findings=tuple(_findings(models)),
        labels={word: label for model in models.values() for word, label in model.labels.items()},
        privacy=privacy,
        rows=_rows(models, aside, controls, correction),
        whole={name: {key: glance[key] for key in WHOLE if key in glance} for name, glance in glances.items()},
        aside=aside,
        controls=controls,
        summary={"n": min(int(glance["n"]) for glance in glances.values()), "conf_level": level},
        beside=beside,
        alike=len({_kind(model) for model in models.values()}) == 1,
    )


def _refuse_unfit(models: object, unnamed: Sequence[object]) -> None:
    if unnamed or not isinstance(models, Mapping) or not models or not all(isinstance(name, str) for name in models):
        raise StudyError('Give every model a name: compare_regressions({"plain": first, "with role": second}).')
    wrong = [name for name, model in models.items() if not isinstance(model, KINDS)]
    if wrong:
        raise StudyError(
            f'"{wrong[0]}" is no model that fits into this table. Give what regress(), ordinal(), multinomial(), '
            "counts(), multilevel() or effects() gives."
        )
    if len({model.glance()["conf_level"] for model in models.values()}) > 1:
        raise StudyError("The models have intervals of different levels. Fit all with the same conf_level.")


def _strictest(policies: Sequence[Privacy]) -> Privacy:
    closed = [group for policy in policies for group in policy.closed]
    return max(policies, key=lambda policy: (policy.min_n, policy.comment_min_n)).closing(closed)


def _refuse_few_apart(models: Mapping[str, Model], privacy: Privacy) -> None:
    """Refuse models of nearly the same people: differences and sums tell about those few who are in some only."""
    people = [_people(model) for model in models.values()]
    everybody = reduce(pd.Index.union, people)
    sizes = pd.DataFrame({place: everybody.isin(part) for place, part in enumerate(people)}).value_counts()
    if not all(privacy.allows(size) for size in sizes):
        raise DisclosureError(
            f"Fewer than {privacy.min_n} respondents are in some of these models but not in the others, and what they "
            "answered would follow from the models together. Fit all to the respondents who answered all that any "
            "needs."
        )


def _people(model: Model) -> pd.Index:
    return model.people if isinstance(model, MarginalEffects) else respondents(model.rows, model.used)


def _aside(model: Model) -> frozenset[str]:
    if isinstance(model, MarginalEffects):
        return frozenset()
    return model.ancillary if isinstance(model, LikelihoodModel) else frozenset((INTERCEPT,))


def _controls(model: Model) -> frozenset[str]:
    return frozenset() if isinstance(model, MarginalEffects) else model.controls


def _kind(model: Model) -> tuple[str, str]:
    """What tells the unit of estimates: class and first words of the note."""
    return type(model).__name__, model.note.partition(",")[0]


def _variables(controls: frozenset[str], labels: Mapping[str, str]) -> list[str]:
    """The variables that levels belong to."""
    return [labels.get(name, name) for name in sorted({control.partition("[")[0] for control in controls})]


def _key(row: Mapping[str, object]) -> tuple[str, str]:
    category = row.get("category")
    return str(row["term"]), category if isinstance(category, str) else ""


def _named_in(rows: pd.DataFrame, names: Mapping[str, frozenset[str]]) -> pd.Series:
    """Which rows are about a term that is named for their model."""
    pairs = zip(rows["model"], rows["term"], strict=True)
    return pd.Series([term in names[model] for model, term in pairs], index=rows.index, dtype=bool)


def _rows(
    models: Mapping[str, Model],
    aside: Mapping[str, frozenset[str]],
    controls: Mapping[str, frozenset[str]],
    correction: Correction,
) -> pd.DataFrame:
    parts = []
    for name, model in models.items():
        shown = model.shown()
        kept = [column for column in ("term", "category", *NUMBERS, "hidden") if column in shown]
        parts.append(shown[kept].assign(model=name, n=int(model.glance()["n"])))
    rows = pd.concat(parts, ignore_index=True)
    tested = ~(_named_in(rows, aside) | _named_in(rows, controls))
    rows["p_adjusted"] = CORRECTIONS[correction](rows["p_value"].where(tested).to_numpy(float))
    if "hidden" in rows:
        rows["hidden"] = rows["hidden"].eq(True)
    wanted = ("model", "term", "category", *NUMBERS[:5], "p_adjusted", *NUMBERS[5:], "n", "hidden")
    return rows[[column for column in wanted if column in rows]]


def _title(models: Mapping[str, Model]) -> str:
    titles = {model.title for model in models.values()}
    return titles.pop() if len(titles) == 1 else "Models side by side"


def _note(models: Mapping[str, Model], level: float, beside: Beside, correction: Correction) -> str:
    """What stands in the cells, then the notes of the models: once if they are the same."""
    titled = len({model.title for model in models.values()}) > 1
    notes = {
        name: f"{model.title}. {_own_note(model)}" if titled else _own_note(model) for name, model in models.items()
    }
    if len(set(notes.values())) == 1:
        told = [next(iter(notes.values()))]
    else:
        told = [f"{name}: {note}" for name, note in notes.items()]
    corrected = f"p values are in the numbers behind the table, also {CORRECTED[correction]}."
    return " ".join([f"{BESIDE[beside].format(level)}; no stars: {corrected}", FIT, *told])


def _own_note(model: Model) -> str:
    """Without the correction for the tests of one page."""
    corrected = isinstance(model, MarginalEffects) and "p_adjusted" in model.rows
    return model.note.rpartition(SEVERAL.partition("{")[0])[0] if corrected else model.note


def _findings(models: Mapping[str, Model]) -> Iterator[Finding]:
    """What holds between models, then what holds of each; said once where it holds of several."""
    yield from _between_findings(models)
    said: dict[Finding, list[str]] = {}
    for name, model in models.items():
        for finding in model.findings:
            said.setdefault(finding, []).append(name)
    for finding, names in said.items():
        text = finding.text if len(names) == len(models) else f"{join_words(names)}: {finding.text}"
        yield Finding(name=finding.name, text=text, severity=finding.severity)


def _between_findings(models: Mapping[str, Model]) -> Iterator[Finding]:
    if len({frozenset(_people(model)) for model in models.values()}) > 1:
        text = (
            "The models rest on different respondents, so that estimates may differ for that reason alone. Fit all to "
            "the respondents who answered everything to compare them."
        )
        yield Finding(name="different_respondents", text=text)
    latent = [frozenset(model.tidy()["term"]) for model in models.values() if _on_a_latent_line(model)]
    if len(set(latent)) > 1:
        text = (
            "Log odds (and estimates of a probit) grow when terms are added, also if nothing is confounded: compare "
            "such models by their effects()."
        )
        yield Finding(name="unlike_scales", text=text)
    if sum(isinstance(model, Multilevel) and model.glance()["estimator"] == "REML" for model in models.values()) > 1:
        text = 'AIC of models fitted by REML cannot be compared where their drivers differ. Use method="ML" for that.'
        yield Finding(name="reml_criteria", text=text, severity="info")


def _on_a_latent_line(model: Model) -> bool:
    if isinstance(model, Regression):
        return model.family != "linear"
    if isinstance(model, MarginalEffects):
        return False
    return bool(model.outcomes) if isinstance(model, LikelihoodModel) else "odds_ratio" in model.tidy()
