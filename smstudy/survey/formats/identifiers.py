"""Direct identifiers of a person, told by the name of a column and by what stands in it."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable

import numpy as np
import pandas as pd

from smstudy.survey.formats.columns import words_and_codes

ALWAYS_DROPPED = {
    "ipaddress": "IP address",
    "ipaddr": "IP address",
    "ipadresse": "IP address",
    "recipientlastname": "last name",
    "recipientfirstname": "first name",
    "recipientemail": "e-mail address",
    "locationlatitude": "location",
    "locationlongitude": "location",
    "locationaccuracy": "location",
    "emailaddress": "e-mail address",
    "userprincipalname": "account name",
}
HEADINGS = {
    "IP address": "ip",
    "reference to a person outside the survey": "external reference, external data reference",
    "e-mail address": (
        "email, your email, work email, email id, courriel, adresse email, adresse mail, adresse électronique, "
        "e-mail adresse, mailadresse, emailadres, correo, correo electrónico, dirección de correo electrónico"
    ),
    "name": (
        "name, your name, full name, your full name, display name, real name, employee name, participant name, "
        "respondent name, vor- und nachname, name vorname, vollständiger name, ihr name, nom complet, nom et prénom, "
        "nom prénom, votre nom, naam, volledige naam, uw naam, nombre completo, nombre y apellidos, nombre y apellido"
    ),
    "first name": "first name, given name, name first, vorname, prénom, voornaam, nombre",
    "last name": (
        "last name, surname, family name, name last, nachname, familienname, nom, nom de famille, achternaam, "
        "apellido, apellidos"
    ),
    "account name": (
        "username, user name, login name, benutzername, nom d'utilisateur, gebruikersnaam, nombre de usuario"
    ),
    "phone number": (
        "phone, phone number, telephone, telephone number, mobile, mobile number, mobile phone, cell phone, telefon, "
        "telefonnummer, handynummer, mobilnummer, téléphone, numéro de téléphone, telefoon, telefoonnummer, "
        "mobiel nummer, teléfono, número de teléfono"
    ),
    "postal address": (
        "address, home address, street address, postal address, adresse, anschrift, adresse postale, adres, dirección"
    ),
    "staff number": (
        "employee id, employee number, employee no, staff id, staff number, staff no, personnel number, "
        "payroll number, worker id, personalnummer, personal nr, mitarbeiternummer, mitarbeiter nr, matrikelnummer, "
        "matricule, numéro d'employé, numéro de matricule, personeelsnummer, medewerkernummer, número de empleado"
    ),
    "national number": (
        "ssn, social security number, national id, passport number, steuernummer, sozialversicherungsnummer, "
        "numéro de sécurité sociale, burgerservicenummer, bsn, dni, nif"
    ),
    "bank account": "iban, bank account, kontonummer, compte bancaire, rekeningnummer, cuenta bancaria",
    "location": "latitude, longitude, gps, gps coordinates, breitengrad, längengrad, latitud, longitud",
}
"""What a column holds -> headings that say so, in English, German, French, Dutch and Spanish."""

_EMAIL = re.compile(r"[^@\s,;]{1,64}@[^@\s,;]{1,255}\.[^@\s,;]{1,63}")
_DATE = re.compile(r"\d{1,4}([-/. ])\d{1,2}\1\d{1,4}")
_PHONE = re.compile(
    r"(\+|00)[1-9][\d ()./-]{5,18}\d"  # with the code of a country
    r"|\(?0\d{1,5}\)?[ /.-]{1,3}\d[\d /.-]{3,12}\d"  # with a zero before the area
    r"|(1[ .-])?\(?[2-9]\d\d\)?[ .-]{1,2}\d{3}[ .-]\d{4}"  # North America
)
_IBAN = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}")
_PLACE = re.compile(r"(-?\d{1,2}\.\d{3,20})\s{0,9}[,; ]\s{0,9}(-?\d{1,3}\.\d{3,20})")


def plain_name(name: str) -> str:
    """A header without case, spaces and punctuation.

    >>> plain_name("IP-Address")
    'ipaddress'
    """
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def _bare(heading: str) -> str:
    """A heading without case, accents, spaces and punctuation."""
    return plain_name(unicodedata.normalize("NFKD", heading.casefold()))


_MEANING = {_bare(heading): what for what, headings in HEADINGS.items() for heading in headings.split(", ")}


def mostly(cells: Iterable[str], claim: Callable[[str], bool]) -> bool:
    """Say whether a claim holds for more than half of the cells that are filled."""
    filled = [cell for cell in cells if cell]
    return bool(filled) and sum(map(claim, filled)) * 2 > len(filled)


def identifier_by_name(name: str, keep: Collection[str]) -> str:
    """Say what a column holds, if its heading tells that it is somebody's identity; empty if not."""
    heading = re.sub(r" \(\d+\)\Z", "", name)
    what = ALWAYS_DROPPED.get(plain_name(heading), "")
    if not what and name not in keep:
        what = _MEANING.get(_bare(heading).rstrip("0123456789"), "")
    return f"{what}, by its name" if what else ""


def _is_email(cell: str) -> bool:
    return "@" in cell and bool(_EMAIL.fullmatch(cell.strip()))


def _is_ip_address(cell: str) -> bool:
    if cell.count(".") != 3 and cell.count(":") < 2:
        return False
    try:
        ipaddress.ip_address(cell.strip())
    except ValueError:
        return False
    return True


def _is_phone_number(cell: str) -> bool:
    digits = sum(map(str.isdigit, cell))
    return 7 <= digits <= 15 and bool(_PHONE.fullmatch(cell.strip())) and not _DATE.fullmatch(cell.strip())


def _is_bank_account(cell: str) -> bool:
    """Tell an IBAN by its check digits (ISO 13616)."""
    account = cell.replace(" ", "")
    if not _IBAN.fullmatch(account):
        return False
    return int("".join(str(int(sign, 36)) for sign in account[4:] + account[:4])) % 97 == 1


def _is_place(cell: str) -> bool:
    match = _PLACE.fullmatch(cell.strip())
    return bool(match) and abs(float(match[1])) <= 90 and abs(float(match[2])) <= 180


IDENTIFYING_TEXT: dict[str, Callable[[str], bool]] = {
    "e-mail addresses": _is_email,
    "IP addresses": _is_ip_address,
    "phone numbers": _is_phone_number,
    "bank accounts": _is_bank_account,
    "places on the map": _is_place,
}


def identifier_by_content(column: pd.Series) -> str:
    """Say what most answers of a column are, if that tells who somebody is; empty if not.

    A column of text is looked at in up to 500 evenly spaced answers first: what holds for most of them shows up there.
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        sample = [word for word in column.cat.categories if word]
    else:
        filled = np.flatnonzero(column != "")
        chosen = np.zeros(len(column), dtype=bool)
        chosen[filled[:: max(1, len(filled) // 500)]] = True
        sample = column[chosen]  # places in a list would have pandas copy the whole column
    for what, claim in IDENTIFYING_TEXT.items():
        if any(map(claim, sample)) and _holds_for_most(column, claim):
            return f"most answers are {what}"
    return ""


def _holds_for_most(column: pd.Series, claim: Callable[[str], bool]) -> bool:
    words, codes = words_and_codes(column)
    counts = np.bincount(codes, minlength=len(words))
    filled = np.array([word != "" for word in words])
    return bool(2 * counts[[claim(word) for word in words]].sum() > counts[filled].sum())
