"""What a notebook holds of its study: the data of this case, and a place to keep results."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import pandas as pd

from smstudy.display import figures, tables
from smstudy.display.prose import join_words
from smstudy.errors import StudyError, did_you_mean
from smstudy.privacy import Privacy
from smstudy.result import Finding, Pages, Result, write_record
from smstudy.scales.scoring import score
from smstudy.study import definition
from smstudy.study.answer import Answer, answer
from smstudy.study.hypotheses import Record, Verdicts, decide
from smstudy.study.inputs import Inputs, resolve_inputs
from smstudy.study.sensitivity import Sensitivity, sensitivity
from smstudy.survey.cleaning import Cleaning, clean
from smstudy.survey.closing import on_one_base
from smstudy.survey.codebook import Codebook, read_codebook
from smstudy.survey.dataset import Survey
from smstudy.survey.decoding import decode
from smstudy.survey.defects import DefectReport, find_defects
from smstudy.survey.disclosure import scale_scores
from smstudy.survey.exports import Export, read_export
from smstudy.survey.grading import QualityGrade, quality_grade
from smstudy.survey.operators import flag_name
from smstudy.survey.protection import ProtectionSheet, protection_sheet
from smstudy.survey.quality import CARELESS, QualityCard, quality_card, with_flags
from smstudy.survey.response import Response, response_table
from smstudy.survey.rules import Rule
from smstudy.survey.weights import Weights, poststratify, rake

Kept = TypeVar("Kept", bound=Result | Pages)
MOST_DATES = 0.9
HANDED_OVER = "SMSTUDY_RUN"
UNRECOGNIZED = Finding(
    name="respondents_not_recognized",
    text="Most respondents of an earlier release of this wave are not recognized in this run, so small differences "
    "between the two cannot be seen. If they are the same people, give the codebook an identifier that stays.",
)


@dataclass(frozen=True)
class StudyRun:
    """One study, for one organization and wave, as a notebook sees it.

    Attributes
    ----------
    inputs : Inputs
        The files of this case.
    privacy : Privacy
        The policy of the study, possibly raised by the notebook.
    output : Path or None
        Where `keep` stores; nothing is stored outside a run of the engine.
    unrecognized : bool
        Whether respondents of an earlier release are not recognized; the answers then say so.
    """

    folder: Path
    study: definition.Study
    inputs: Inputs
    privacy: Privacy
    output: Path | None = None
    upstream: Mapping[str, Path] = field(default_factory=dict)
    unrecognized: bool = False

    def __repr__(self) -> str:
        synthetic = " (synthetic data)" if self.study.synthetic else ""
        return f"{self.study.title}, {self.study.organization}{synthetic}, wave {self.inputs.wave}"

    @property
    def seed(self) -> int:
        """Start of every random step of the study."""
        return self.study.seed

    @property
    def unit(self) -> str:
        """Variable that says which department somebody belongs to; StudyError if the study names none."""
        if not self.study.unit:
            raise StudyError(
                "study.yml names no unit. Name the variable that holds the department, or leave this notebook out."
            )
        return self.study.unit

    @property
    def person(self) -> str:
        """Variable that is the same for a person in every wave; empty if the study names none."""
        return self.study.person

    @property
    def scales(self) -> list[str]:
        """Names of all scales of the codebook."""
        return [scale.name for scale in self.codebook.scales]

    @cached_property
    def codebook(self) -> Codebook:
        """What was asked."""
        return read_codebook(self.folder / "codebook.yml")

    @cached_property
    def head_counts(self) -> pd.DataFrame | None:
        """Head counts as the frame has them: `headcount` and columns named like variables; None if there are none."""
        if self.inputs.frame is None or self.study.frame is None:
            return None
        cells = read_export(self.inputs.frame).cells.astype("str")
        names = {self.study.frame.unit: self.study.unit or "unit", self.study.frame.headcount: "headcount"}
        absent = [name for name in names if name not in cells]
        if absent:
            raise StudyError(
                f'{self.inputs.frame.name} has no column "{absent[0]}". {did_you_mean(absent[0], cells.columns)}'
            )
        frame = cells.rename(columns=names)
        return frame.assign(headcount=pd.to_numeric(frame["headcount"], errors="coerce"))

    @property
    def frame(self) -> pd.DataFrame | None:
        """Head counts by department: columns unit and headcount; None if there are none."""
        counts, unit = self.head_counts, self.study.unit or "unit"
        if counts is None or counts[unit].is_unique or counts.shape[1] == 2:
            return None if counts is None else counts.rename(columns={unit: "unit"})[["unit", "headcount"]]
        summed = counts.groupby(unit, sort=False)["headcount"].sum(min_count=1)
        return summed.rename_axis("unit").reset_index()

    def survey(self, stage: str = "clean") -> Survey:
        """Give the answers of this wave: `raw` as decoded, or `clean` with rules applied and scales scored."""
        if stage not in ("raw", "clean"):
            raise StudyError(f'There is no stage "{stage}". Allowed: raw, clean.')
        return self._raw if stage == "raw" else self._clean

    def previous(self) -> StudyRun:
        """The same study at the previous wave; StudyError if it names none."""
        if self.inputs.previous_responses is None:
            raise StudyError(
                "study.yml names no previous wave. Name one under previous_wave, or leave the notebook out."
            )
        inputs = replace(
            self.inputs,
            responses=self.inputs.previous_responses,
            wave=self.inputs.previous_wave,
            previous_responses=None,
            previous_wave="",
        )
        return replace(self, inputs=inputs)

    def previous_survey(self) -> Survey | None:
        """Give the clean answers of the previous wave; None if the study names none."""
        return None if self.inputs.previous_responses is None else self.previous().survey()

    def quality(self) -> QualityCard:
        """Check the quality of the answers that are left: of previews and of those who refused nothing is told."""
        return self._card(self._cleaning.survey)

    def grade(self) -> QualityGrade:
        """Grade the survey from A to E."""
        return quality_grade(self.quality(), self._cleaning.survey, response=self.response())

    def sensitivity(self, scores: Sequence[str] | None = None) -> Sensitivity:
        """Compare mean scores of everybody with those without whom a quality rule or the quality card flags.

        Means of the clean answers are shown elsewhere. Where a quality rule left out fewer people than may be shown,
        they are not counted among everybody; where the card flags so few of the others, these are not left out.
        """
        others = [rule for rule in self.study.rules if rule.stage != "quality"]
        everybody = score(self._cleaned(self._raw, others).survey).survey
        alone = self._cleaning.survey.answers.index.difference(self._clean.answers.index)
        everybody = everybody.keep_rows(
            ~everybody.answers.index.to_series().isin(alone), "those who alone lack a score"
        )
        left_out = ~everybody.answers.index.to_series().isin(self._clean.answers.index)
        if self._hidden_across_stages() or _few_with_a_score(everybody, left_out):
            everybody, left_out = everybody.keep_rows(~left_out, "too few to compare"), left_out[~left_out]
        careless = (everybody.answers[flag_name(CARELESS)] > 0) & ~left_out
        few = _few_with_a_score(everybody, careless)
        return sensitivity(everybody, left_out if few else left_out | careless, scores=scores)

    def _hidden_across_stages(self) -> bool:
        """Whether the flow hides rules of the quality stage together with others: a sum of the first tells the rest."""
        shown = self._cleaning.shown()
        return "hidden" in shown and shown.loc[shown["hidden"].eq(True), "stage"].eq("quality").nunique() > 1

    def weights(self) -> Weights:
        """Weight the clean answers to the head counts, as study.yml says under weights."""
        plan = self.study.weights or definition.Weighting()
        if self.head_counts is None:
            raise StudyError("study.yml names no frame with head counts to weight to. Name one, or leave weights out.")
        options = {"margins": plan.margins, "missing": plan.missing}
        if plan.method == "poststratify":
            return poststratify(self._clean, self.head_counts, **options)
        return rake(self._clean, self.head_counts, trim=plan.trim, **options)

    def defects(self) -> DefectReport:
        """Look for everything that is often wrong with an export."""
        before = self.inputs.previous_responses
        return find_defects(
            self._export,
            self.codebook,
            survey=self._raw,
            card=self.quality(),
            previous=self._read(before) if before else None,
            frame=self.frame,
            period=self.study.period or None,
            rules=self.study.rules,
            privacy=self.privacy,
        )

    def protection(self) -> ProtectionSheet:
        """List what is done with every column of the export."""
        purpose = f"{self.study.title}: {self.study.question}"
        return protection_sheet(self._export, self.codebook, self.privacy, purpose=purpose)

    def response(self) -> Response:
        """Compare the respondents that are left with the head counts."""
        if not self.study.unit and not self.codebook.of_kind("unit"):
            return _response_of_all(self._clean, self.frame)
        return response_table(self._clean, self.frame, self.study.unit)

    def cleaning(self) -> Cleaning:
        """Apply the study's rules to the raw answers of this wave."""
        few = [finding for finding in self._clean.findings if finding.name == "few_gaps"]
        return replace(self._cleaning, findings=(*self._cleaning.findings, *few, *self.order_of_waves()))

    def order_of_waves(self) -> list[Finding]:
        """Warn of dates of this wave that lie before those of the previous one: the files may be the wrong way round.

        A column counts if nine in ten of its dates are earlier than nine in ten of the previous wave, so that neither a
        test run nor dates of birth do.
        """
        if self.inputs.previous_responses is None:
            return []
        now, before = self._dates(), self.previous()._dates()
        shared = now.columns.intersection(before.columns)
        earlier = [name for name in shared if now[name].quantile(MOST_DATES) < before[name].quantile(1 - MOST_DATES)]
        text = (
            f"Dates of wave {self.inputs.wave} lie before those of wave {self.inputs.previous_wave} "
            f"({join_words(earlier)}): the two files may be the wrong way round."
        )
        return [Finding(name="waves_out_of_order", text=text, severity="serious")] if earlier else []

    def _dates(self) -> pd.DataFrame:
        """The columns of kind date that the export has; what cannot be read as a date is missing."""
        export = self._export
        variables = tuple(
            variable.model_copy(update={"unknown_codes": "missing"})
            for variable in self.codebook.of_kind("date")
            if variable.column_in(export.cells.columns)
        )
        if not variables:
            return pd.DataFrame()
        book = Codebook(title=self.codebook.title, missing=self.codebook.missing, variables=variables)
        return decode(export, book, privacy=self.privacy).answers

    def keep(self, name: str, result: Kept) -> Kept:
        """Store a result, or each of several, for the report and the next wave, and show it."""
        if isinstance(result, Pages):
            for page, part in result.items():
                self.keep(f"{name}-{page}", part)
            return result
        if not name.replace("_", "").replace("-", "").isalnum():
            raise StudyError(f'"{name}" cannot name a result. Use letters, digits, - and _.')
        if self.output is not None:
            _store(self.output, name, result)
        return result

    def records(self) -> dict[str, Record]:
        """Read the results of the notebooks this one builds on, as `notebook/name`."""
        return {
            f"{notebook}/{path.stem}": json.loads(path.read_text(encoding="utf-8"))
            for notebook, folder in sorted(self._result_folders().items())
            for path in sorted(folder.glob("*.json"))
        }

    def verdicts(self) -> Verdicts:
        """Decide the study's hypotheses."""
        return decide(self.study.hypotheses, self.records())

    def answer(self) -> Answer:
        """Answer the study's question in a few sentences, made from the verdicts."""
        return answer(self.study, self.inputs.wave, self.inputs.previous_wave, self.records(), self.verdicts())

    def _result_folders(self) -> dict[str, Path]:
        if self.output is not None:
            return {name: folder / "results" for name, folder in self.upstream.items()}
        if not self.study.synthetic:
            raise StudyError(
                f"{self.folder.name}: results are only there inside a run. Type `smstudy run {self.folder.name}`."
            )
        return {path.name: path for path in (definition.home() / "data" / "demo-organization" / "results").glob("*")}

    @cached_property
    def _export(self) -> Export:
        return self._read(self.inputs.responses)

    @cached_property
    def _raw(self) -> Survey:
        raw = self._decoded(self._export, self.inputs.wave)
        return replace(raw, findings=(*raw.findings, UNRECOGNIZED)) if self.unrecognized else raw

    @cached_property
    def _cleaning(self) -> Cleaning:
        return self._cleaned(self._raw, self.study.rules)

    @cached_property
    def _clean(self) -> Survey:
        return on_one_base(score(self._cleaning.survey).survey)

    def _read(self, path: Path) -> Export:
        return read_export(path, keep={name for v in self.codebook.variables for name in v.headers})

    def _decoded(self, export: Export, wave: str) -> Survey:
        return decode(export, self.codebook, privacy=self.privacy, wave=wave)

    def _card(self, survey: Survey) -> QualityCard:
        ids = {rule.id for rule in self.study.rules}
        thresholds = {name: number for name, number in self.study.cutoffs.items() if name not in ids}
        return quality_card(survey, attention=self.study.attention, thresholds=thresholds)

    def _cleaned(self, raw: Survey, rules: Sequence[Rule]) -> Cleaning:
        """Apply rules; what reading the export found goes with the flow of respondents."""
        cutoffs = {rule.id: self.study.cutoffs[rule.id] for rule in rules if rule.id in self.study.cutoffs}
        cleaning = clean(with_flags(raw, self._card(raw)), rules, cutoffs=cutoffs)
        return replace(cleaning, findings=(*raw.findings, *cleaning.findings))


