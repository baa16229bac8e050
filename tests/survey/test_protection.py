"""The data-protection sheet names every column once and no answer."""

from __future__ import annotations

from pathlib import Path

from smstudy.privacy import Privacy
from smstudy.survey.codebook import read_codebook
from smstudy.survey.exports import read_export
from smstudy.survey.protection import DROPPED, protection_sheet

ROOT = Path(__file__).resolve().parents[2]
EXPORT = read_export(ROOT / "data" / "demo-organization" / "wave-1.csv")
CODEBOOK = read_codebook(ROOT / "studies" / "quarterly-pulse" / "codebook.yml")


def test_every_column_of_the_export_is_told_once():
    sheet = protection_sheet(EXPORT, CODEBOOK, Privacy()).tidy()
    assert sorted(sheet["term"]) == sorted([*EXPORT.cells, *EXPORT.dropped])


def test_direct_identifiers_stand_first_with_their_reason():
    sheet = protection_sheet(EXPORT, CODEBOOK, Privacy()).tidy()
    assert sheet["action"].tolist()[: len(EXPORT.dropped)] == [DROPPED] * len(EXPORT.dropped)
    assert sheet["reason"].str.len().min() > 0


def test_the_thresholds_of_the_study_are_said():
    assert "fewer than 9 people" in protection_sheet(EXPORT, CODEBOOK, Privacy(min_n=9)).note


def test_ratings_of_leaders_ask_for_a_higher_threshold_until_the_study_has_one():
    assert "min_n: 10" in protection_sheet(EXPORT, CODEBOOK, Privacy()).note
    assert "leader" not in protection_sheet(EXPORT, CODEBOOK, Privacy(min_n=10)).note


def test_the_purpose_comes_first_if_it_is_given():
    assert protection_sheet(EXPORT, CODEBOOK, Privacy(), purpose="To see what helps.").note.startswith(
        "Purpose: To see what helps. "
    )
    assert "Purpose" not in protection_sheet(EXPORT, CODEBOOK, Privacy()).note
