"""Columns that belong together: items on one answer scale, rankings, and items that go against their neighbors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np
import pandas as pd

from smstudy.display.prose import join_words
from smstudy.survey.decoding import NUMBER, normalize
from smstudy.survey.drafts.guesses import (
    SENTINELS,
    TO_CONFIRM,
    UNLABELED,
    Categories,
    Draft,
    is_unlabeled,
    unlabeled,
    words_of,
)
from smstudy.survey.drafts.wordings import NEGATIONS, known_scale, order_answers
from smstudy.survey.exports import Export

ENOUGH = 3
ALMOST_ALL = 0.9
RANKING = "looks like a ranking of {k}: every respondent gives each place once. It is no scale; its columns are numbers"
PLACE = "place in a ranking"
APART = "{codes} lies apart from the other answers: write in missing: why it is no answer, or move it to the answers"


def stem(draft: Draft) -> str:
    """The name of an item without its number: the same for all items of a battery.

    >>> stem(Draft("q6_12", "Q6_12", "", "item"))
    'q6'
    """
    return re.sub(r"[_\W]*\d+[a-z]?$", "", draft.name)


def neighbors(drafts: Sequence[Draft], alike: Callable[[Draft, Draft], bool]) -> Iterator[list[Draft]]:
    """Cut a sequence into runs in which each draft is like the one before it."""
    run: list[Draft] = []
    for draft in drafts:
        if run and not alike(run[-1], draft):
            yield run
            run = []
        run.append(draft)
    if run:
        yield run


def belong(one: Draft, other: Draft) -> bool:
    """Neighbors belong together if they are rows of one question or their names share a stem, else if neither does."""
    if one.description and other.description and one.description != other.description:
        return _question(one) == _question(other)
    return stem(one) == stem(other)


def _question(draft: Draft) -> str:
    return normalize(draft.description.removesuffix("]").removesuffix(draft.title))


def level(drafts: Sequence[Draft], export: Export) -> list[Draft]:
    """Give items of one battery the same answers: what nobody ticked in one of them was still offered.

    Neighbors whose names share no stem, as where a question is its own header, are leveled if their words are of one
    known answer scale.
    """
    leveled: list[Draft] = []
    for single, runs in groupby(neighbors(drafts, belong), key=lambda run: len(run) == 1):
        if single:
            runs = neighbors([draft for run in runs for draft in run], _same_scale)
        leveled += [draft for run in runs for draft in (_leveled(run, export) if len(run) > 1 else run)]
    return leveled


def _same_scale(one: Draft, other: Draft) -> bool:
    scales = [known_scale(label for _, label, *_ in draft.categories) for draft in (one, other)]
    chosen = {one.kind, other.kind} <= {"item", "category"}
    return chosen and scales[0] is not None and scales[0] == scales[1]


def _leveled(battery: Sequence[Draft], export: Export) -> list[Draft]:
    items = [draft for draft in battery if draft.kind == "item"]
    shared, missing = _shared_answers(items), {code: why for draft in items for code, why in draft.missing.items()}
    return [_as_item(draft, shared, missing, export) for draft in battery] if shared else list(battery)


def _as_item(draft: Draft, shared: Categories, missing: Mapping[str, str], export: Export) -> Draft:
    """The draft with the answers and missing codes of its battery, if its own are among them."""
    answers = set(export.cells[draft.column].astype(object).str.strip().unique()) - {"", *draft.missing}
    words = words_of(replace(draft, categories=shared))
    if draft.kind not in ("item", "number", "category") or not answers <= words | {*missing}:
        return draft
    kept = "" if draft.confirm == UNLABELED else draft.confirm
    own = {code: why for code, why in missing.items() if code in answers - words}
    return replace(
        draft,
        kind="item",
        categories=shared,
        missing={**draft.missing, **own},
        confirm=UNLABELED if is_unlabeled(shared) else kept,
    )


def _shared_answers(battery: Sequence[Draft]) -> Categories | None:
    """One answer scale for all, if the answers of all fit on one."""
    if not battery:
        return None
    if all(label == f"answer {code}" for draft in battery for code, label, *_ in draft.categories):
        spelled = {entry[0]: entry for draft in battery for entry in draft.categories}
        codes = [int(code) for code in spelled]
        return tuple(spelled.get(entry[0], entry) for entry in unlabeled(min(codes), max(codes)))
    labels = list(dict.fromkeys(label for draft in battery for _, label, *_ in draft.categories))
    ordered = order_answers(labels)
    declared = any(code != str(i) for draft in battery for i, (code, *_) in enumerate(draft.categories, 1))
    return tuple((str(i), word) for i, word in enumerate(ordered, 1)) if ordered and not declared else None


def promote(drafts: Sequence[Draft]) -> list[Draft]:
    """Take at least three neighbors with one set of numbered answers for items, if they belong together."""
    promoted: list[Draft] = []
    for run in neighbors(drafts, lambda one, other: one.categories == other.categories and belong(one, other)):
        numbers = [code for code, *_ in run[0].categories]
        scale = len(numbers) >= ENOUGH and all(NUMBER.fullmatch(code) for code in numbers)
        battery = len(run) >= ENOUGH and run[0].kind == "category" and scale
        promoted += [replace(draft, kind="item") for draft in run] if battery else run
    return promoted


def share_missing(drafts: Sequence[Draft]) -> list[Draft]:
    """Give items with the same answers the same missing codes: those of one may come in another in the next wave."""
    shared: dict[Categories, dict[str, str]] = {}
    for draft in drafts:
        if draft.kind == "item":
            shared.setdefault(draft.categories, {}).update(draft.missing)
    return [replace(d, missing=dict(sorted(shared[d.categories].items()))) if d.kind == "item" else d for d in drafts]


def mark_rankings(drafts: Sequence[Draft], export: Export) -> list[Draft]:
    """Turn batteries into numbers in which each respondent gives every place once."""
    marked: list[Draft] = []
    for run in neighbors(drafts, lambda one, other: belong(one, other) and one.categories == other.categories):
        marked += _places(run) if _is_ranking(run, export) else run
    return marked


def _is_ranking(run: Sequence[Draft], export: Export) -> bool:
    k = len(run)
    if k < ENOUGH or any(draft.kind not in ("item", "category") for draft in run):
        return False
    cells = export.cells[[draft.column for draft in run]].astype(object).apply(lambda column: column.str.strip())
    whole = cells[(cells != "").all(axis=1)]
    if not len(whole) or not whole.isin([str(place) for place in range(1, k + 1)]).to_numpy().all():
        return False
    places = np.sort(whole.to_numpy(int), axis=1)
    return len(whole) >= ENOUGH and bool((places == np.arange(1, k + 1)).all(axis=1).mean() >= ALMOST_ALL)


def _places(run: Sequence[Draft]) -> list[Draft]:
    first, *others = (
        replace(d, kind="number", categories=(), bounds=(1, len(run)), confirm="", note=PLACE) for d in run
    )
    return [replace(first, confirm=RANKING.format(k=len(run))), *others]


def ask_about_codes(drafts: Sequence[Draft]) -> list[Draft]:
    """Ask at the first of the items that share it whether a code that could be an answer means no answer."""
    seen: set[tuple[Categories, str]] = set()
    asked = []
    for draft in drafts:
        open_codes = [
            code
            for code, why in draft.missing.items()
            if draft.kind == "item"
            and why == TO_CONFIRM
            and code not in SENTINELS
            and (draft.categories, code) not in seen
        ]
        seen |= {(draft.categories, code) for code in open_codes}
        question = APART.format(codes=join_words(open_codes, "or")) if open_codes else ""
        asked.append(replace(draft, confirm="; ".join(filter(None, (draft.confirm, question)))))
    return asked


def ask_once(drafts: Sequence[Draft]) -> list[Draft]:
    """Ask for the labels of an answer scale at the first of the items that share it."""
    seen: set[Categories] = set()
    asked = []
    for draft in drafts:
        again = draft.kind == "item" and draft.categories in seen and is_unlabeled(draft.categories)
        asked.append(replace(draft, confirm="") if again else draft)
        seen.add(draft.categories)
    return asked


def mark_reverse(drafts: Sequence[Draft], export: Export) -> list[Draft]:
    """Ask a person to confirm items that go against their neighbors on the same answer scale."""
    batteries: dict[tuple, list[Draft]] = {}
    for draft in drafts:
        if draft.kind == "item":
            batteries.setdefault(draft.categories, []).append(draft)
    notes = {name: note for battery in batteries.values() for name, note in _reverse_notes(battery, export).items()}
    return [replace(d, confirm="; ".join(filter(None, (notes.get(d.name), d.confirm)))) for d in drafts]


def _reverse_notes(battery: Sequence[Draft], export: Export) -> dict[str, str]:
    codes = pd.DataFrame({draft.name: _codes(draft, export) for draft in battery})
    together = codes.corr().to_numpy(copy=True)
    np.fill_diagonal(together, np.nan)
    notes = {draft.name: _reverse_note(draft, row) for draft, row in zip(battery, together, strict=True)}
    return {name: note for name, note in notes.items() if note}


def _reverse_note(draft: Draft, with_others: np.ndarray) -> str:
    known = with_others[~np.isnan(with_others)]
    if len(known) >= 2 and np.median(known) < -0.1:
        return "goes against its neighbors: set reverse: true if it is worded against its scale"
    if NEGATIONS.search(draft.title) and draft.title != draft.column:
        return "worded with a negation: set reverse: true if it is worded against its scale"
    return ""


def _codes(draft: Draft, export: Export) -> pd.Series:
    table: Mapping[str, float] = {
        word: float(code)
        for code, label, *more in draft.categories
        for word in (code, label, *(more[0] if more else ()))
    }
    return export.cells[draft.column].astype(object).str.strip().map(table).astype(float)