def open_study(study: str, *, min_n: int = 5) -> StudyRun:
    """Open the study a notebook works on.

    Parameters
    ----------
    study : str
        Name of the study, or its folder.
    min_n : int
        Smallest group that is shown; can only be raised above what the study says.

    Returns
    -------
    StudyRun
        With the data of the present run, or the study's own files in JupyterLab, nbval and plain papermill.

    Raises
    ------
    StudyError
        If there is no such study, or one of its files is missing.
    DisclosureError
        If `min_n` is lower than 5.
    """
    handed = os.environ.get(HANDED_OVER)
    context = json.loads(Path(handed).read_text(encoding="utf-8")) if handed else {}
    folder = Path(context["paths"]["folder"]) if context else definition.find_study(study)
    plan = definition.read_study(folder)
    inputs = Inputs.from_context(context) if context else resolve_inputs(folder, plan)
    policy = plan.policy
    return StudyRun(
        folder=folder,
        study=plan,
        inputs=inputs,
        privacy=_policy(policy, min_n).closing(tuple(group) for group in context.get("closed", ())),
        output=Path(context["output"]) if context else None,
        upstream={name: Path(path) for name, path in context.get("upstream", {}).items()},
        unrecognized=bool(context.get("unrecognized", False)),
    )


def _few_with_a_score(survey: Survey, mask: pd.Series) -> bool:
    """Whether those in the mask are too few to be told about, in all or among those who have some score."""
    counts = survey.answers.loc[mask, scale_scores(survey)].notna().sum()
    return any(0 < n < survey.privacy.min_n for n in (mask.sum(), *counts))


