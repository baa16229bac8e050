"""Public data sets: fetched on request, checked by the digest of their content, never by their bytes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pooch

from smstudy.errors import DataError, StudyError, did_you_mean
from smstudy.study.definition import home
from smstudy.survey.exports import content_digest, read_export


@dataclass(frozen=True)
class Archive:
    """A public data set.

    `content` is the digest of its parsed cells: copies differ in separator and missing mark but agree cell for cell.
    """

    address: str
    member: str
    file: str
    content: str
    by_hand: str


ARCHIVES = {
    "wiki4he": Archive(
        address="https://archive.ics.uci.edu/static/public/334/wiki4he.zip",
        member="wiki4HE.csv",
        file="wiki4HE.csv",
        content="2164e0b99c042e05a0fdbbe15499001416cb7bb8e730be42d84e5f4f267878f9",
        by_hand=(
            "Download data set 334 (wiki4HE) of the UCI Machine Learning Repository in a browser, unpack wiki4HE.csv, "
            "and give it with --data responses=FILE."
        ),
    )
}


def get_data(name: str) -> Path:
    """Fetch a public data set into `data/raw/` and check its content.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    StudyError
        If there is no such data set.
    DataError
        If it cannot be fetched, or is not the data set expected; the message says how to get it by hand.
    """
    if name not in ARCHIVES:
        raise StudyError(f'There is no data set "{name}". {did_you_mean(name, ARCHIVES)}')
    archive = ARCHIVES[name]
    target = home() / "data" / "raw" / archive.file
    if not target.is_file():
        _download(archive, target)
    check_content(target, archive)
    return target


def check_content(path: Path, archive: Archive) -> None:
    """Refuse a copy whose cells differ from the data set's."""
    if content_digest(read_export(path)) != archive.content:
        raise DataError(f"{path} does not hold the cells of this data set. Delete it and try again. {archive.by_hand}")


def _download(archive: Archive, target: Path) -> None:
    try:
        unpack = pooch.Unzip(members=[archive.member])
        fetched = pooch.retrieve(archive.address, known_hash=None, processor=unpack, progressbar=False)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(Path(fetched[0]).read_bytes())
    except Exception as problem:
        kind = type(problem).__name__
        raise DataError(f"The data set could not be fetched ({kind}). {archive.by_hand}") from None
