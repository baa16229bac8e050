"""The answers a path model needs: items of all constructs, turned round and complete, and what explains what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smstudy.display.prose import join_words
from smstudy.errors import ColumnError, DataError, DisclosureError, EstimationError, StudyError, did_you_mean
from smstudy.inference.partial_least_squares import Inner, PathFit, PathStructure
from smstudy.models.path_models.specification import PathSpecification, parse_paths
from smstudy.privacy import Privacy
from smstudy.scales.batteries import few_rows, refuse_missing_codes, refuse_text, repeated_items
from smstudy.scales.scoring import items_of
from smstudy.survey.codebook import Scale, answer_range
from smstudy.survey.dataset import Data, Survey, frame_of, labels_of, privacy_of

Array = NDArray[np.float64]
TITLE = "The items of the model"


@dataclass(frozen=True, kw_only=True)
class PathAnswers:
    """Answers to the items of a path model.

    Attributes
    ----------
    specification : PathSpecification
        The model with the items of every construct.
    structure : PathStructure
        The same in numbers.
    items : tuple of str
        Names of items, in the order of the constructs.
    answers : array, shape (n, p)
        Of everybody who answered all items; reversed items turned round.
    rows, used : Index, bool array
        Rows of the data, and which of them are used.
    n_dropped : int
        Respondents left out because an answer is missing.
    ranges : mapping of str to (float, float)
        Possible answers, where a codebook knows them.
    labels, privacy
        Words for constructs and items; the policy.
    """

    specification: PathSpecification
    structure: PathStructure
    items: tuple[str, ...]
    answers: Array = field(repr=False)
    rows: pd.Index = field(repr=False)
    used: NDArray[np.bool_] = field(repr=False)
    n_dropped: int
    ranges: Mapping[str, tuple[float, float]] = field(repr=False)
    labels: Mapping[str, str] = field(repr=False)
    privacy: Privacy

    @property
    def constructs(self) -> tuple[str, ...]:
        """Names, in the order of the structure."""
        return tuple(self.specification.items)

    @property
    def n(self) -> int:
        """Respondents used."""
        return len(self.answers)

    def say(self, name: str) -> str:
        """The words for a construct or an item."""
        return self.labels.get(name, name)

    @property
    def owners(self) -> list[str]:
        """The construct of each item."""
        return [name for name, items in self.specification.items.items() for _ in items]

    def kind(self, name: str) -> str:
        """How a construct is measured, in words."""
        if len(self.specification.items[name]) == 1:
            return "single item"
        return "formative" if name in self.specification.formative else "reflective"


def read_paths(
    specification: str, data: Data, *, consistent: bool, inner: str, min_n: int | None, among: pd.Series | None = None
) -> PathAnswers:
    """Parse a path model and take its answers from the data.

    `among` says whose answers count; left out, everybody's.

    Raises
    ------
    StudyError
        If the model or an option cannot be read, or a construct has no items.
    DataError
        If an item is unknown, text or constant, or respondents are too few.
    DisclosureError
        If fewer respondents than the threshold differ from all others in an item.
    EstimationError
        If items repeat each other, or there are fewer respondents than parameters.
    """
    if not isinstance(consistent, bool | np.bool_):
        raise StudyError(f"consistent = {consistent!r} is neither True (correct for unreliability) nor False.")
    if inner not in get_args(Inner):
        raise StudyError(f'inner = "{inner}" is not known. {did_you_mean(str(inner), get_args(Inner))}')
    policy = privacy_of(data) if min_n is None else privacy_of(data).raised_to(min_n)
    asked = _with_items(parse_paths(specification), data)
    frame = _columns(data, [item for items in asked.items.values() for item in items])
    asked_of = np.ones(len(frame), dtype=bool) if among is None else among.to_numpy()
    used = asked_of & frame.notna().all(axis=1).to_numpy()
    found = PathAnswers(
        specification=asked,
        structure=_structure(asked, consistent=consistent, inner=inner),
        items=tuple(frame.columns),
        answers=frame.to_numpy(float)[used],
        rows=frame.index,
        used=used,
        n_dropped=int((asked_of & ~used).sum()),
        ranges=_ranges(data, frame.columns),
        labels=_labels(data, frame.columns),
        privacy=policy,
    )
    refuse_unusable(found, found.answers)
    return found


def refuse_unusable(found: PathAnswers, answers: Array, who: str = "") -> None:
    """Refuse answers from which the model cannot be estimated; `who` names a group, such as " of Sales"."""
    policy = found.privacy
    if len(answers) < policy.min_n:
        raise DataError(f"{policy.too_few(f'{who.strip()} answered all items'.strip())} Name fewer items.")
    constant = [name for name, column in zip(found.items, answers.T, strict=True) if np.ptp(column) == 0]
    if constant:
        names = join_words(constant)
        raise DataError(f"{TITLE}: everybody{who} gave the same answer to {names}. Leave it out of the model.")
    _refuse_rare(found, answers, policy, who)
    needed = len(found.items) + int(found.structure.drivers.sum())
    if len(answers) < needed:
        why = "one for each weight and path"
        raise EstimationError(few_rows(len(answers), len(found.items), needed, why, policy))
    repeated = repeated_items(answers, found.items)
    if repeated:
        raise EstimationError(f"{TITLE}{who}: {repeated}")


def refuse_improper(fit: PathFit, found: PathAnswers, who: str = "") -> None:
    """Refuse a fit that did not settle, or whose correlations of constructs cannot be those of real variables."""
    if not fit.converged[0]:
        raise EstimationError(
            f"The weights of the items{who} do not settle, so there are no estimates. Leave out items that hardly go "
            "with their construct, or paths between constructs that hardly go together."
        )
    if fit.proper[0]:
        return
    lost = [found.say(name) for name, rho in zip(found.constructs, fit.reliabilities[0]) if not np.isfinite(rho)]
    if lost:
        why = f"the reliability of {join_words(lost)}{who} is not defined, as its items hardly go with its neighbors"
    else:
        between = np.triu(np.abs(fit.correlations[0]), 1)
        one, other = (found.say(found.constructs[place]) for place in np.unravel_index(between.argmax(), between.shape))
        why = (
            f"correlations of constructs{who} become larger than real ones can be; most of all {one} and {other} "
            f"({between.max():.2f}), which the answers hardly tell apart"
        )
    raise EstimationError(
        f"Corrected for unreliability the model has no solution: {why}. This is frequent where respondents are few or "
        "items agree badly. Say consistent=False: estimates are then about scores with their measurement error. Or put "
        "constructs that are hardly told apart together, or leave out the one that is measured worst."
    )


def _with_items(asked: PathSpecification, data: Data) -> PathSpecification:
    """The model with items from the codebook where a scale is named without any."""
    scales = {scale.name: scale.items for scale in data.codebook.scales} if isinstance(data, Survey) else {}
    items = {}
    for name in asked.constructs:
        if name in asked.items:
            items[name] = asked.items[name]
        elif name in scales:
            items[name] = tuple(scales[name])
        else:
            known = [*asked.items, *scales]
            hint = f" {did_you_mean(name, known)}" if known else ""
            raise StudyError(
                f'The construct "{name}" has no items.{hint} Add a line such as "{name} =~ item_1 + item_2"; a '
                f'variable that is no scale can stand for itself: "{name} =~ {name}".'
            )
    counts = Counter(item for each in items.values() for item in each)
    twice = sorted(item for item, count in counts.items() if count > 1)
    if twice:
        raise StudyError(
            f"{join_words(twice)} belongs to two constructs of the model. Say which items each of them has, with =~."
        )
    return replace(asked, items=items)


def _structure(asked: PathSpecification, *, consistent: bool, inner: Inner) -> PathStructure:
    names = list(asked.items)
    ends = np.cumsum([len(items) for items in asked.items.values()])
    blocks = tuple(
        tuple(range(int(end) - len(items), int(end))) for end, items in zip(ends, asked.items.values(), strict=True)
    )
    drivers = np.zeros((len(names), len(names)), dtype=bool)
    for outcome, rows in asked.drivers.items():
        drivers[[names.index(name) for name in rows], names.index(outcome)] = True
    formative = np.array([name in asked.formative for name in names])
    several = np.array([len(block) > 1 for block in blocks])
    return PathStructure(
        blocks=blocks, drivers=drivers, formative=formative, factors=several & ~formative & consistent, inner=inner
    )


def _columns(data: Data, names: Sequence[str]) -> pd.DataFrame:
    """Items as numbers, those of a codebook turned round as it says."""
    frame = frame_of(data)
    if not frame.columns.is_unique:
        raise DataError("Two columns have the same name. Give every column its own.")
    for name in names:
        if name not in frame:
            raise ColumnError(f'There is no item "{name}". {did_you_mean(name, map(str, frame.columns))}')
    declared = _declared(data, names)
    taken = frame[list(names)]
    if declared and isinstance(data, Survey):
        scale = Scale(name="items", items=tuple(declared))
        book = data.codebook.model_copy(update={"scales": (scale,)})
        taken = taken.assign(**items_of(replace(data, codebook=book), scale.name))
    refuse_text(taken, TITLE)
    taken = taken.astype(float)
    if np.isinf(taken.to_numpy()).any():
        raise DataError(f"{TITLE}: an answer is infinite. Set it to missing first.")
    if not isinstance(data, Survey):
        refuse_missing_codes(taken, TITLE)
    return taken


def _declared(data: Data, names: Sequence[str]) -> list[str]:
    """Names that the codebook has as items."""
    if not isinstance(data, Survey):
        return []
    kinds = {variable.name: variable.kind for variable in data.codebook.variables}
    return [name for name in names if kinds.get(name) == "item"]


def _ranges(data: Data, names: Sequence[str]) -> dict[str, tuple[float, float]]:
    return {name: answer_range(data.codebook.variable(name)) for name in _declared(data, names)}


def _labels(data: Data, names: Sequence[str]) -> dict[str, str]:
    words = dict(labels_of(data))
    turned = [name for name in _declared(data, names) if data.codebook.variable(name).reverse]
    return {**words, **{name: f"{words[name]} (turned round)" for name in turned}}


def _refuse_rare(found: PathAnswers, answers: Array, policy: Privacy, who: str) -> None:
    """Refuse a yes-or-no item that sets few apart: its coefficient and mean would describe them."""
    for name, column in zip(found.items, answers.T, strict=True):
        values, counts = np.unique(column, return_counts=True)
        if len(values) == 2 and counts.min() < policy.min_n:
            raise DisclosureError(
                f'Fewer than {policy.min_n} respondents{who} differ from all others in "{name}", so its numbers would '
                "describe them. Leave it out of the model."
            )
