"""Files that are not where somebody looks for them."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from smstudy.errors import did_you_mean


def nearest_files(path: Path) -> str:
    """Name the files of a folder whose names are near; never list the folder, which is nobody's business.

    Examples
    --------
    >>> nearest_files(Path("no-such-folder/q1.csv"))
    'There is no such folder either: check the path.'
    """
    if not path.parent.is_dir():
        return "There is no such folder either: check the path."
    names = {file.name.casefold(): file.name for file in path.parent.iterdir() if file.name[0] != "."}
    near = [names[name] for name in get_close_matches(path.name.casefold(), names, n=3, cutoff=0.6)]
    return did_you_mean(path.name, near) if near else "Check the name and the folder."