def _policy(policy: Privacy, min_n: int) -> Privacy:
    return policy.raised_to(max(min_n, policy.min_n)) if min_n >= 5 else Privacy(min_n=min_n)


def _response_of_all(survey: Survey, frame: pd.DataFrame | None) -> Response:
    """Give the response of a survey in which nobody was asked for a department."""
    n, asked = len(survey.answers), float("nan") if frame is None else frame["headcount"].sum(skipna=False)
    text = "The codebook has no variable of kind unit, so response cannot be told apart by department."
    return Response(
        title="Response",
        note="Respondents left after cleaning.",
        findings=(Finding(name="no_unit", text=text, severity="info"),),
        privacy=survey.privacy,
        rows=pd.DataFrame({"group": ["Everybody"], "n_frame": [asked], "n": [n], "response": [n / asked]}),
    )


def _store(output: Path, name: str, result: Result) -> None:
    for kind in ("results", "tables", "figures"):
        (output / kind).mkdir(parents=True, exist_ok=True)
    order = len(list((output / "results").glob("*.json")))
    (output / "results" / f"{name}.json").write_text(write_record(result, order=order), encoding="utf-8")
    (output / "tables" / f"{name}.csv").write_text(result.to_csv(), encoding="utf-8")
    (output / "tables" / f"{name}.tex").write_text(result.to_latex() + "\n", encoding="utf-8")
    result.to_docx().save(output / "tables" / f"{name}.docx")
    if result.picture is not None:
        figures.save(result.plot(), tables.to_csv(result.drawn()), output / "figures" / name)
        (output / "figures" / f"{name}.txt").write_text(result.alt_text() + "\n", encoding="utf-8")
