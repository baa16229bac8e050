"""A new study from an export: a codebook to finish and a study that can be checked and run."""

from __future__ import annotations

import json
import os
import re
import textwrap
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import count, pairwise
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from smstudy.display.prose import plural
from smstudy.engine.fingerprint import digest_file
from smstudy.errors import DataError, StudyError
from smstudy.instruments.library import Recognized
from smstudy.study.recognition import apply_instruments, recognized_scales
from smstudy.survey.decoding import NUMBER, doubled_headers, normalize
from smstudy.survey.drafting import draft_variables, is_unit, left_out
from smstudy.survey.drafts.batteries import belong, neighbors
from smstudy.survey.drafts.guesses import SENTINELS, Draft, is_unlabeled, of_platform, words_of
from smstudy.survey.drafts.languages import declared_in, spoken_in
from smstudy.survey.exports import Export, read_export

PLATFORM_RULES = (
    ("preview", "eligibility", "status", {"Survey Preview", "Survey Test", "1", "2"}, "Test run of the questionnaire"),
    ("unfinished", "completeness", "finished", {"False", "FALSE", "0"}, "Did not reach the last page"),
)
CONSENT = re.compile(
    r"\b(consent|(agree|want) to (take part|participate)|einverstanden|einwillig|accepte de participer)", re.IGNORECASE
)
NO = re.compile(r"(no|non|nein|nee|i do not|i disagree|disagree|decline|ich stimme nicht)\b", re.IGNORECASE)
TOLD_TO = re.compile(
    r"\b(please|to show|bitte|merci de)\b.*\b(select|choose|tick|mark|click|pick|wählen|cochez)", re.IGNORECASE
)
PERSON = re.compile(
    r"(?<![a-z])(panel|personal code|code word|token|participant|pseudonym|employee|staff|personnel|subject|person id)",
    re.IGNORECASE,
)
LANGUAGE_COLUMNS = {"userlanguage", "startlanguage", "language"}
FEWEST_ITEMS = 2
NO_CHOICE = ("text", "id", "date")
COMMON = 3
FEW_ITEMS = (
    "A run needs at least 2 variables of kind item. Where answers are steps of a scale, write kind: item, and a number "
    "as the value of each answer."
)
LONGEST = 60
NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,60}")


@dataclass(frozen=True)
class Drafted:
    """The folder of a new study, and the columns of the export that its codebook leaves out, each with the reason.

    `doubled` are those among them whose heading is there more than once: somebody must rename them. `few_items` says
    that too few columns look like items for a run.
    """

    folder: Path
    left_out: Mapping[str, str]
    doubled: Collection[str] = ()
    few_items: bool = False

    def says(self) -> list[str]:
        """Which columns to rename, one line each, how many others are left out, and what a run still needs."""
        cut = {column: quoted(textwrap.shorten(column, LONGEST)) for column in self.doubled}
        told = [f"Left out: {words} is {self.left_out[column]}." for column, words in cut.items()]
        if others := len(self.left_out) - len(cut):
            told.append(f"Left out: {plural(others, 'column')}, listed with the reason at the top of codebook.yml.")
        return [*told, FEW_ITEMS] if self.few_items else told


def draft_study(name: str, export: str, structure: str | None = None) -> Drafted:
    """Draft a study from an export.

    Parameters
    ----------
    name : str
        Name of the study: small letters, digits, hyphens.
    export : str
        The survey export to begin from; it is left where it is.
    structure : str, optional
        The definition of the questionnaire that belongs to it (.qsf, .lss, REDCap dictionary, R syntax): it brings
        wordings, answers and types.

    Returns
    -------
    Drafted
        The new folder `studies/NAME` with `codebook.yml`, `study.yml` and `README.md`, and the columns left out. Items
        that an instrument knows by their wording bring their answers, their reversal (to be confirmed) and their
        scales.

    Raises
    ------
    StudyError
        If the name cannot be used or is taken.
    DataError
        If the export cannot be read, or the file is none.
    """
    if not NAME.fullmatch(name):
        raise StudyError(f'"{name}" cannot name a study. Use small letters, digits and hyphens, for instance my-study.')
    folder = Path.cwd() / "studies" / name
    if folder.exists():
        raise StudyError(f"{folder} is there already. Choose another name, or delete the folder.")
    source = Path(export).expanduser().resolve()
    read = read_export(source, structure=Path(structure).expanduser()) if structure else read_export(source)
    drafts = draft_variables(read)
    _refuse_no_export(read, drafts)
    drafts, found = apply_instruments(drafts, coded=read.choices)
    left = left_out(read)
    pages = _render(name, source, _seen_from(folder, source), drafts, found, left)
    try:
        folder.mkdir(parents=True)
        for file, text in pages.items():
            (folder / file).write_text(text, encoding="utf-8")
    except OSError as problem:
        raise StudyError(f"{folder} cannot be written: {problem.strerror}. Choose a folder you may write to.") from None
    return Drafted(folder, left, [name for name in left if name in doubled_headers(read)], _few_items(drafts))


