"""Direct identifiers of a person, told by the name of a column and by what stands in it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection, Iterable

import pandas as pd

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
DROPPED_UNLESS_KEPT = {
    "ip": "IP address",
    "externalreference": "reference to a person outside the survey",
    "externaldatareference": "reference to a person outside the survey",
    "email": "e-mail address",
    "name": "name",
    "fullname": "name",
    "displayname": "name",
    "firstname": "first name",
    "lastname": "last name",
    "surname": "last name",
    "namefirst": "first name",
    "namelast": "last name",
    "phone": "phone number",
    "phonenumber": "phone number",
    "telephone": "phone number",
    "mobile": "phone number",
    "address": "postal address",
}
_EMAIL = re.compile(r"[^@\s,;]+@[^@\s,;]+\.[^@\s,;]+")


def plain_name(name: str) -> str:
    """A header without case, spaces and punctuation.

    >>> plain_name("IP-Address")
    'ipaddress'
    """
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def mostly(cells: Iterable[str], claim: Callable[[str], bool]) -> bool:
    """Say whether a claim holds for more than half of the cells that are filled."""
    filled = [cell for cell in cells if cell]
    return bool(filled) and sum(map(claim, filled)) * 2 > len(filled)


def identifier_by_name(name: str, keep: Collection[str]) -> str:
    plain = plain_name(re.sub(r" \(\d+\)\Z", "", name))
    what = ALWAYS_DROPPED.get(plain, "")
    if not what and name not in keep:
        what = DROPPED_UNLESS_KEPT.get(plain.rstrip("0123456789"), "")
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


IDENTIFYING_TEXT: dict[str, Callable[[str], bool]] = {"e-mail addresses": _is_email, "IP addresses": _is_ip_address}


def identifier_by_content(column: pd.Series) -> str:
    """Look at up to 500 evenly spaced answers first: what holds for most answers shows up there."""
    cells = column.to_numpy(dtype=object)
    filled = cells[cells != ""]
    sample = filled[:: max(1, len(filled) // 500)]
    for what, claim in IDENTIFYING_TEXT.items():
        if any(map(claim, sample)) and mostly(filled, claim):
            return f"most answers are {what}"
    return ""
