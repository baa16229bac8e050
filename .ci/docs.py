"""Write docs/reference/cleaning.md and defects.md from the specification in tests/spec.

`python .ci/docs.py` writes the pages; tests/test_docs.py holds them together. Every table on the pages is a test.
"""

import math
from pathlib import Path

from ruamel.yaml import YAML

from smstudy.survey.defects import DEFECTS

ROOT = Path(__file__).resolve().parent.parent
SPEC = ROOT / "tests" / "spec"
PAGE = ROOT / "docs" / "reference" / "cleaning.md"
DEFECTS_PAGE = PAGE.with_name("defects.md")
LEFT_OUT = ("reason",)
# Operator -> which rows it hits, and what it needs besides the column.
OPERATORS = {
    "equals": ("the answer is this one", "`value`: a label, a code or another spelling of it, a number, a date"),
    "not_equals": ("there is an answer, and another one", "`value`"),
    "in": ("the answer is one of these", "`value: [a, b]`"),
    "not_in": ("there is an answer, and none of these", "`value: [a, b]`"),
    "less": ("the number or date lies below", "`value`; with `relative_to: median` a factor of the median"),
    "greater": ("the number or date lies above", "`value`; with `relative_to: median` a factor of the median"),
    "between": ("the number or date lies inside, ends included", "`value: [lowest, highest]`"),
    "outside": ("the number or date lies outside", "`value: [lowest, highest]`"),
    "contains": ("the text contains these words, whatever the case", "`value`"),
    "less_than_column": ("the number or date lies below that of another column", "`other`, and `plus` to move it"),
    "greater_than_column": ("the number or date lies above that of another column", "`other`, and `plus` to move it"),
    "missing": ("there is no answer", ""),
    "not_missing": ("there is an answer", ""),
    "missing_share_above": ("more than this share of the items is missing", "`value` from 0 to less than 1"),
    "chosen": ("at least one of the columns holds more than 0", "a list of columns, or a multi-select"),
    "duplicate_of_earlier": ("another response has the same in all columns and is kept", "a list of columns or scales"),
    "flagged": ("at least one of the quality flags speaks", "a list of flags or names of indices"),
}
HEAD = """\
# Cleaning

<!-- Written by .ci/docs.py from tests/spec; change those. -->

Cleaning is data: a list of rules under `rules:` in `study.yml`, applied by stage (eligibility, consent, completeness,
duplicates, quality, analysis) and within a stage in the order written. Every rule is tried on every row that entered,
so that all reasons of a respondent are known; the first one removes. A rule that hits nobody stays in the flow.

A rule has an `id`, a `stage`, a `column`, an `op`, mostly a `value`, an `action` (`exclude`, `flag`, `set_missing`,
`recode` with `to`) and a `reason` for the reader of the flow table. `where: {column, op, value}` adds a second
condition. Nothing in a rule is ever run as code.

## Operators

| op | hits a row if | needs |
|---|---|---|
"""
CUTOFFS = """
## Cut-offs relative to the sample

With `relative_to: median` the value is a factor, and the cut-off that factor times the median of the respondents still
in when the stage begins, rounded to four digits: the number printed is the number used. The flow table shows it. To use
the same number in the next waves, write it in `study.yml`, as the finding in the report says:

```yaml
cutoffs: {too-fast: 118.5}
```

Cleaning twice changes nothing: for a relative cut-off that holds once its number is frozen.
"""
CASES = """
## Cases

Each case is a test. Labels stand for categories, numbers for items; an empty cell is a missing answer.
"""
FLOW = """
## The flow table

What is shown of a flow, with the default threshold of 5. Rules are given as they hit and remove; hidden rules are
counted together in the last row, and where even that would give a small count away it is left out. Counts of fewer than
5 respondents never follow from those shown.
"""
DEFECTS_HEAD = """\
# Defects of raw exports

<!-- Written by .ci/docs.py from smstudy/survey/defects.py and tests/spec/defects.yml; change those. -->

`find_defects(export, codebook)` looks for each of these, and lists all of them: found, not found, or cannot tell, with
what is lacking to look. Nothing is changed and nobody is removed: where a rule can help, a line for `study.yml` is
offered. Counts of fewer than 5 rows are hidden; no answer is quoted but short codes.

| # | level | defect | how it is detected | by default | also said by |
|---|---|---|---|---|---|
"""
DEFECT_CASES = """
## Cases

Each case is a test: the cells of a tiny file, and what is said about it.
"""


