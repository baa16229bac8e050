"""What a notebook holds of its study: the data of this case, and a place to keep results."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from smstudy.display import figures, tables
from smstudy.errors import StudyError, did_you_mean
from smstudy.privacy import Privacy
from smstudy.result import Finding, Result, write_record
from smstudy.scales.scoring import score
from smstudy.study import definition
from smstudy.study.answer import Answer, answer
from smstudy.study.hypotheses import Record, Verdicts, decide
from smstudy.study.inputs import Inputs, resolve_inputs
from smstudy.survey.cleaning import Cleaning, clean
from smstudy.survey.codebook import Codebook, read_codebook
from smstudy.survey.dataset import Survey
from smstudy.survey.decoding import decode
from smstudy.survey.exports import read_export
from smstudy.survey.quality import QualityCard, Response, quality_card, response_table, with_flags

HANDED_OVER = "SMSTUDY_RUN"


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
    """

    folder: Path
    study: definition.Study
    inputs: Inputs
    privacy: Privacy
    output: Path | None = None
    upstream: Mapping[str, Path] = field(default_factory=dict)

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
    def frame(self) -> pd.DataFrame | None:
        """Head counts: columns unit and headcount; None if the study has none."""
        if self.inputs.frame is None or self.study.frame is None:
            return None
        cells = read_export(self.inputs.frame).cells
        names = {self.study.frame.unit: "unit", self.study.frame.headcount: "headcount"}
        absent = [name for name in names if name not in cells]
        if absent:
            raise StudyError(
                f'{self.inputs.frame.name} has no column "{absent[0]}". {did_you_mean(absent[0], cells.columns)}'
            )
        frame = cells.rename(columns=names)[["unit", "headcount"]]
        return frame.assign(headcount=pd.to_numeric(frame["headcount"], errors="coerce"))

    def survey(self, stage: str = "clean") -> Survey:
        """Give the answers of this wave: `raw` as decoded, or `clean` with rules applied and scales scored."""
        if stage not in ("raw", "clean"):
            raise StudyError(f'There is no stage "{stage}". Allowed: raw, clean.')
        return self._raw if stage == "raw" else self._clean

    def previous_survey(self) -> Survey | None:
        """Give the clean answers of the previous wave; None if the study names none."""
        if self.inputs.previous_responses is None:
            return None
        raw = self._decoded(self.inputs.previous_responses, self.inputs.previous_wave)
        return score(_cleaned(raw, self.study).survey).survey

    def quality(self) -> QualityCard:
        """Check the quality of the answers that are left: of previews and of those who refused nothing is told."""
        return quality_card(self._cleaning.survey)

    def response(self) -> Response:
        """Compare the respondents that are left with the head counts."""
        if not self.study.unit and not self.codebook.of_kind("unit"):
            return _response_of_all(self._clean, self.frame)
        return response_table(self._clean, self.frame, self.study.unit)

    def cleaning(self) -> Cleaning:
        """Apply the study's rules to the raw answers of this wave."""
        return self._cleaning

    def keep(self, name: str, result: Result) -> Result:
        """Store a result for the report and the next wave, and show it."""
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
    def _raw(self) -> Survey:
        return self._decoded(self.inputs.responses, self.inputs.wave)

    @cached_property
    def _cleaning(self) -> Cleaning:
        return _cleaned(self._raw, self.study)

    @cached_property
    def _clean(self) -> Survey:
        return score(self._cleaning.survey).survey

    def _decoded(self, path: Path, wave: str) -> Survey:
        keep = {variable.column for variable in self.codebook.variables}
        return decode(read_export(path, keep=keep), self.codebook, privacy=self.privacy, wave=wave)


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
        privacy=policy.raised_to(max(min_n, policy.min_n)) if min_n >= 5 else Privacy(min_n=min_n),
        output=Path(context["output"]) if context else None,
        upstream={name: Path(path) for name, path in context.get("upstream", {}).items()},
    )


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


def _cleaned(raw: Survey, study: definition.Study) -> Cleaning:
    """Apply the rules; what reading the export found goes with the flow of respondents."""
    cleaning = clean(with_flags(raw, quality_card(raw)), study.rules)
    return replace(cleaning, findings=(*raw.findings, *cleaning.findings))


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
