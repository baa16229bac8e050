"""Laws of direct identifiers: told by heading in five languages and by content, and ordinary answers are left alone."""

from __future__ import annotations

import time
from pathlib import Path

import pandas as pd
import pytest

from smstudy.survey.exports import read_export
from smstudy.survey.formats.columns import column_of
from smstudy.survey.formats.identifiers import identifier_by_content, identifier_by_name

ROOT = Path(__file__).resolve().parents[3]
RAW = ROOT.parent / "shared" / "data" / "raw_exports"


@pytest.mark.parametrize(
    "heading",
    [
        "Name", "Full Name", "E-Mail", "Email Address", "IP-Adresse", "Vorname", "Nachname", "Telefonnummer", "Prénom",
        "PRENOM", "Nom de famille", "Téléphone", "Courriel", "Voornaam", "Achternaam", "E-mailadres", "Teléfono",
        "Nombre y apellidos", "Correo electrónico", "Employee ID", "Personalnummer", "Staff number", "Matricule",
        "IBAN",
        "Name (2)", "phone1", "Latitude", "Längengrad", "Social-Security-Number", "Numéro d’employé",
    ],
)  # fmt: skip
def test_headings_that_name_an_identity_are_known(heading):
    assert identifier_by_name(heading, ()).endswith("by its name")
    assert identifier_by_name(heading, [heading]) == "" or heading in ("Email Address", "IP-Adresse")


@pytest.mark.parametrize(
    "heading",
    [
        "Q1", "username_satisfaction", "Name of your department", "mail", "Handy", "portable", "department", "unit",
        "id", "ResponseId", "employees", "staff", "mobile_use", "Nominal", "address_quality", "nombre_de_usos",
        "Telegram", "",
    ],
)  # fmt: skip
def test_other_headings_are_left_alone(heading):
    assert identifier_by_name(heading, ()) == ""


def content(*cells: str) -> str:
    return identifier_by_content(pd.Series(column_of(cells)))


@pytest.mark.parametrize(
    ("cells", "what"),
    [
        (["ann@x.org", "", "bo@y.de"], "e-mail"),
        (["10.0.0.1", "2001:db8::1", ""], "IP"),
        (["+49 170 1234567", "0171/123 45 67", "(040) 123-4567"], "phone"),
        (["(555) 123-4567", "212-555-0199"], "phone"),
        (["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432"], "bank"),
        (["52.5200, 13.4050", "-33.8688,151.2093"], "map"),
    ],
)
def test_content_that_tells_who_somebody_is_is_known(cells, what):
    assert what in content(*cells)
    assert what in content(*cells, *["some other words"] * (len([c for c in cells if c]) - 1))
    assert content(*cells, *["some other words"] * (len(cells) + 1)) == ""


@pytest.mark.parametrize(
    "cells",
    [
        ["2026-03-01", "2026-03-02"], ["01/02/2024", "12.11.2023"], ["2026-03-01 08:30:00"], ["10:10:10"], ["1.2.3"],
        ["3292879998", "3292880000"], ["00123", "00124"], ["0", "100", "-99"], ["1,234,567"], ["0.123456789"],
        ["1-5", "6-10", "more than 10"], ["100-1,000"], ["52.5200"], ["1 2 3 4 5 6 7 8"], ["R_3Jx0912345678"],
        ["DE44 5001 0517 5407 3249 30"], ["2010 - 2020"], ["1 000 000"], [""], [],
    ],
)  # fmt: skip
def test_ordinary_answers_are_left_alone(cells):
    assert content(*cells) == ""


@pytest.mark.parametrize(
    "cell",
    ["a@" + "a." * 60_000 + " ", "1.000" + " " * 120_000 + "x", "+1" + "0 " * 60_000 + "x", "DE00" + "A" * 120_000],
)
def test_endless_answers_are_looked_at_in_time(cell):
    started = time.perf_counter()
    assert content(*(f"{cell}{number}" for number in range(100))) == ""
    assert time.perf_counter() - started < 5  # half of what is promised for a hostile file


IDENTITIES = {
    "IPAddress", "RecipientLastName", "RecipientFirstName", "RecipientEmail", "ExternalReference", "Name", "IP Address",
    "LocationLatitude", "LocationLongitude", "ExternalDataReference", "EmailAddress", "Email Address", "First Name",
    "Last Name", "email", "name_first", "name_last", "first_name", "last_name", "address", "telephone", "telephone_1",
    "LocationAccuracy", "redcap_survey_identifier", "phone",
}  # fmt: skip


def test_the_demo_loses_identities_only():
    for path in (ROOT / "data" / "demo-organization").glob("*.csv"):
        assert set(read_export(path).dropped) <= IDENTITIES, path.name


@pytest.mark.skipif(not RAW.exists(), reason="the shared real exports are not here")
def test_real_exports_lose_identities_only():
    for path in [*RAW.rglob("*.csv"), *RAW.rglob("*.sav")]:
        assert set(read_export(path).dropped) <= IDENTITIES, path.name
