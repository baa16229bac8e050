"""Look a study over without running it: files, codebook, data, rules and parameters, and all that is wrong at once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pandas as pd

from smstudy.display.prose import join_words, plural
from smstudy.documents import document_problems, entry_lines
from smstudy.engine.parameters import declared_parameters
from smstudy.errors import CodebookError, DataError, SmstudyError, StudyError, did_you_mean
from smstudy.inference.regression.formula import parse_formula
from smstudy.privacy import FLOOR_SCORES
from smstudy.study.definition import Study, find_notebook, find_study, read_study, still_drafted
from smstudy.study.foresight import pilot_notes
from smstudy.study.inputs import Inputs, resolve_inputs
from smstudy.study.naming import FORMULA, MADE_BY_CLEANING, columns_of
from smstudy.study.report import SUMMARY
from smstudy.study.runner import plan_jobs
from smstudy.study.session import StudyRun
from smstudy.survey.cleaning import clean
from smstudy.survey.codebook import NAME, Codebook, Scale, Variable, read_codebook
from smstudy.survey.dataset import Survey
from smstudy.survey.decoding import UNKNOWN, another_file, decode, doubled_headers, is_another_file
from smstudy.survey.defects import READ
from smstudy.survey.drafts.guesses import TO_CONFIRM
from smstudy.survey.exports import Export, read_export
from smstudy.survey.quality import quality_card, with_flags
from smstudy.survey.quoting import may_quote
from smstudy.survey.schema import SILENT, STOPS, compare_schemas

KEPT = re.compile(r"run\.keep\(\s*[\"']([\w-]+)")
WEIGHTS = "15-weights"
SCALES = "20-scales"
ROWS_ARE_NAMED = (WEIGHTS, SCALES, "30-groups", "40-drivers", "45-mechanisms", "50-segments", "55-necessity")
CODES_ONLY = re.compile(r'"-?\d+([.,]0+)?"((, | and )"-?\d+([.,]0+)?")*')
MOST_TERMS = 6
MOST_ANSWERS = 12
Given = TypeVar("Given")


def check_study(
    name: str, *, data: Mapping[str, str] | None = None, wave: str = "", previous_wave: str | None = None
) -> str:
    """Check everything about a study that can be checked without a notebook.

    Returns
    -------
    str
        What was read, what changed since the previous wave and what a reader must know, one line each.

    Raises
    ------
    StudyError, CodebookError, DataError, DisclosureError
        With everything that would stop a run, one line each; the family is that of the first.
    """
    folder = find_study(name)
    found = _Findings()
    study = found.document(folder / "study.yml", Study, StudyError, lambda: read_study(folder))
    path = folder / "codebook.yml"
    codebook = found.document(path, Codebook, CodebookError, lambda: read_codebook(path))
    inputs = _inputs(found, folder, study, data, wave, previous_wave) if study else None
    if study and codebook:
        _check_study(found, folder, study, codebook, inputs)
    run = None
    if study and codebook and inputs and found.attempt(lambda: study.policy):
        run = StudyRun(folder=folder, study=study, inputs=inputs, privacy=study.policy)
        changed = _check_data(found, run)
    ahead = found.attempt(lambda: pilot_notes(run)) if not found.problems else []
    if found.problems:
        raise found.error()
    return _overview(run, changed, entry_lines(path, "variables"), ahead)


@dataclass
class _Findings:
    """What would stop a run, in the order in which it was found."""

    problems: list[SmstudyError] = field(default_factory=list)

    def attempt(self, function: Callable[[], Given]) -> Given | None:
        """Give what a function gives, or keep why it cannot."""
        try:
            return function()
        except SmstudyError as problem:
            self.problems.append(problem)
            return None

    def document(self, path: Path, model: type, error: type[SmstudyError], read: Callable[[], Given]) -> Given | None:
        """Give a document, or keep all that is wrong with it."""
        try:
            return read()
        except SmstudyError as problem:
            texts = document_problems(path, model, error) if path.is_file() else []
            self.problems += [type(problem)(text) for text in texts or [str(problem)]]
            return None

    def error(self) -> SmstudyError:
        """All problems as one error of the family of the first, one line each."""
        different = {str(problem): problem for problem in self.problems}
        first, *others = different.values()
        if not others:
            return first
        lines = [f"{type(problem).__name__}: {problem}" for problem in different.values()]
        return type(first)("\n".join([f"{len(lines)} problems would stop a run.", *_indented(lines)]))


# ---- the study -----------------------------------------------------------------------------------------------------


def _inputs(
    found: _Findings, folder: Path, study: Study, data: Mapping[str, str] | None, wave: str, previous: str | None
) -> Inputs | None:
    """Files of the case; if only those of the previous wave are wrong, this wave is looked at all the same."""
    inputs = found.attempt(lambda: resolve_inputs(folder, study, data=data, wave=wave, previous_wave=previous))
    if inputs is not None:
        return inputs
    own = {role: file for role, file in (data or {}).items() if role != "previous_responses"}
    try:
        return resolve_inputs(folder, study, data=own, wave=wave, previous_wave="")
    except SmstudyError:
        return None


def _check_study(found: _Findings, folder: Path, study: Study, codebook: Codebook, inputs: Inputs | None) -> None:
    """Names that study.yml gives, and the notebooks with their parameters."""
    known = [variable.name for variable in codebook.variables]
    for key, name in (("unit", study.unit), ("person", study.person)):
        if name and name not in known:
            text = f'study.yml: {key}: "{name}" is no variable of the codebook. {did_you_mean(name, known)}'
            found.problems.append(StudyError(text))
    _check_results(found, folder, study)
    _check_terms(found, folder, study, codebook)
    _check_scales(found, folder, study, codebook)
    if inputs is not None:
        _check_notebooks(found, folder, study, inputs)


def _check_results(found: _Findings, folder: Path, study: Study) -> None:
    """Results that hypotheses ask for: the notebook must keep one of that name."""
    for hypothesis in study.hypotheses:
        notebook, _, result = hypothesis.result.partition("/")
        kept = _kept(folder, notebook)
        if kept and result not in kept:
            text = (
                f'study.yml: hypothesis "{hypothesis.id}" asks for "{hypothesis.result}", which the notebook does not '
                f"keep. {did_you_mean(result, kept)}"
            )
            found.problems.append(StudyError(text))


def _check_terms(found: _Findings, folder: Path, study: Study, codebook: Codebook) -> None:
    """Terms of hypotheses: where a shipped notebook names rows after scales and variables, there must be one.

    What is more than a plain name, such as a level or a product, is not looked at.
    """
    lines = entry_lines(folder / "study.yml", "hypotheses", name="id")
    for hypothesis in study.hypotheses:
        notebook = hypothesis.result.partition("/")[0]
        shipped = notebook in ROWS_ARE_NAMED and not (folder / f"{notebook}.ipynb").is_file()
        if not shipped or hypothesis.rule != "interval" or not NAME.fullmatch(hypothesis.term):
            continue
        named = _terms_of_formula(folder, study, notebook)
        known = named or [*(scale.name for scale in codebook.scales), *columns_of(codebook)]
        if hypothesis.term not in known:
            among = "the formula of its notebook" if named else "the scales and variables of the codebook"
            text = (
                f'study.yml line {lines.get(hypothesis.id, 1)}: hypothesis "{hypothesis.id}": term "{hypothesis.term}" '
                f"is not in {among}, so it would not be tested. {did_you_mean(hypothesis.term, known)}"
            )
            found.problems.append(StudyError(text))


def _terms_of_formula(folder: Path, study: Study, notebook: str) -> list[str]:
    """Columns of the formula a notebook works with; none if it has no formula, or one that cannot be read."""
    step = next((step for step in study.notebooks if step.name == notebook), None)
    try:
        parameters = declared_parameters(find_notebook(folder, notebook))
        formula = step.parameters.get(FORMULA) or parameters[FORMULA].default
        return list(parse_formula(formula).columns)
    except (SmstudyError, KeyError, AttributeError):
        return []


def _check_scales(found: _Findings, folder: Path, study: Study, codebook: Codebook) -> None:
    """The shipped notebook on scales correlates them, so there must be two."""
    shipped = not (folder / f"{SCALES}.ipynb").is_file()
    if shipped and len(codebook.scales) < 2 and any(step.name == SCALES for step in study.notebooks):
        text = (
            f'study.yml: notebook "{SCALES}" compares scales and needs two; codebook.yml has {len(codebook.scales)}. '
            "Name another scale there, or take the notebook out of study.yml."
        )
        found.problems.append(StudyError(text))


def _kept(folder: Path, notebook: str) -> set[str]:
    """Names under which a notebook keeps results; none if it cannot be read, which is said elsewhere."""
    try:
        cells = json.loads(find_notebook(folder, notebook).read_text(encoding="utf-8"))["cells"]
        return {name for cell in cells for name in KEPT.findall("".join(cell["source"]))}
    except (SmstudyError, OSError, ValueError, KeyError, TypeError):
        return set()


def _check_notebooks(found: _Findings, folder: Path, study: Study, inputs: Inputs) -> None:
    try:
        plan_jobs(folder, study, inputs, {})
    except SmstudyError as problem:
        before = len(found.problems)
        for step in study.notebooks:
            alone = study.model_copy(update={"notebooks": (step.model_copy(update={"after": ()}),)})
            found.attempt(lambda alone=alone: plan_jobs(folder, alone, inputs, {}))
        if len(found.problems) == before:
            found.problems.append(problem)


# ---- the data ------------------------------------------------------------------------------------------------------


def _check_data(found: _Findings, run: StudyRun) -> pd.DataFrame:
    """Both waves, the rules and the head counts; gives what changed in the questionnaire."""
    keep = {header for variable in run.codebook.variables for header in variable.headers}
    export = found.attempt(lambda: read_export(run.inputs.responses, keep=keep))
    path = run.inputs.previous_responses
    previous = found.attempt(lambda: read_export(path, keep=keep)) if path else None
    lines = entry_lines(run.folder / "codebook.yml", "variables")
    changed = pd.DataFrame(columns=["term", "status"])
    if export is not None:
        diff = compare_schemas(export, run.codebook, previous=previous, privacy=run.privacy)
        changed = diff.shown()
        _check_answers(found, run, export, changed, lines, this_wave=True)
    if previous is not None:
        earlier = compare_schemas(previous, run.codebook, privacy=run.privacy).shown()
        _check_answers(found, run, previous, earlier, lines, this_wave=False)
    return changed


def _check_answers(
    found: _Findings, run: StudyRun, export: Export, changed: pd.DataFrame, lines: Mapping[str, int], *, this_wave: bool
) -> None:
    """Decode a wave; if that fails say so for every column, else apply the rules and look at the head counts."""
    survey = _decoded(export, run)
    if survey is None:
        found.problems += list(_column_problems(export, run.codebook, changed, lines, earlier=not this_wave))
        if this_wave:
            found.problems += list(_rules_on_nothing(run))
    elif _rules_hold(found, run, this_wave) and this_wave and _unit_known(run):
        found.attempt(run.response)
        if any(step.name == WEIGHTS for step in run.study.notebooks):
            found.attempt(run.weights)


def _unit_known(run: StudyRun) -> bool:
    return run.study.unit in ("", *(variable.name for variable in run.codebook.variables))


def _decoded(export: Export, run: StudyRun) -> Survey | None:
    try:
        return decode(export, run.codebook, privacy=run.privacy)
    except SmstudyError:
        return None


def _column_problems(
    export: Export, codebook: Codebook, changed: pd.DataFrame, lines: Mapping[str, int], *, earlier: bool
) -> Iterable[SmstudyError]:
    """One problem for each column that cannot be read: what is wrong, where, what to write.

    Columns that hold the same unknown codes are one problem.
    """
    if is_another_file(export, codebook):
        yield CodebookError(another_file(export, codebook))
        return
    rows = {row.term: row for row in changed[changed["status"].isin(STOPS)].itertuples()}
    doubled, together = doubled_headers(export), _with_same_codes(codebook, rows)
    for variable in codebook.variables:
        place = f"(variable {variable.name}, codebook.yml line {lines.get(variable.name, 1)})"
        header, row = variable.column_in(export.cells.columns), rows.get(variable.name)
        alike = together.get(variable.name, ())
        if header is None:
            yield CodebookError(_absent(export, variable, place, row, earlier=earlier))
        elif header in doubled:
            yield CodebookError(
                f"{export.source}: the header is there more than once: {header} {place}. "
                "Rename the columns in the export, so that each name is there once."
            )
        elif len(alike) > 1:
            if variable.name == alike[0]:
                yield DataError(_unknown_in_all(export, codebook, alike, row.new, lines))
        elif problem := _unreadable(export, codebook, variable):
            text = f"{problem} {place}" if row is None else _unknown(variable, header, place, row)
            yield type(problem)(f"{export.source}: {text}{_place_of_words(export, codebook, variable)}")


def _with_same_codes(codebook: Codebook, rows: Mapping[str, tuple]) -> dict[str, tuple[str, ...]]:
    """Variables by the codes they hold that the codebook does not know: for each of them, all that hold the same."""
    held: dict[tuple[str, str], list[str]] = {}
    for variable in codebook.of_kind("item", "category"):
        row = rows.get(variable.name)
        if row is not None and row.status == "answers not in the codebook" and CODES_ONLY.fullmatch(row.new):
            held.setdefault((variable.kind, row.new), []).append(variable.name)
    return {name: tuple(names) for names in held.values() for name in names}


def _unknown_in_all(
    export: Export, codebook: Codebook, names: Sequence[str], codes: str, lines: Mapping[str, int]
) -> str:
    """Several variables with the same unknown codes: one line, and where to write what."""
    kind = codebook.variable(names[0]).kind
    many = "categories" if kind == "category" else None
    places = [f"{name} (line {lines.get(name, 1)})" for name in names[:MOST_TERMS]]
    more = [f"{len(names) - MOST_TERMS} more"] if len(names) > MOST_TERMS else []
    missing = ", ".join(f'{code}: "why"' for code in re.findall(r'"[^"]+"', codes))
    answered = [v.name for v in codebook.variables if v.name not in names and _answers(export, v, codes)]
    where = (
        f"under each of them, because it is an answer of {join_words(answered[:MOST_TERMS])},"
        if answered
        else "at the top of codebook.yml"
    )
    return (
        f"{export.source}: {plural(len(names), kind, many)} hold {codes}, which the codebook does not know: "
        f"{join_words([*places, *more])}. If it means no answer, {where} write missing: {{{missing}}}; "
        "if it is an answer, add it to their categories."
    )


def _answers(export: Export, variable: Variable, codes: str) -> bool:
    """Whether one of the codes is an answer of a variable."""
    header, told = variable.column_in(export.cells.columns), set(re.findall(r'"([^"]+)"', codes))
    if variable.kind in ("number", "weight"):
        return header is not None and bool(told & {str(cell).strip() for cell in export.cells[header].unique()})
    return bool(told & {category.value for category in variable.categories})


def _place_of_words(export: Export, codebook: Codebook, variable: Variable) -> str:
    """Where the first answer stands that must not be quoted; empty if there is none."""
    header = variable.column_in(export.cells.columns)
    lenient = variable.model_copy(update={"unknown_codes": "missing"})
    survey = decode(export, Codebook(title=codebook.title, missing=codebook.missing, variables=(lenient,)))
    rows = survey.missing.loc[survey.missing["reason"] == UNKNOWN, "row"].to_numpy()
    for row, cell in zip(rows, export.cells[header].iloc[rows], strict=True):
        if not may_quote(str(cell).strip(), variable):
            skipped = ", empty ones not counted" if export.blank_rows else ""
            return f" The first text that is not shown stands in row {row + 1} below the headings{skipped}."
    return ""


def _absent(export: Export, variable: Variable, place: str, row: tuple | None, *, earlier: bool) -> str:
    what = f'{export.source} has no column "{variable.column}" {place}.'
    if row is None or row.status == "not in the export":
        advice = row.repair if row is not None else 'Correct "column:".'
        return f"{what} {did_you_mean(variable.column, export.cells.columns)} {advice}"
    what += f' It {"seems to" if row.status == "renamed" else "could"} be "{row.new}".'
    former = json.dumps([*variable.former_columns, row.new], ensure_ascii=False)
    return f'{what} Under "name: {variable.name}" write former_columns: {former}' if earlier else f"{what} {row.repair}"


def _unknown(variable: Variable, header: str, place: str, row: tuple) -> str:
    count = f"{int(row.n)} rows hold" if row.n == row.n else f"fewer than {FLOOR_SCORES} rows hold"
    plain = row.status in ("answers not in the codebook", "spelled differently")
    looks = "" if plain else f" It looks like: {row.status}."
    text = f'column "{header}" ({variable.kind}): {count} answers that the codebook does not know: {row.new} {place}.'
    return f"{text}{looks} Allowed: {_allowed(variable)}. {row.repair.rstrip('.')}."


def _allowed(variable: Variable) -> str:
    if variable.categories:
        shown = [f"{category.value} = {category.label}" for category in variable.categories[:MOST_ANSWERS]]
        more = len(variable.categories) - len(shown)
        return ", ".join(shown) + (f" and {more} more" if more else "")
    low, high = variable.constraints.minimum, variable.constraints.maximum
    bounds = [f"{word} {value:g}" for word, value in (("at least", low), ("at most", high)) if value is not None]
    return f"a {variable.kind}" + (f", {join_words(bounds)}" if bounds else "")


def _unreadable(export: Export, codebook: Codebook, variable: Variable) -> SmstudyError | None:
    try:
        decode(export, Codebook(title=codebook.title, missing=codebook.missing, variables=(variable,)))
    except SmstudyError as problem:
        return problem
    return None


def _rules_on_nothing(run: StudyRun) -> Iterable[SmstudyError]:
    """Rules on variables that are not in the codebook, for when there is no survey to try them on."""
    known = {*columns_of(run.codebook), *run.scales, *(variable.name for variable in run.codebook.variables)}
    for rule in run.study.rules:
        for name in rule.columns:
            if name not in known and not name.startswith(MADE_BY_CLEANING):
                hint = did_you_mean(name, known)
                yield StudyError(f'Cleaning rule "{rule.id}": there is no variable "{name}". {hint}')


def _rules_hold(found: _Findings, run: StudyRun, this_wave: bool) -> bool:
    """Apply the rules; if that fails, find every rule that fails."""
    try:
        run.survey("clean") if this_wave else run.previous_survey()
        return True
    except SmstudyError as problem:
        before = len(found.problems)
        raw, good = found.attempt(lambda: _flagged(run)) if this_wave else None, []
        for rule in run.study.rules if raw is not None else ():
            if found.attempt(lambda rule=rule: clean(raw, (*good, rule))) is not None:
                good.append(rule)
        if len(found.problems) == before:
            found.problems.append(problem)
        return False


def _flagged(run: StudyRun) -> Survey:
    """The raw answers with the quality flags that rules may name."""
    raw = run.survey("raw")
    return with_flags(raw, quality_card(raw, attention=run.study.attention))


# ---- what to say when it can run -----------------------------------------------------------------------------------


def _overview(run: StudyRun, changed: pd.DataFrame, lines: Mapping[str, int], ahead: Sequence[str]) -> str:
    survey, previous, response = run.survey("clean"), run.previous_survey(), run.response()
    told = [
        f"{run.study.title}: {plural(len(run.study.notebooks), 'notebook')}",
        f"Wave {run.inputs.wave}, from {run.inputs.responses.name}:",
        *_indented(survey.log),
    ]
    if previous is not None:
        told += [f"Previous wave {run.inputs.previous_wave}:", *_indented(previous.log)]
    findings = (*run.order_of_waves(), *survey.findings, *response.findings)
    notes = dict.fromkeys([*run.inputs.doubts, *(finding.text for finding in findings)])
    notes |= dict.fromkeys([*ahead, *_undecided(run.study), *_doubtful_scales(run)])
    questions = [
        f"codebook.yml line {lines.get(variable.name, 1)}, {variable.name}: {variable.confirm}"
        for variable in run.codebook.variables
        if variable.confirm
    ]
    questions += _placeholders(run)
    ready = "It can run; first decide what is to be confirmed, and take confirm: out." if questions else "Ready to run."
    doubts, harmless = _changes(changed)
    return "\n".join(
        [
            *told,
            *_section("Perhaps read with another meaning:", doubts),
            *_section("Changed in the questionnaire:", harmless),
            *_section("Found in the export:", _defects(run)),
            *_section("To know:", notes),
            *_section("To confirm:", questions),
            ready,
        ]
    )


def _undecided(study: Study) -> list[str]:
    """Hypotheses whose result the summary does not get to see."""
    seen = next((step.after for step in study.notebooks if step.name == SUMMARY), None)
    asked = {h.id: h.result.partition("/")[0] for h in study.hypotheses}
    return [
        f'Hypothesis "{name}" would be "not tested": in study.yml, write {notebook} into the after: of {SUMMARY}.'
        for name, notebook in asked.items()
        if seen is not None and notebook not in seen
    ]


def _doubtful_scales(run: StudyRun) -> list[str]:
    """Scales of one item, and items that belong to two scales: what cannot be computed with them."""
    scales = run.codebook.scales
    lines = entry_lines(run.folder / "codebook.yml", "scales")
    single = [
        f'codebook.yml line {lines.get(scale.name, 1)}: scale "{scale.name}" has one item, so its reliability and its '
        "part in a factor model cannot be told."
        for scale in scales
        if len(scale.items) == 1
    ]
    owners: dict[str, list[Scale]] = {}
    for scale in scales:
        for name in scale.items:
            owners.setdefault(name, []).append(scale)
    shared = [
        f'codebook.yml line {lines.get(several[-1].name, 1)}: item "{name}" is in the scales '
        f"{join_words([json.dumps(scale.name) for scale in several])}, so no factor model can tell them apart: model, "
        "validity and invariance are not computed. Take it out of one."
        for name, several in owners.items()
        if len(several) > 1
    ]
    return [*single, *shared]


def _placeholders(run: StudyRun) -> list[str]:
    """What a draft left open: texts nobody wrote, codes nobody decided on."""
    left = [f"{place} is what the draft wrote" for place in still_drafted(run.folder, run.study)]
    codes = {(code, reason) for v in run.codebook.variables for code, reason in v.missing.items()}
    open_codes = sorted(code for code, why in codes | {*run.codebook.missing.items()} if why == TO_CONFIRM)
    return left + [f'codebook.yml, code "{code}": say what it means, or take it out' for code in open_codes]


def _defects(run: StudyRun) -> list[str]:
    """Defects of the export, each with what to do."""
    found = run.defects().found()
    return [f"{row.defect}: {row.reason} {row.repair}".strip() for row in found.itertuples() if row.action != READ]


def _changes(changed: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Doubts one by one; what does no harm put together by kind of change."""
    doubts = [_change(row) for row in changed[changed["status"].isin(SILENT)].itertuples()]
    others = changed[~changed["status"].isin([*SILENT, *STOPS])]
    harmless = []
    for (status, repair), rows in others.groupby(["status", "repair"], sort=False):
        if len(rows) == 1 or status == "wording edited":
            harmless += [_change(row) for row in rows.itertuples()]
        else:
            terms = list(rows["term"][:MOST_TERMS])
            more = [f"{len(rows) - MOST_TERMS} more"] if len(rows) > MOST_TERMS else []
            harmless.append(f"{status}: {join_words([*terms, *more])}. {repair}")
    return doubts, harmless


def _change(row: tuple) -> str:
    sides = " -> ".join(side for side in (row.old, row.new) if side and side != row.term)
    return f"{row.term}: {row.status}{': ' if sides else ''}{sides.rstrip('.')}. {row.repair}"


def _section(heading: str, lines: Iterable[str]) -> list[str]:
    lines = list(lines)
    return [heading, *_indented(lines)] if lines else []


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"  {line}" for line in lines]