def _refuse_no_export(read: Export, drafts: Sequence[Draft]) -> None:
    """Refuse a text that is read as a single column of words: an export has one column for each question."""
    if read.cells.shape[1] + len(read.dropped) == 1 and drafts[0].kind in NO_CHOICE:
        raise DataError(
            f"{read.source} is no survey export: it is one column of text; an export has one for each question. Give "
            "the answers as the survey platform exports them: CSV or other separated text, .xlsx, .sav, .dta or "
            "Parquet."
        )


def _few_items(drafts: Sequence[Draft]) -> bool:
    return sum(draft.kind == "item" for draft in drafts) < FEWEST_ITEMS


def _seen_from(folder: Path, source: Path) -> str:
    """The path of the export as study.yml writes it: relative where both lie on one drive."""
    try:
        return Path(os.path.relpath(source, folder)).as_posix()
    except ValueError:
        return source.as_posix()


def _render(
    name: str,
    source: Path,
    file: str,
    drafts: Sequence[Draft],
    found: Mapping[str, Recognized],
    left: Mapping[str, str],
) -> dict[str, str]:
    environment = Environment(
        loader=PackageLoader("smstudy.study", "drafts"), undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters["quoted"] = quoted
    common = common_missing(drafts)
    drafts = [replace(d, missing={code: why for code, why in d.missing.items() if code not in common}) for d in drafts]
    scales = answer_scales(drafts)
    known = recognized_scales(drafts, found)
    placed = {item for scale in known for item in scale.items}
    taken = {*(draft.name for draft in drafts), *(scale.name for scale in known)}
    named = _named(batteries([draft for draft in drafts if draft.name not in placed]), taken)
    scores = [*(scale.name for scale in known), *named]
    values = {
        "name": name,
        "source": source,
        "file": file,
        "sha256": digest_file(source),
        "drafts": drafts,
        "few_items": FEW_ITEMS if _few_items(drafts) else "",
        "left_out": left,
        "language": language_of(drafts),
        "common": common,
        "questions": sum(bool(draft.confirm) for draft in drafts),
        "person": _same_in_every_wave(drafts),
        "scales": scales,
        "scale_of": {d.name: key for key, categories in scales.items() for d in drafts if d.categories == categories},
        "reversed": {name for name, match in found.items() if match.item.reverse},
        "known_scales": known,
        "batteries": named,
        "suggestions": suggested_rules(drafts),
        "scores": scores,
        "driver": scores[1] if len(scores) > 1 else "DRIVER",
        "unit": next((d.name for d in drafts if is_unit(d)), ""),
    }
    return {
        file: environment.get_template(f"{file}.j2").render(values)
        for file in ("codebook.yml", "study.yml", "README.md")
    }


def _same_in_every_wave(drafts: Sequence[Draft]) -> str:
    """The identifier that perhaps stays with a person: one named so, else one the platform did not make."""
    ids = [draft for draft in drafts if draft.kind == "id"]
    named = [draft.name for draft in ids if PERSON.search(f"{draft.column} {draft.title}")]
    others = [draft.name for draft in ids if not of_platform(draft.column)]
    return next(iter([*named, *others]), "")


def language_of(drafts: Sequence[Draft]) -> tuple[str, str]:
    """The language of a questionnaire, and where it is known from.

    >>> language_of([Draft("q1", "Q1", "Was ist für Sie und Ihre Arbeit nicht wichtig?", "text")])
    ('de', 'guessed from the wording of the questions')
    >>> language_of([Draft("q1", "Q1", "Q1", "text")])[0]
    'en'
    """
    spoken = spoken_in(draft.description or draft.title for draft in drafts if not of_platform(draft.column))
    if spoken:
        return spoken, "guessed from the wording of the questions"
    noted = [draft for draft in drafts if normalize(draft.column).replace(" ", "") in LANGUAGE_COLUMNS]
    codes = {code for draft in noted if (code := declared_in(_answers(draft)))}
    if len(codes) == 1:
        return codes.pop(), f"as the column {quoted(noted[0].column)} says"
    return "en", "to be confirmed: the wording does not tell. Two letters: de, en, es, fr, it, nl, pt or another"


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
    """Rules of cleaning that the columns call for, for a person to take over."""
    return [
        rule
        for draft in drafts
        for suggest in (_platform_rules, _consent, _instruction, _twice)
        for rule in suggest(draft)
    ]


def _rule(name: str, stage: str, column: str, op: str, reason: str, value: str | None = None) -> str:
    compared = "" if value is None else f" value: {quoted(value)},"
    left_out = f"action: exclude, reason: {quoted(reason)}"
    return f"{{id: {name}, stage: {stage}, column: {column}, op: {op},{compared} {left_out}}}"


def _rule_for_each(words: Sequence[str], name: str, stage: str, draft: Draft, reason: str) -> Iterator[str]:
    """One rule for each answer, under an id of its own."""
    for i, word in enumerate(words, 1):
        yield _rule(f"{name}-{i}" if i > 1 else name, stage, draft.name, "equals", reason, word)


def _answers(draft: Draft) -> list[str]:
    return [label.removeprefix("answer ") for _, label, *_ in draft.categories]


def _platform_rules(draft: Draft) -> Iterator[str]:
    for name, stage, column, answers, reason in PLATFORM_RULES:
        if draft.column.casefold() == column:
            yield from _rule_for_each(sorted(answers & {*_answers(draft)}), name, stage, draft, reason)
    if draft.column.casefold() == "submitdate":
        yield _rule("unfinished", "completeness", draft.name, "missing", "Did not send the questionnaire")


def _consent(draft: Draft) -> Iterator[str]:
    """Who says no where consent is asked for."""
    if draft.kind == "category" and len(draft.categories) <= COMMON and CONSENT.search(draft.title):
        refusals = [word for word in _answers(draft) if NO.match(word)]
        yield from _rule_for_each(refusals, "no-consent", "consent", draft, "Did not agree to take part")


def _instruction(draft: Draft) -> Iterator[str]:
    """Whoever does not choose the answer that an attention check names."""
    if draft.kind in ("item", "category") and TOLD_TO.search(draft.title):
        named = [
            w for w in _answers(draft) if re.search(rf"(?<!\w){re.escape(normalize(w))}(?!\w)", normalize(draft.title))
        ]
        if named:
            answer, name = max(named, key=len), f"attention-{draft.name}".replace("_", "-")
            yield _rule(
                name, "quality", draft.name, "not_equals", "Did not follow an instruction in the questionnaire", answer
            )


def _twice(draft: Draft) -> Iterator[str]:
    if draft.kind == "id":
        name = f"twice-{draft.name}".replace("_", "-")
        yield _rule(
            name, "duplicates", draft.name, "duplicate_of_earlier", "Answered before; the first response counts"
        )


def common_missing(drafts: Sequence[Draft]) -> dict[str, str]:
    """Codes that several columns declare missing for one reason, and that are an answer in none."""
    given = [(code, why) for draft in drafts for code, why in draft.missing.items()]
    answers = {normalize(word) for draft in drafts for word in words_of(draft)}
    reasons = {code: {why for other, why in given if other == code} for code, _ in given}
    are_numbers = any(draft.kind in ("number", "weight") for draft in drafts)
    return {
        code: why
        for (code, why), times in Counter(given).items()
        if times >= COMMON and len(reasons[code]) == 1 and normalize(code) not in answers
        and (code in SENTINELS or not NUMBER.fullmatch(code) or not are_numbers)
    }  # fmt: skip


def answer_scales(drafts: Sequence[Draft]) -> dict[str, tuple[tuple[str, str], ...]]:
    """Name the answer scales that several items share."""
    shared = [d.categories for d in drafts if d.kind == "item"]
    twice = [categories for categories in dict.fromkeys(shared) if shared.count(categories) > 1]
    return {f"answers_{i}": categories for i, categories in enumerate(twice, 1)}


def batteries(drafts: Sequence[Draft]) -> list[list[str]]:
    """Runs of at least three neighboring items on one answer scale: likely scales, for a person to sort."""
    items = [draft for draft in drafts if draft.kind == "item"]
    runs = list(neighbors(items, lambda one, other: one.categories == other.categories and _belong(one, other)))
    joined: list[list[Draft]] = []
    for run in runs:
        last = joined[-1] if joined else []
        single = len(run) == 1 and last and all(not _belong(one, other) for one, other in pairwise([*last, *run]))
        if single and last[-1].categories == run[0].categories and not is_unlabeled(run[0].categories):
            last += run
        else:
            joined.append(list(run))
    return [[draft.name for draft in run] for run in joined if len(run) >= COMMON]


def _belong(one: Draft, other: Draft) -> bool:
    """Rows of one question, names with one stem, or both columns headed by a whole statement."""
    statements = (
        " " in one.column.strip() and " " in other.column.strip() and not (one.description or other.description)
    )
    return statements or belong(one, other)
