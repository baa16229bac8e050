"""LimeSurvey: what an export, a structure file (.lss) and an R syntax file say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice, product
from typing import NoReturn
from xml.parsers import expat

from smstudy.errors import DataError
from smstudy.survey.codebook import Kind
from smstudy.survey.formats.definitions import MAX_QUESTIONS, Choices, Question, Row, Structure, joined, limited, scaled
from smstudy.survey.formats.reading import Reading, answers, by_name, folded, grid_label, origin, places, plain_text
from smstudy.survey.formats.tabular import Table

_SYSTEM_CODES = (
    "id", "submitdate", "lastpage", "startlanguage", "seed", "startdate", "datestamp", "ipaddr", "refurl",
    "interviewtime",
)  # fmt: skip
_SYSTEM_WORDS = {
    "English": (
        "response id", "date submitted", "last page", "start language", "seed", "date started", "date last action",
        "ip address", "referrer url", "total time",
    ),
    "German": (
        "antwort id", "datum abgeschickt", "letzte seite", "start-sprache", "zufallsstartwert", "datum gestartet",
        "datum letzte aktivität", "ip-adresse", "weiterleitungs-url", "gesamtzeit",
    ),
    "Dutch": (
        "respons id", "datum verzonden", "laatste pagina", "begin taal", "seed", "datum gestart",
        "datum laatste actie", "ip adres", "referrer url", "totaaltijd",
    ),
    "French": (
        "id de la réponse", "date de soumission", "dernière page", "langue de départ", "tête de série",
        "date de lancement", "date de la dernière action", "adresse ip", "url référente", "temps total",
    ),
    "Spanish": (
        "id de respuesta", "fecha de envío", "última página", "lenguaje inicial", "semilla", "fecha de inicio",
        "fecha de la última acción", "dirección ip", "url de referencia", "tiempo total",
    ),
    "Portuguese": (
        "id da resposta", "data de envio", "última página", "idioma inicial", "semente", "data de início",
        "data da última ação", "endereço ip", "url de referência", "tempo total",
    ),
    "Italian": (
        "id risposta", "data di invio", "ultima pagina", "lingua iniziale", "seme", "data di inizio",
        "data dell'ultima azione", "indirizzo ip", "url di provenienza", "tempo totale",
    ),
}  # fmt: skip
_SYSTEM_KINDS: dict[str, Kind] = {
    "id": "id",
    "token": "id",
    "submitdate": "date",
    "startdate": "date",
    "datestamp": "date",
    "lastpage": "number",
    "seed": "number",
    "interviewtime": "number",
    "startlanguage": "category",
    "refurl": "text",
}
_TIMING_CODE = re.compile(r"\w+time\d*")
_TIMING_WORD = re.compile(r"(time|zeit|tijd|durée|temps|tiempo|tempo)\b")
_OWN_WORDS = re.compile(r"\w*comment|other|sonstiges|anders|autre|otro|outro|altro")
_CODE_AND_WORDING = re.compile(r"(?s)[A-Za-z]\w*(\[\w+\])*\. .*")
_NO_DATE = "1980-01-01"


def is_limesurvey(table: Table) -> bool:
    """Three of the four columns that every export begins with, as codes or in one language."""
    return len(_roles(_code_and_wording(table.header)[0])) >= 3


def read_limesurvey(table: Table) -> Reading:
    """One header row: codes, the wording of the questions in the language of the account, or "code. wording"."""
    names, labels = _code_and_wording(table.header)
    roles = _roles(names)
    by_code = bool({"submitdate", "lastpage", "startlanguage"} & set(map(folded, names)))
    kinds = {place: _SYSTEM_KINDS[role] for place, role in roles.items() if role in _SYSTEM_KINDS}
    total = next((place for place, role in roles.items() if role == "interviewtime"), len(names))
    kinds |= {p: "number" for p, name in enumerate(names) if p > total and _is_timing(name)}
    kinds |= {p: "text" for p, name in enumerate(names) if p not in kinds and _holds_own_words(name)}
    undated = dict(_anonymous_dates(table, kinds))
    wording = labels if by_code else dict(enumerate(names))
    return Reading(
        names=names,
        labels={place: grid_label(text) for place, text in wording.items() if place not in roles},
        missing=undated,
        kinds=kinds,
        dropped=by_name({place: "IP address" for place, role in roles.items() if role == "ipaddr"}),
        notes=(origin(table, "LimeSurvey", 1), *_notes(table, roles, by_code, bool(undated))),
    )


def _is_timing(heading: str) -> bool:
    """`groupTime715`, or "Question time: …" in the language of the account."""
    what, colon, _ = folded(heading).partition(":")
    return bool(_TIMING_WORD.search(what) if colon else _TIMING_CODE.fullmatch(what))


def _holds_own_words(heading: str) -> bool:
    _, _, item = folded(heading).removesuffix("]").rpartition("[")
    return bool(_OWN_WORDS.fullmatch(item)) and heading.rstrip().endswith("]")


def _code_and_wording(header: tuple[str, ...]) -> tuple[tuple[str, ...], dict[int, str]]:
    """Cut "Q1[SQ001]. wording" where every heading is written so."""
    if not all(_CODE_AND_WORDING.fullmatch(name) for name in header):
        return header, {}
    cut = [name.partition(". ") for name in header]
    return tuple(code for code, _, _ in cut), {place: text for place, (_, _, text) in enumerate(cut) if text.strip()}


def _roles(header: tuple[str, ...]) -> dict[int, str]:
    """Which column plays which part, in the language that explains most of the columns; {} if fewer than 3 of 4 fit."""
    languages = [_SYSTEM_CODES, *_SYSTEM_WORDS.values()]
    readings = [places(header, dict(zip(words, _SYSTEM_CODES, strict=True))) for words in languages]
    best = max(readings, key=len)
    if len({*best.values()} & {*_SYSTEM_CODES[:4]}) < 3:
        return {}
    return best | places(header, {"token": "token"})


def _anonymous_dates(table: Table, kinds: Mapping[int, Kind]) -> Iterator[tuple[int, tuple[str, ...]]]:
    for place, kind in kinds.items():
        dates = answers(table, place, 1) if kind == "date" else []
        if dates and all(date.startswith(_NO_DATE) for date in dates):
            yield place, tuple(dates)


def _notes(table: Table, roles: Mapping[int, str], by_code: bool, undated: bool) -> Iterator[str]:
    yield f"Columns are named by {'question code' if by_code else 'the wording of the questions'}."
    if undated:
        yield (
            "The survey is anonymous: its dates are all 1 January 1980 and declared missing. "
            "A filled submission date still means that the questionnaire was completed."
        )
    submitted = [place for place, role in roles.items() if role == "submitdate"]
    if any("" in table.column(place).unique().tolist() for place in submitted):
        yield "Some questionnaires were not completed: they have no submission date."


# ---- structure file --------------------------------------------------------------------------------------------------

_MAX_DEPTH = 12
_TABLES = {"questions", "subquestions", "answers", "question_l10ns", "answer_l10ns", "surveys"}
_FIXED: dict[str, tuple[Kind, Choices]] = {
    "5": ("item", {str(code): str(code) for code in range(1, 6)}),
    "A": ("item", {str(code): str(code) for code in range(1, 6)}),
    "B": ("item", {str(code): str(code) for code in range(1, 11)}),
    "C": ("category", {"Y": "Yes", "U": "Uncertain", "N": "No"}),
    "E": ("category", {"I": "Increase", "S": "Same", "D": "Decrease"}),
    "G": ("category", {"F": "Female", "M": "Male"}),
    "Y": ("category", {"Y": "Yes", "N": "No"}),
}
_OPEN: dict[str, Kind] = {
    "N": "number",
    "K": "number",
    ":": "number",
    "D": "date",
    "S": "text",
    "T": "text",
    "U": "text",
    "Q": "text",
    ";": "text",
}


class _Collector:
    """Collect the rows of the tables in an .lss file; a document type, and with it any entity, is refused."""

    def __init__(self, source: str) -> None:
        self.rows: dict[str, list[Row]] = {name: [] for name in _TABLES}
        self._source, self._path = source, list[str]()
        self._text: list[str] = []

    def parse(self, content: bytes) -> None:
        parser = expat.ParserCreate()
        parser.StartDoctypeDeclHandler = lambda *_: _refuse_xml(self._source, "declares a document type")
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.CharacterDataHandler = self._text.append
        try:
            parser.Parse(content, True)
        except (expat.ExpatError, ValueError, LookupError):
            _refuse_xml(self._source, "is damaged")

    def _start(self, name: str, _: object) -> None:
        self._path.append(name)
        self._text.clear()
        if len(self._path) > _MAX_DEPTH:
            _refuse_xml(self._source, "is nested deeper than a survey")
        if len(self._path) == 4 and name == "row" and self._path[1] in _TABLES:
            self.rows[self._path[1]].append({})

    def _end(self, name: str) -> None:
        if len(self._path) == 5 and self._path[3] == "row" and self._path[1] in _TABLES:
            self.rows[self._path[1]][-1][name] = "".join(self._text)
        self._text.clear()
        self._path.pop()


def _refuse_xml(source: str, why: str) -> NoReturn:
    raise DataError(f"{source}: the file {why}, so it is not read. Export the structure of the survey again as .lss.")


def parse_lss(source: str, content: bytes) -> Structure:
    """Read the structure of a LimeSurvey survey, in its base language; old and new layout of the tables."""
    tables = _Collector(source)
    tables.parse(content)
    rows = tables.rows
    if not rows["questions"]:
        _refuse_xml(source, "holds no questions")
    language = next((row.get("language", "") for row in rows["surveys"]), "")
    wording = _in_language(
        rows["question_l10ns"] or [*rows["questions"], *rows["subquestions"]], "qid", "question", language
    )
    answers = _answers(rows, language)
    parts: dict[str, dict[str, Row]] = {}
    for row in rows["subquestions"]:
        parts.setdefault(row.get("parent_qid", ""), {}).setdefault(row.get("qid", ""), row)
    top = {row.get("qid", ""): row for row in rows["questions"] if row.get("parent_qid", "0") in ("", "0")}
    made = (
        q
        for qid, row in top.items()
        for q in _columns(row, wording, [*parts.get(qid, {}).values()], answers.get(qid, {}))
    )
    return Structure(source=source, form="LimeSurvey structure", questions=limited(source, made))


def _in_language(rows: Iterable[Row], key: str, value: str, language: str) -> dict[str, str]:
    """Text under its key: in the base language if it is there, else in the first one."""
    texts: dict[str, str] = {}
    for row in rows:
        name = row.get(key, "")
        if name not in texts or row.get("language") == language:
            texts[name] = plain_text(row.get(value, ""))
    return texts


def _answers(rows: Mapping[str, list[Row]], language: str) -> dict[str, dict[str, Choices]]:
    """Question -> scale -> code -> label, sorted as people saw them."""
    translated = _in_language(rows["answer_l10ns"], "aid", "answer", language)
    found: dict[str, dict[str, Choices]] = {}
    for row in sorted(rows["answers"], key=lambda row: _whole(row.get("sortorder", ""))):
        scale = found.setdefault(row.get("qid", ""), {}).setdefault(row.get("scale_id", "0"), {})
        code = row.get("code", "")
        if code not in scale or row.get("language") == language:
            scale[code] = translated.get(row.get("aid", "")) or plain_text(row.get("answer", ""))
    return found


def _whole(text: str) -> int:
    return int(text) if re.fullmatch(r"\d{1,9}", text) else 0


def _columns(
    row: Row, wording: Mapping[str, str], parts: list[Row], answers: Mapping[str, Choices]
) -> Iterator[Question]:
    code, kind, stem = row.get("title", ""), row.get("type", ""), wording.get(row.get("qid", ""), "")
    if not code or kind == "X":
        return
    items = [(part.get("title", ""), wording.get(part.get("qid", ""), "")) for part in _on_axis(parts, "0")]
    if kind in (":", ";"):
        across = [(part.get("title", ""), wording.get(part.get("qid", ""), "")) for part in _on_axis(parts, "1")]
        crossed = islice(product(items, across), MAX_QUESTIONS + 1)
        items = [(f"{y}_{x}", joined(down, side)) for (y, down), (x, side) in crossed]
    yield from _answered(code, kind, stem, items, answers)
    if kind == "O":
        yield Question(code=f"{code}[comment]", label=stem, kind="text")
    if kind == "P":
        for item, words in items:
            yield Question(code=f"{code}[{item}comment]", label=joined(stem, words), kind="text")
    if row.get("other") == "Y":
        yield Question(code=f"{code}[other]", label=joined(stem, "Other"), kind="text")


def _on_axis(parts: Iterable[Row], scale: str) -> list[Row]:
    chosen = [part for part in parts if part.get("scale_id", "0") == scale]
    return sorted(chosen, key=lambda part: _whole(part.get("question_order", "")))


def _answered(
    code: str, kind: str, stem: str, items: list[tuple[str, str]], answers: Mapping[str, Choices]
) -> Iterator[Question]:
    """The columns that hold the answers themselves."""
    choices = answers.get("0", {})
    if kind == "R":
        for rank in range(1, len(choices) + 1):
            yield Question(code=f"{code}[{rank}]", label=joined(stem, f"Rank {rank}"), kind="category", choices=choices)
        return
    sort, fixed = _FIXED.get(kind, (_OPEN.get(kind), choices))
    if kind in ("M", "P"):
        sort, fixed = "category", {"Y": "Yes"}
    elif kind in ("F", "H", "L", "!", "O"):
        sort = scaled(choices) if kind in ("F", "H") else "category"
    if kind == "1":
        for item, words in items:
            for scale, codes in enumerate((choices, answers.get("1", {})), start=1):
                label = joined(stem, f"{words} - scale {scale}")
                yield Question(code=f"{code}[{item}][{scale}]", label=label, kind=scaled(codes), choices=codes)
    elif items:
        for item, words in items:
            yield Question(code=f"{code}[{item}]", label=joined(stem, words), kind=sort, choices=fixed)
    else:
        yield Question(code=code, label=stem, kind=sort, choices=fixed)


# ---- R syntax --------------------------------------------------------------------------------------------------------

_STRING = r"(?:\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')"
_VALUE = rf"(?:{_STRING}|-?[\w.]+)"
_LIST = rf"c\(\s*({_VALUE}(?:\s*,\s*{_VALUE})*)\s*\)"
_R_NAME = re.compile(rf"^[ \t]*names\([\w.]+\)\[(\d{{1,5}})\]\s*<-\s*({_STRING})", re.MULTILINE)
_R_LABEL = re.compile(rf"^[ \t]*attributes\([\w.]+\)\$variable\.labels\[(\d{{1,5}})\]\s*<-\s*({_STRING})", re.MULTILINE)
_R_TYPE = re.compile(r"^# LimeSurvey Field type: (\w+)[^\n]*\n[ \t]*[\w.]+\[,\s*(\d{1,5})\]", re.MULTILINE)
_R_FACTOR = re.compile(
    rf"^[ \t]*[\w.]+\[,\s*(\d{{1,5}})\]\s*<-\s*factor\([\w.]+\[,\s*\d{{1,5}}\],"
    rf"\s*levels\s*=\s*{_LIST},\s*labels\s*=\s*{_LIST}",
    re.MULTILINE,
)
_R_KINDS: dict[str, Kind] = {"F": "number", "DATETIME23": "date"}


def parse_r_syntax(source: str, text: str) -> Structure:
    """Read names, labels and factor levels from LimeSurvey's R syntax file; nothing in it is ever run."""
    names = {place: _unquoted(name) for place, name in _R_NAME.findall(text)}
    labels = {place: plain_text(_unquoted(label)) for place, label in _R_LABEL.findall(text)}
    kinds = {place: _R_KINDS.get(kind) for kind, place in _R_TYPE.findall(text)}
    factors = {
        place: dict(zip(_values(levels), map(plain_text, _values(words)), strict=False))
        for place, levels, words in _R_FACTOR.findall(text)
    }
    if not names:
        raise DataError(f"{source}: the R syntax names no columns. Export it again from LimeSurvey.")
    questions = [
        Question(
            code=name,
            label=labels.get(place, ""),
            kind="category" if place in factors else kinds.get(place),
            choices=factors.get(place, {}),
        )
        for place, name in names.items()
    ]
    return Structure(source=source, form="LimeSurvey R syntax", questions=tuple(questions))


def _values(text: str) -> list[str]:
    return [_unquoted(value) for value in re.findall(_VALUE, text)]


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value[:1] in ("'", '"') else value
