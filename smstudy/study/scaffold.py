"""A new study from an export: a codebook to finish and a study that can be checked and run."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence, Set
from itertools import count
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from smstudy.engine.fingerprint import digest_file
from smstudy.errors import StudyError
from smstudy.instruments.library import Recognized
from smstudy.study.recognition import apply_instruments, recognized_scales
from smstudy.survey.drafting import Draft, draft_variables, is_unit, stem
from smstudy.survey.exports import read_export

PLATFORM_RULES = (
    ("preview", "eligibility", "status", {"Survey Preview", "Survey Test", "1", "2"}, "Test run of the questionnaire"),
    ("unfinished", "completeness", "finished", {"False", "FALSE", "0"}, "Did not reach the last page"),
)
NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,60}")


def draft_study(name: str, export: str) -> Path:
    """Draft a study from an export.

    Parameters
    ----------
    name : str
        Name of the study: small letters, digits, hyphens.
    export : str
        The survey export to begin from; it is left where it is.

    Returns
    -------
    Path
        The new folder `studies/NAME` with `codebook.yml`, `study.yml` and `README.md`. Items that an instrument knows
        by their wording bring their answers, their reversal (to be confirmed) and their scales.

    Raises
    ------
    StudyError
        If the name cannot be used or is taken.
    DataError
        If the export cannot be read.
    """
    if not NAME.fullmatch(name):
        raise StudyError(f'"{name}" cannot name a study. Use small letters, digits and hyphens, for instance my-study.')
    folder = Path.cwd() / "studies" / name
    if folder.exists():
        raise StudyError(f"{folder} is there already. Choose another name, or delete the folder.")
    source = Path(export).expanduser().resolve()
    read = read_export(source)
    drafts, found = apply_instruments(draft_variables(read), coded=read.choices)
    pages = _render(name, source, drafts, found)
    try:
        folder.mkdir(parents=True)
        for file, text in pages.items():
            (folder / file).write_text(text, encoding="utf-8")
    except OSError as problem:
        raise StudyError(f"{folder} cannot be written: {problem.strerror}. Choose a folder you may write to.") from None
    return folder


def _render(name: str, source: Path, drafts: Sequence[Draft], found: Mapping[str, Recognized]) -> dict[str, str]:
    environment = Environment(
        loader=PackageLoader("smstudy.study", "drafts"), undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters["quoted"] = quoted
    scales = answer_scales(drafts)
    known = recognized_scales(drafts, found)
    placed = {item for scale in known for item in scale.items}
    taken = {*(draft.name for draft in drafts), *(scale.name for scale in known)}
    named = _named(batteries([draft for draft in drafts if draft.name not in placed]), taken)
    values = {
        "name": name,
        "source": source,
        "sha256": digest_file(source),
        "drafts": drafts,
        "scales": scales,
        "scale_of": {d.name: key for key, categories in scales.items() for d in drafts if d.categories == categories},
        "reversed": {name for name, match in found.items() if match.item.reverse},
        "known_scales": known,
        "batteries": named,
        "suggestions": suggested_rules(drafts),
        "scores": [*(scale.name for scale in known), *named],
        "unit": next((d.name for d in drafts if is_unit(d)), ""),
    }
    return {
        file: environment.get_template(f"{file}.j2").render(values)
        for file in ("codebook.yml", "study.yml", "README.md")
    }


def _named(groups: Sequence[Sequence[str]], taken: Set[str]) -> dict[str, Sequence[str]]:
    """Number groups of items as scales, under names that no variable has."""
    free = (name for i in count(1) if (name := f"scale_{i}") not in taken)
    return dict(zip(free, groups, strict=False))


def quoted(text: object) -> str:
    """Write a text as YAML reads it back: in quotes, with what cannot be seen escaped.

    >>> print(quoted('a "b"\\u2028'))
    "a \\"b\\"\\u2028"
    """
    shown = json.dumps(str(text), ensure_ascii=False)
    return "".join(
        c if c.isprintable() else f"\\u{ord(c):04x}" if ord(c) < 0x10000 else f"\\U{ord(c):08x}" for c in shown
    )


def suggested_rules(drafts: Sequence[Draft]) -> list[str]:
    """Rules of cleaning that columns of survey platforms call for, for a person to take over."""
    seen = {
        draft.column.casefold(): (draft, {label.removeprefix("answer ") for _, label, *_ in draft.categories})
        for draft in drafts
    }
    return [
        f"{{id: {name}, stage: {stage}, column: {seen[column][0].name}, op: equals, value: {quoted(answer)}, "
        f"action: exclude, reason: {reason}}}"
        for name, stage, column, answers, reason in PLATFORM_RULES
        if column in seen
        for answer in sorted(seen[column][1] & answers)
    ]


def answer_scales(drafts: Sequence[Draft]) -> dict[str, tuple[tuple[str, str], ...]]:
    """Name the answer scales that several items share."""
    shared = [d.categories for d in drafts if d.kind == "item"]
    twice = [categories for categories in dict.fromkeys(shared) if shared.count(categories) > 1]
    return {f"answers_{i}": categories for i, categories in enumerate(twice, 1)}


def _belong(one: Draft, other: Draft) -> bool:
    """Neighbors belong together if their names share a stem, or if both columns are headed by the whole statement."""
    return stem(one) == stem(other) or (" " in one.column.strip() and " " in other.column.strip())


def batteries(drafts: Sequence[Draft]) -> list[list[str]]:
    """Runs of at least three neighboring items on one answer scale: likely scales, for a person to sort."""
    runs: list[list[Draft]] = []
    for draft in (d for d in drafts if d.kind == "item"):
        same = runs and runs[-1][-1].categories == draft.categories and _belong(runs[-1][-1], draft)
        runs[-1].append(draft) if same else runs.append([draft])
    return [[d.name for d in run] for run in runs if len(run) >= 3]