def cases(name: str) -> list[dict]:
    """Read the cases of a file of the specification."""
    return YAML(typ="safe", pure=True).load((SPEC / f"{name}.yml").read_text(encoding="utf-8"))


def render() -> str:
    """Return the page."""
    operators = "\n".join(f"| `{name}` | {hits} | {needs} |" for name, (hits, needs) in OPERATORS.items())
    cleaning = "\n".join(_cleaning_case(case) for case in cases("cleaning"))
    flow = "\n".join(_flow_case(case) for case in cases("flow"))
    return f"{HEAD}{operators}\n{CUTOFFS}{CASES}\n{cleaning}{FLOW}\n{flow}"


def render_defects() -> str:
    """Return the page on defects."""
    rows = "".join(
        f"| {number} | {defect.level} | {_cell(defect.title)} | {_cell(defect.how)} "
        f"| {defect.action} | {defect.said} |\n"
        for number, defect in DEFECTS.items()
    )
    written = sorted(cases("defects"), key=lambda case: case["defect"])
    return f"{DEFECTS_HEAD}{rows}{DEFECT_CASES}\n" + "\n".join(map(_defect_case, written))


def _defect_case(case: dict) -> str:
    """One case: the cells, and what is said."""
    title = DEFECTS[case["defect"]].title
    rows = "" if "n" not in case else f", n = {case['n']}"
    before = f"The previous wave:\n\n{_table(case['previous'])}\n" if "previous" in case else ""
    said = f"**{case['verdict']}**{rows}. {case['says']}"
    return f"### {case['defect']} {title}\n\n{before}{_table(case['cells'])}\n{said}\n"


def _cleaning_case(case: dict) -> str:
    """One case: its rules, and a table of the answers with what becomes of each row."""
    answers, after = case["answers"], case.get("after", {})
    hits = [", ".join(rule for rule, rows in case["hits"].items() if row in rows) for row in answers["row"]]
    stays = ["yes" if row in case["left"] else "left out" for row in answers["row"]]
    changed = {f"{name} afterwards": _spread(answers["row"], case["left"], values) for name, values in after.items()}
    rules = "\n".join(f"- {_write({k: v for k, v in rule.items() if k not in LEFT_OUT})}" for rule in case["rules"])
    numbers = "".join(f"\ncutoffs: {_write(case['cutoffs'])}" if "cutoffs" in case else "")
    used = "".join(f"\nCut-off used by `{rule}`: {n}\n" for rule, n in case.get("thresholds", {}).items())
    table = _table({**answers, "hit by": hits, "stays": stays, **changed})
    return f"### {case['name']}\n\n```yaml\n{rules}{numbers}\n```\n\n{table}{used}"


def _spread(rows: list, left: list, values: list) -> list:
    """Put the values of the rows that are left in their places among all rows."""
    there = dict(zip(left, values, strict=True))
    return [there.get(row) for row in rows]


def _flow_case(case: dict) -> str:
    words = ("before", "hit", "removed", "after")
    given = {rule: f"{hit}, {removed}" for rule, (hit, removed) in case["rules"].items()}
    shown = {rule: row or ["hidden"] * 4 for rule, row in case["shown"].items()}
    columns = {word: ["–" if row[i] is None else row[i] for row in shown.values()] for i, word in enumerate(words)}
    table = _table({"rule": list(shown), "hits, removes": [given.get(rule, "") for rule in shown], **columns})
    return f"### {case['name']}\n\n{case['entered']} respondents entered.\n\n{table}"


def _table(columns: dict[str, list]) -> str:
    lines = [list(columns), ["---"] * len(columns), *zip(*columns.values(), strict=True)]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines) + "\n"


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(value).replace("|", "\\|")


def _write(value: object) -> str:
    """Write a value as YAML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_write(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_write, value)) + "]"
    return f'"{value}"' if value in ("Yes", "No") else str(value)


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(render(), encoding="utf-8", newline="\n")
    DEFECTS_PAGE.write_text(render_defects(), encoding="utf-8", newline="\n")
