"""Labelled files and Parquet: the same cells as R haven and pandas read, and one readable line for damaged ones."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import time
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyreadstat
import pytest

from smstudy.errors import DataError
from smstudy.survey.exports import Export, read_export

FIXTURES = Path(__file__).parents[1] / "fixtures"
HAVEN = json.loads((Path(__file__).parents[2] / "reference" / "haven.json").read_text(encoding="utf-8"))
SECONDS = 10
MEMORY = 600 << 20


def write(folder: Path, content: bytes, name: str = "export.bin") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def answer(path: Path) -> Export | str:
    """The export, or the one line that says why there is none; within the promised time."""
    started = time.perf_counter()
    try:
        found: Export | str = read_export(path)
    except DataError as refusal:
        found = str(refusal)
        assert "\n" not in found and found.startswith(path.name)
    assert time.perf_counter() - started < SECONDS
    return found


# ---- R haven ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sav", "zsav", "dta"])
def test_cells_labels_and_choices_agree_with_haven(kind):
    export, haven = read_export(FIXTURES / f"labelled.{kind}"), HAVEN[kind]
    assert list(export.cells) == list(haven)
    for name, each in haven.items():
        assert export.cells[name].tolist() == each["cells"], name
    assert export.labels == {name: each["label"] for name, each in haven.items() if each["label"]}
    assert export.choices == {name: each["choices"] for name, each in haven.items() if each["choices"]}


@pytest.mark.parametrize("kind", ["sav", "zsav"])
def test_declared_missing_codes_agree_with_haven(kind):
    export, haven = read_export(FIXTURES / f"labelled.{kind}"), HAVEN[kind]
    expected = {name: tuple(each["na_values"]) for name, each in haven.items() if each["na_values"]}
    for name, (low, high) in ((name, each["na_range"]) for name, each in haven.items() if each["na_range"]):
        expected[name] = tuple(cell for cell in export.cells[name] if cell and low <= float(cell) <= high)
    assert export.missing == expected


def test_extended_missing_values_of_stata_are_declared_missing():
    export = read_export(FIXTURES / "labelled.dta")
    assert export.form == "stata"
    assert export.missing == {"q1": (".a",), "age": (".z",)}
    assert export.choices["q1"][".a"] == "refused"


# ---- Parquet ---------------------------------------------------------------------------------------------------------


def parquet(folder: Path, table: pa.Table, **options) -> Path:
    pq.write_table(table, folder / "export.bin", **options)
    return folder / "export.bin"


def test_parquet_cells_read_as_a_person_would_type_them(tmp_path):
    table = pa.table(
        {
            "id": ["00123", "NA", None],
            "item": pa.array([1, None, 5], pa.int8()),
            "rating": [3.0, 0.1 + 0.2, None],
            "short": pa.array([0.1, 2.0, None], pa.float32()),
            "day": [date(2026, 3, 1), None, date(1999, 12, 31)],
            "at": pa.array([datetime(2026, 3, 1, 8, 30), None, datetime(2026, 3, 2)], pa.timestamp("ns")),
            "yes": [True, False, None],
            "unit": pa.array(["Köln", "Köln", ""]).dictionary_encode(),
            "price": [Decimal("1.50"), None, Decimal("2.00")],
            "nothing": pa.nulls(3),
        }
    )
    export = read_export(parquet(tmp_path, table, row_group_size=2))
    assert export.form == "parquet"
    assert export.cells.to_numpy().T.tolist() == [
        ["00123", "NA", ""], ["1", "", "5"], ["3", "0.3", ""], ["0.1", "2", ""], ["2026-03-01", "", "1999-12-31"],
        ["2026-03-01 08:30:00", "", "2026-03-02"], ["TRUE", "FALSE", ""], ["Köln", "Köln", ""], ["1.50", "", "2.00"],
        ["", "", ""],
    ]  # fmt: skip


def test_text_written_by_pandas_comes_back_from_parquet(tmp_path):
    frame = pd.DataFrame({"id": [f"R_{number}" for number in range(9000)], "q": ["1", "", "-99"] * 3000})
    frame.to_parquet(tmp_path / "export.bin", index=False)
    export = read_export(tmp_path / "export.bin")
    assert export.cells["id"].tolist() == frame["id"].tolist() and export.cells["q"].tolist() == frame["q"].tolist()
    assert isinstance(export.cells["q"].dtype, pd.CategoricalDtype)


@pytest.mark.parametrize("values", [[[1, 2]], [{"a": 1}], [b"\xff"]])
def test_columns_of_lists_records_or_bytes_are_refused_by_name(tmp_path, values):
    assert '"odd"' in answer(parquet(tmp_path, pa.table({"odd": values})))


@pytest.mark.parametrize("name", ["a\nb\x1b[31m", "q" * 100_000])
def test_a_refused_column_is_named_in_one_short_line(tmp_path, name):
    message = answer(parquet(tmp_path, pa.table({name: [[1]]})))
    assert message.isprintable() and len(message) < 200


def test_parquet_that_unpacks_to_too_much_is_refused(tmp_path):
    ones = pa.DictionaryArray.from_arrays(pa.array([0] * (3 << 20), pa.int8()), ["1"])
    path = parquet(tmp_path, pa.table({f"q{number}": ones for number in range(30)}))
    assert path.stat().st_size < 1 << 20 and "claims more than" in answer(path)


# ---- damage ----------------------------------------------------------------------------------------------------------


def sources(folder: Path) -> dict[str, bytes]:
    frame = pd.DataFrame({"id": [f"R_{number}" for number in range(50)], "q": [1.5, None] * 25})
    frame.to_parquet(folder / "whole.parquet", index=False)
    frame.to_excel(folder / "whole.xlsx", index=False)
    paths = [*(FIXTURES / f"labelled.{kind}" for kind in ("sav", "zsav", "dta")), *folder.glob("whole.*")]
    return {path.suffix[1:]: path.read_bytes() for path in paths}


@pytest.mark.parametrize("kind", ["sav", "zsav", "dta", "parquet", "xlsx"])
def test_damaged_files_get_one_line_or_are_read(tmp_path, kind):
    whole = sources(tmp_path)[kind]
    middle = len(whole) // 2
    damaged = [whole[:middle], whole[:middle] + b"\xff\xff\xff\x7f" + whole[middle + 4 :], whole[:20]]
    answers = [answer(write(tmp_path, content, f"damaged-{i}.bin")) for i, content in enumerate(damaged)]
    assert isinstance(answers[-1], str)


@pytest.mark.parametrize("kind", ["sav", "dta"])
def test_a_variable_without_a_readable_name_is_damage(tmp_path, kind):
    path = tmp_path / "export.bin"
    {"sav": pyreadstat.write_sav, "dta": pyreadstat.write_dta}[kind](
        pd.DataFrame({"q_one": [1.0], "q_two": [2.0]}), path
    )
    whole = path.read_bytes()
    name = b"Q_TWO" if kind == "sav" else b"q_two"
    assert "no name of its own" in answer(write(tmp_path, whole.replace(name, bytes(len(name)), 1)))


def test_labels_stay_with_variables_whose_names_are_tidied(tmp_path):
    path = tmp_path / "export.bin"
    frame = pd.DataFrame({"q__one": [1, 9], "q_two": [2, 1]})
    pyreadstat.write_dta(
        frame, path, column_labels={"q__one": "I use it"}, variable_value_labels={"q__one": {1: "never"}}
    )
    path.write_bytes(path.read_bytes().replace(b"q__one", b"q  one"))
    export = read_export(path)
    assert export.labels == {"q one": "I use it"} and export.choices == {"q one": {"1": "never"}}


def test_parquet_with_a_giant_footer_is_refused(tmp_path):
    for claimed in (0x7FFFFFFF, 0xFFFFFFFF, 64):
        assert isinstance(answer(write(tmp_path, b"PAR1" + bytes(64) + struct.pack("<I", claimed) + b"PAR1")), str)


HOSTILE = {
    "one line": b"a,b\n" + b"x" * (30 << 20),
    "one cell": b'a,b\n1,"' + b"x\n" * (15 << 20),
    "zeros": b"a,b\n1,2\n" + bytes(30 << 20),
    "marks": b"a,b\n" + b'"' * (30 << 20),
    "separators": b"a,b\n" + b"," * (30 << 20),
    "breaks": b"a,b\n1,2\n3,4,5\n" + b"\n" * (30 << 20),
    "mixed": b"a,b\n" + "é,ü\n".encode() * (3 << 20) + b"\xe9,\xfc\n",
}
SCRIPT = """
import sys
from pathlib import Path
from smstudy.errors import DataError
from smstudy.survey.exports import read_export
try:
    read_export(sys.argv[1])
except DataError as refusal:
    print(refusal)
print(next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")).split()[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak of memory of a process by itself")
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_text_stays_within_time_and_memory(tmp_path, kind):
    path, started = write(tmp_path, HOSTILE[kind], "hostile.csv"), time.perf_counter()
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(path)], capture_output=True, text=True, check=True)
    assert time.perf_counter() - started < SECONDS
    message, peak = done.stdout.splitlines()
    assert message.startswith("hostile.csv") and int(peak) << 10 < MEMORY
