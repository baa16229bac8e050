"""Items of a draft that an instrument knows: what their answers are, which are reversed, which scales they make."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from smstudy.display.prose import join_words
from smstudy.instruments.library import Recognized, read_instrument, recognize, scales_of
from smstudy.survey.codebook import Category, Scale
from smstudy.survey.decoding import normalize
from smstudy.survey.drafts.guesses import MISSING_CODES, TO_CONFIRM, Draft

ANSWERS = ("item", "category")


def apply_instruments(
    drafts: Sequence[Draft], *, coded: Collection[str] = ()
) -> tuple[list[Draft], dict[str, Recognized]]:
    """Let the instruments say what they know about the items of a draft.

    Parameters
    ----------
    drafts : sequence of Draft
        What the drafter thinks of each column.
    coded : collection of str
        Columns whose codes and labels the export itself declares: they keep them.

    Returns
    -------
    drafts : list of Draft
        Recognized items bear the wording of the instrument and its answers, if all their own answers are among them;
        `confirm` says what was taken from the instrument and must be looked at. All others are as before.
    found : dict
        Name of each recognized item to where it was found.
    """
    matches = recognize({draft.name: draft.title for draft in drafts if draft.kind in ANSWERS})
    known = {d.name: d if d.column in coded else _with_answers(d, matches[d.name]) for d in drafts if d.name in matches}
    found = {name: matches[name] for name, draft in known.items() if draft.kind == "item"}
    return [_worded(known[d.name], found[d.name]) if d.name in found else d for d in drafts], found


def recognized_scales(drafts: Sequence[Draft], found: Mapping[str, Recognized]) -> list[Scale]:
    """Make the scales of which at least two items were recognized and answered on one and the same answer scale.

    Parameters
    ----------
    drafts, found
        As `apply_instruments` returns them.

    Returns
    -------
    list of Scale
        With the names of the draft as items; the description names items of the instrument that were not found.
    """
    taken = {draft.name for draft in drafts}
    made: list[Scale] = []
    for instrument in dict.fromkeys(match.instrument for match in found.values()):
        for scale in scales_of(read_instrument(instrument)):
            columns = {found[d.name].item.name: d for d in drafts if _belongs(found.get(d.name), instrument, scale)}
            if len(columns) >= 2 and len({_range(draft) for draft in columns.values()}) == 1:
                made.append(_renamed(scale, columns, taken))
    return made


def _with_answers(draft: Draft, match: Recognized) -> Draft:
    """Give a draft the answers of its instrument, if the instrument knows every answer that was observed."""
    words = {normalize(word) for answer in match.answers for word in (answer.label, answer.value, *answer.aliases)}
    observed = [label.removeprefix("answer ") for _, label, *_ in draft.categories]
    missing = {label: TO_CONFIRM for label in observed if label in MISSING_CODES}
    if any(normalize(label) not in words for label in observed if label not in missing):
        return draft
    numbers = any(normalize(label) == normalize(answer.value) for label in observed for answer in match.answers)
    note = f"the export has numbers: their meaning is taken from {match.instrument}" if numbers else ""
    answers = tuple(_entry(answer) for answer in match.answers)
    return replace(draft, kind="item", categories=answers, missing={**draft.missing, **missing}, confirm=note)


def _entry(answer: Category) -> tuple:
    return (answer.value, answer.label, *([answer.aliases] if answer.aliases else []))


def _worded(draft: Draft, match: Recognized) -> Draft:
    against = f"{match.instrument} says that {match.item.name} is worded against its scale"
    notes = [note for note in (draft.confirm, against if match.item.reverse else "") if note]
    return replace(draft, title=match.item.text, confirm="; ".join(notes))


def _belongs(match: Recognized | None, instrument: str, scale: Scale) -> bool:
    return match is not None and (match.instrument, match.scale.name) == (instrument, scale.name)


def _range(draft: Draft) -> tuple[float, float]:
    codes = [float(code) for code, *_ in draft.categories]
    return min(codes), max(codes)


def _renamed(scale: Scale, columns: Mapping[str, Draft], taken: set[str]) -> Scale:
    """Name items as the draft does; give the scale another name if a variable or scale has it."""
    items = tuple(columns[item].name for item in scale.items if item in columns)
    absent = [item for item in scale.items if item not in columns]
    gap = f" Not in this export: {join_words(absent)}." if absent else ""
    name = scale.name
    while name in taken:
        name = f"{name}_scale"
    taken.add(name)
    return scale.model_copy(update={"name": name, "items": items, "description": f"{scale.description}{gap}"})
