"""What every analysis hands back: tidy numbers, what a reader must know, and renderings that protect people."""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from html import escape
from textwrap import fill
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from docx.document import Document
from matplotlib.axes import Axes
from numpy.typing import NDArray

from smstudy.display import apa, figures, tables
from smstudy.errors import ColumnError, DataError, DisclosureError, EstimationError
from smstudy.privacy import Privacy

Severity = Literal["info", "warning", "serious"]
Scale = Literal["identity", "log_odds", "fisher_z"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something a reader must know to trust a result.

    `name` is short and stable (`few_clusters`), `text` one or two sentences without any single answer.
    """

    name: str
    text: str
    severity: Severity = "warning"


@dataclass(frozen=True)
class Rows:
    """Row-level data for further computing: shows its shape, never its rows."""

    frame: pd.DataFrame = field(repr=False)

    def __repr__(self) -> str:
        return f"{len(self.frame)} rows x {self.frame.shape[1]} columns (rows are not shown; use .frame to compute)"


@dataclass(frozen=True, kw_only=True)
class Poolable:
    """What Rubin's rules need to pool a result over imputations.

    Attributes
    ----------
    keys : DataFrame, one row per row of `tidy()`
        Columns that tell the estimates apart, such as term or term and other_term, by their names in the vocabulary.
    estimates : array, shape (p,)
        On the pooling scale, where their distribution is near normal; NaN where there is none.
    covariance : array, shape (p, p)
        Of the estimates, on the same scale; a diagonal one if only single estimates are tested.
    df_complete : float or array, shape (p,)
        Degrees of freedom if nothing were missing; infinite where the normal distribution is used.
    scale : {"identity", "log_odds", "fisher_z"}
        What the pooling scale is.
    tested : tuple of str
        Terms that are tested together.
    controls : frozenset of str
        Terms that are estimated but not in the short table.
    n : int
        Respondents behind the estimates.
    title, note : str
        Caption and note of the pooled result, without what is true of a single analysis only.
    """

    keys: pd.DataFrame
    estimates: NDArray[np.float64]
    covariance: NDArray[np.float64]
    df_complete: float | NDArray[np.float64]
    scale: Scale = "identity"
    tested: tuple[str, ...] = ()
    controls: frozenset[str] = frozenset()
    n: int
    title: str
    note: str


@dataclass(frozen=True, kw_only=True)
class Result(ABC):
    """Base of all results.

    Attributes
    ----------
    title : str
        What this is, as a caption.
    note : str
        How it was computed and what must be known to read it.
    findings : tuple of Finding
        Named warnings.
    labels : mapping
        Names of variables to the words a reader knows them by.
    privacy : Privacy
        The policy every rendering passes.
    """

    title: str
    note: str = ""
    findings: tuple[Finding, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    privacy: Privacy = field(default_factory=Privacy)

    picture: ClassVar[Callable[..., Axes] | None] = None

    @abstractmethod
    def tidy(self) -> pd.DataFrame:
        """One row per term; columns as in `vocabulary.TIDY`, numbers at full precision."""

    def glance(self) -> dict[str, int | float | str]:
        """One line about the whole; keys as in `vocabulary.GLANCE`, plain Python values."""
        return {}

    def pooling(self) -> Poolable:
        """Give what is needed to pool this result over imputations; results that can be pooled override it.

        Raises
        ------
        EstimationError
            If this kind of result cannot be pooled.
        """
        raise EstimationError(
            f"A {type(self).__name__} cannot be pooled over imputations: it has no estimates with a known covariance. "
            "Pool one that has, such as regress() or describe() give, or use the answers without imputation."
        )

    def shown(self) -> pd.DataFrame:
        """The tidy table after the privacy policy, all rows hidden if `n` in `glance()` is too few."""
        tidy = self.tidy()
        if not self.privacy.allows(self.glance().get("n", 0)):
            tidy = tidy.assign(hidden=True)
        return self.privacy.gate(tidy)

    def layout(self, shown: pd.DataFrame) -> pd.DataFrame:
        """Choose and order the columns a table shows; the default is all of them."""
        return shown

    def table(self) -> tables.Table:
        """The table as text."""
        shown = self.shown()
        laid_out = self.layout(shown)
        if "hidden" in shown and "hidden" not in laid_out and len(laid_out) == len(shown):
            laid_out = laid_out.assign(hidden=shown["hidden"].to_numpy())
        level = float(self.glance().get("conf_level", 0.95))
        return tables.write_table(laid_out, title=self.title, note=self.note, labels=self.labels, conf_level=level)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the result; where everything is hidden the picture says so in words.

        Raises
        ------
        DataError
            If this kind of result has no picture.
        """
        if self.picture is None:
            raise DataError(f"A {type(self).__name__} has no picture. Show its table instead.")
        drawn = self.drawn()
        draw = type(self).picture if len(drawn) else figures.nothing
        return draw(ax or figures.new_axes(len(drawn)), drawn, labels=self.labels, title=self.title)

    def drawn(self) -> pd.DataFrame:
        """The rows a picture draws; the default is all that are not hidden."""
        shown = self.shown()
        return shown[~shown["hidden"].astype(bool)] if "hidden" in shown else shown

    def alt_text(self) -> str:
        """What the picture shows, in words."""
        return figures.describe(self.drawn(), title=self.title, labels=self.labels)

    def to_html(self) -> str:
        """Render as an HTML fragment without script or address."""
        return "\n".join(
            part for part in (tables.to_html(self._table), self._glance_html(), self._findings_html()) if part
        )

    def to_latex(self) -> str:
        """Render as a LaTeX table for a paper: what a reader must know stands in its note."""
        return tables.to_latex(self._for_papers())

    def to_docx(self) -> Document:
        """Render as a Word document for a paper, as in LaTeX; save it with `.save(path)`."""
        return tables.to_docx([self._for_papers()])

    def to_text(self) -> str:
        """Render as plain text."""
        glance = self._glance_text()
        notes = [f"[{finding.severity}] {finding.text}" for finding in self.findings]
        return "\n".join([tables.to_text(self._table), *([glance] if glance else []), *notes])

    def to_csv(self) -> str:
        """Render the shown numbers at full precision as CSV that is safe in a spreadsheet."""
        return tables.to_csv(self.shown())

    def to_record(self) -> dict[str, object]:
        """Give everything that may be stored and compared, ready for JSON."""
        shown = self.shown()
        return {
            "kind": type(self).__name__,
            "title": self.title,
            "note": self.note,
            "findings": [asdict(finding) for finding in self.findings],
            "labels": {name: self.labels[name] for name in _texts(shown) if name in self.labels},
            "glance": {key: _plain(value) for key, value in self._gated_glance().items()},
            "columns": list(shown.columns),
            "layout": list(self.layout(shown).columns),
            "tidy": [{key: _plain(value) for key, value in row.items()} for row in shown.to_dict("records")],
            "table": asdict(self._table),
        }

    @cached_property
    def _table(self) -> tables.Table:
        return self.table()

    def _repr_html_(self) -> str:
        return self.to_html()

    def __repr__(self) -> str:
        return self.to_text()

    def _for_papers(self) -> tables.Table:
        """The table with the line about the whole and what speaks against it in the note, without readings in words."""
        warned = [finding.text for finding in self.findings if finding.severity != "info"]
        whole = f"{self._glance_text()}." if self._gated_glance() else ""
        note = " ".join(part for part in (self.note, whole, *warned) if part)
        return replace(tables.without(self._table, apa.column("reading").heading), note=note)

    def _glance_text(self) -> str:
        items = self._gated_glance().items()
        return "; ".join(f"{apa.column(key).heading}: {apa.write(key, value)}" for key, value in items)

    def _gated_glance(self) -> dict[str, int | float | str]:
        glance = self.glance()
        if not self.privacy.allows(glance.get("n", 0)):
            return {}
        return {key: value for key, value in glance.items() if key != "n_dropped" or self.privacy.allows(value)}

    def _glance_html(self) -> str:
        items = [f"{escape(apa.column(k).heading)}: {escape(apa.write(k, v))}" for k, v in self._gated_glance().items()]
        return f'<p class="glance">{" · ".join(items)}</p>' if items else ""

    def _findings_html(self) -> str:
        items = "".join(f'<li class="{f.severity}">{escape(f.text)}</li>' for f in self.findings)
        return f'<ul class="findings">{items}</ul>' if items else ""


@dataclass(frozen=True, kw_only=True, repr=False)
class Refusal(Result):
    """The place of a result that cannot be had, with the reason."""

    reason: str

    picture = staticmethod(figures.nothing)

    def tidy(self) -> pd.DataFrame:
        """One row: the reason."""
        return pd.DataFrame({"reason": [self.reason]})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Write the reason where the picture would be."""
        return figures.words(ax or figures.new_axes(2), fill(self.reason, 80), title=self.title)

    def alt_text(self) -> str:
        """The reason."""
        return self.reason


def attempt(analysis: Callable[..., Result], *arguments: object, **options: object) -> Result:
    """Run an analysis; where it refuses, give the reason as a result, so that a notebook goes on.

    Parameters
    ----------
    analysis : callable
        A function of the front door.
    *arguments, **options
        What it is called with.

    Returns
    -------
    Result
        What the analysis gives, or a `Refusal`. What data, estimates or the protection of people do not allow is
        caught; mistakes are not, such as the name of a column that is not there.

    Examples
    --------
    >>> import smstudy as sm
    >>> sm.attempt(sm.cronbach_alpha, pd.DataFrame({"a": [1, 2, 3, 4, 5], "b": 1})).reason
    'The items: everybody gave the same answer to b. Leave it out.'
    """
    try:
        return analysis(*arguments, **options)
    except ColumnError:
        raise
    except (DataError, DisclosureError, EstimationError) as error:
        data = next((each for each in arguments if hasattr(each, "privacy")), None)
        return Refusal(
            title=f"Not computed: {analysis.__name__.replace('_', ' ')}",
            reason=str(error),
            labels=getattr(data, "labels", {}),
            privacy=getattr(data, "privacy", Privacy()),
        )


class Pages(Mapping[str, Result]):
    """Several results of one kind, by name; shown one after the other.

    >>> Pages({})
    (no pages)
    """

    def __init__(self, pages: Mapping[str, Result]) -> None:
        self._pages = dict(pages)

    def __getitem__(self, name: str) -> Result:
        return self._pages[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._pages)

    def __len__(self) -> int:
        return len(self._pages)

    def plot(self) -> None:
        """Draw one picture after the other."""
        for page in self.values():
            page.plot()

    def _repr_html_(self) -> str:
        return "\n".join(page.to_html() for page in self.values())

    def __repr__(self) -> str:
        return "\n\n".join(page.to_text() for page in self.values()) or "(no pages)"


def _texts(shown: pd.DataFrame) -> list[str]:
    """Every text of a table once, in order."""
    cells = shown.select_dtypes(exclude="number").to_numpy().ravel()
    return list(dict.fromkeys(cell for cell in cells if isinstance(cell, str)))


def _plain(value: object) -> object:
    """Turn numpy scalars and missing values into what JSON has."""
    value = value.item() if hasattr(value, "item") else value
    if value is pd.NA or value is pd.NaT or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value


def write_record(result: Result, *, order: int = 0) -> str:
    """Write a result as JSON text with sorted keys; `order` is its place among the results of a notebook."""
    return (
        json.dumps(
            {**result.to_record(), "order": order}, ensure_ascii=False, indent=1, sort_keys=True, allow_nan=False
        )
        + "\n"
    )
