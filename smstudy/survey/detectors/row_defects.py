"""Defects of whole rows: responses that are none, that came twice, too late, or too fast."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import reduce

import numpy as np
import pandas as pd

from smstudy.survey.cleaning import match_category
from smstudy.survey.decoding import NUMBER, normalize
from smstudy.survey.detectors.evidence import Detection, Look, cannot_tell, named, of_rows
from smstudy.survey.missing import break_offs
from smstudy.survey.quality import CARELESS, DURATION, INDICES, MIN_ITEMS_REPEATED

KINDS_OF_RESPONSE = ("status", "distributionchannel")
STATUS_CODES = frozenset({"1", "2", "4", "8"})
NOT_MEANT = frozenset({
    "preview", "survey preview", "test", "survey test", "imported", "spam", "possible spam", "survey preview/spam",
    "imported/spam",
})  # fmt: skip
CONSENT = r"\bconsent|\bagree to (take part|participate)|\btake part\b|einwillig|einverstanden|datenschutz|consentement"
ELIGIBLE = r"\b(employed|currently work|eligib|screen(er|ed|ing)|beschäftigt)"
MOST_ANSWERS = 4
REFUSED = frozenset({"no", "nein", "non", "nee", "disagree", "i do not agree", "i do not consent", "false"})
UNFINISHED = frozenset({"0", "false", "no", "nein", "falsch", "non"})
DATES_OF_RECORDING = ("recordeddate", "recorded", "enddate", "submitdate", "datestamp", "completiontime", "timestamp")
NO_DATE = pd.Timestamp("1980-01-02")
WAVES = ("wave", "round", "welle", "vague", "surveywave")
STALLED_HOURS = 24
CHECK = r"attention check|(please|bitte) (select|choose|mark|tick|wählen|kreuzen)|instructed (item|response)|bogus"
TEST_ID = re.compile(r"(test|dummy|demo|sample|asdf|qwert[yz]?|x{3,}|foo|bar|0{3,})[\W_\d]*", re.IGNORECASE)
BOT_SCORES: dict[str, tuple[str, object]] = {
    "qrecaptchascore": ("less", 0.5),
    "qrelevantidduplicatescore": ("between", [75, 100]),
    "qrelevantidfraudscore": ("between", [30, 1000]),
}
BOT_SIGNS = ("qrelevantidduplicate", "qballotboxstuffing", "qduplicaterespondent")
MIX = np.uint64(0x9E3779B97F4A7C15)


def _any(parts: list[np.ndarray], n: int) -> np.ndarray:
    return reduce(np.logical_or, parts, np.zeros(n, bool))


def not_meant(look: Look) -> Detection:
    """11: previews, tests, imported responses, spam."""
    columns = look.called(*KINDS_OF_RESPONSE)
    if not columns:
        return cannot_tell("The export has no column that tells previews and tests from responses.")
    hits = {header: look.rows_where(header, lambda word, h=header: _is_not_meant(look, h, word)) for header in columns}
    hit = [header for header, rows in hits.items() if rows.any()]
    words = sorted({word for h in hit[:1] for word in look.words(h)[0] if _is_not_meant(look, h, word)})
    repair = look.rule(
        hit[0], id="not-meant", stage="eligibility", op="in", value=words, action="exclude",
        reason="No response: preview, test, import or spam",
    ) if hit else ""  # fmt: skip
    reason = f"Previews, tests, imports or spam by {named(hit)}."
    return of_rows(_any(list(hits.values()), look.n), reason, repair, clear=f"None by {named(columns)}.")


def _is_not_meant(look: Look, header: str, word: str) -> bool:
    coded = header in look.called("status") and word in STATUS_CODES
    return coded or word.casefold() in NOT_MEANT


def not_eligible(look: Look) -> Detection:
    """12: no consent, screened out, not of the population."""
    columns = [
        header for header in look.about(f"{CONSENT}|{ELIGIBLE}", "category")
        if len(look.variable_at[header].categories) <= MOST_ANSWERS
    ]  # fmt: skip
    if not columns:
        return cannot_tell("The codebook has no question of consent or eligibility.")
    hits = {header: look.rows_where(header, lambda word, h=header: _refuses(look, h, word)) for header in columns}
    hit = [header for header, rows in hits.items() if rows.any()]
    labels = sorted({_spelled(look, h, word) for h in hit[:1] for word in look.words(h)[0] if _refuses(look, h, word)})
    repair = look.rule(
        hit[0], id="not-eligible", stage="consent", op="in", value=labels, action="exclude",
        reason="No consent, or not of the population",
    ) if hit else ""  # fmt: skip
    reason = f"No consent, or not of the population, by {named(hit)}."
    return of_rows(_any(list(hits.values()), look.n), reason, repair, clear=f"Everybody says yes in {named(columns)}.")


def _spelled(look: Look, header: str, word: str) -> str:
    return match_category(look.variable_at[header], word) or word


def _refuses(look: Look, header: str, word: str) -> bool:
    return bool(word) and normalize(_spelled(look, header, word)) in REFUSED


def unfinished(look: Look) -> Detection:
    """13: responses that were broken off."""
    last = [header for header in look.headers if look.export.form == "redcap" and header.endswith("_complete")]
    open_at = {
        **dict.fromkeys(look.called("finished"), UNFINISHED),
        **dict.fromkeys(look.called("submitdate", "completiontime"), frozenset({""})),
        **dict.fromkeys(last, frozenset({"0", "1"})),
    }
    if not open_at:
        return _broken_off(look)
    hits = {h: look.rows_where(h, lambda word, h=h: word.casefold() in open_at[h]) for h in open_at}
    first = next((header for header, rows in hits.items() if rows.any()), next(iter(hits)))
    words = sorted({word for word in look.words(first)[0] if word.casefold() in open_at[first]})
    test = {"op": "in", "value": words} if any(words) else {"op": "missing"}
    repair = look.rule(
        first, id="unfinished", stage="completeness", **test, action="exclude", reason="Did not reach the last page"
    )
    repair += " Or keep who answered enough: missing_share_above on the items, with a share of your choice."
    reason, clear = f"Not finished by {named(list(hits))}.", f"None by {named(list(hits))}."
    return of_rows(_any(list(hits.values()), look.n), reason, repair, clear=clear)


def _broken_off(look: Look) -> Detection:
    items = [v.name for v, _ in look.of_kind("item")]
    if len(items) < 2:
        return cannot_tell("The export does not say who finished, and there are too few items to see who stopped.")
    hit = break_offs(look.survey) < len(items)
    repair = "In study.yml under rules: missing_share_above on the items, with a share of your choice, action: exclude."
    return of_rows(hit, "Nothing is answered after some item (the export does not say who finished).", repair,
                   clear="Everybody answered to the last item.")  # fmt: skip


def duplicates(look: Look) -> Detection:
    """14: a response that came twice: the same identifier, or the same answers to everything."""
    ids = [header for _, header in look.of_kind("id")]
    if not ids and len([*look.of_kind("item")]) < MIN_ITEMS_REPEATED:
        return cannot_tell("There is no identifier, and too few items to tell people apart by their answers.")
    shared = [h for h in ids if 2 * np.count_nonzero(look.repeats(h)) > np.count_nonzero(look.filled(h))]
    hits = {header: look.repeats(header) for header in ids if header not in shared}
    twins = _twins(look)
    hit = [header for header, rows in hits.items() if rows.any()]
    waves = [header for header in look.called(*WAVES) if len(set(look.words(header)[0]) - {""}) > 1]
    told = [f"Identifiers occur again in {named(hit)}."] if hit else []
    told += ["Rows repeat another in every answer."] if twins.any() else []
    told += [f"Several waves are in one file by {named(waves)}: the same person may be in each."] if waves else []
    repair = look.rule(
        hit[0], id="twice", stage="duplicates", op="duplicate_of_earlier", action="exclude",
        reason="Answered before; the most complete response counts",
    ) if hit else "Look at them; if they came twice: duplicate_of_earlier on the scales."  # fmt: skip
    clear = "No identifier and no row of answers is there twice."
    if shared:
        clear += f" Most rows share theirs in {named(shared)}, so it is no identifier of responses."
    return of_rows(_any([*hits.values(), twins], look.n), " ".join(told), repair, clear=clear)


def _twins(look: Look) -> np.ndarray:
    """Rows that equal an earlier one in all but identifiers and times; only of enough items, and not of one answer."""
    items = [variable.name for variable, _ in look.of_kind("item")]
    twin = np.zeros(look.n, bool)
    if len(items) < MIN_ITEMS_REPEATED:
        return twin
    answers = [look.survey.answers[name].to_numpy(float) for name in items]
    places = np.flatnonzero(pd.Series(_hash(answers)).duplicated(keep=False))
    block = np.column_stack([column[places] for column in answers])
    varied = np.fmax.reduce(block, axis=1) > np.fmin.reduce(block, axis=1)
    places = places[varied & (np.isfinite(block).sum(axis=1) >= MIN_ITEMS_REPEATED)]
    compared = [header for _, header in look.of_kind("item", "category", "unit", "multi-select", "text")]
    twin[places] = look.export.cells[compared].iloc[places].astype(str).duplicated().to_numpy()
    return twin


def _hash(columns: list[np.ndarray]) -> np.ndarray:
    """One number for each row, shape (n,): equal for equal rows, and by chance for a few others."""
    hashed = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        hashed = (hashed ^ column.view(np.uint64)) * MIX
        hashed ^= hashed >> np.uint64(29)
    return hashed


def outside_period(look: Look) -> Detection:
    """15: recorded before or after the field period."""
    columns = [h for h in look.called(*DATES_OF_RECORDING) if _kind(look, h) == "date"]
    if not columns:
        return cannot_tell("The codebook has no date of recording.")
    if look.period is None:
        return cannot_tell(
            "No field period is given.",
            "Write period: [FIRST, LAST] in study.yml, for example [2026-03-01, 2026-03-31].",
        )
    moments = look.moments(look.variable_at[columns[0]].name)
    first, last = look.period
    with np.errstate(invalid="ignore"):
        hit = ((moments < first) | (moments >= last + pd.Timedelta(days=1))) & (moments >= NO_DATE)
    repair = look.rule(
        columns[0], id="outside-period", stage="eligibility", op="outside",
        value=[str(first.date()), str((last + pd.Timedelta(days=1)).date())], action="flag",
        reason="Recorded outside the field period",
    )  # fmt: skip
    reason = f"{named(columns[:1])} lies outside {first.date()} to {last.date()}; next to these days by the time zone?"
    return of_rows(hit.to_numpy(), reason, repair, clear="All were recorded in the field period.")


def _kind(look: Look, header: str) -> str:
    return look.variable_at[header].kind if header in look.variable_at else ""


def speed(look: Look) -> Detection:
    """16: too fast to have read, or a session left open."""
    name = look.variable_at[h[0]].name if (h := [c for c in look.called("durationseconds", "durationinseconds",
        "interviewtime") if _kind(look, c) == "number"]) else DURATION  # fmt: skip
    items = [v.name for v, _ in look.of_kind("item")]
    if name not in look.survey.answers or not items:
        return cannot_tell("No time taken is known.", f"Declare its column as {DURATION}, kind: number.")
    seconds = look.survey.answers[name].to_numpy(float)
    answered = sum(look.survey.answers[item].notna().to_numpy().astype(np.int16) for item in items)
    with np.errstate(invalid="ignore", divide="ignore"):
        hit = (seconds > 0) & (answered > 0) & (seconds / answered < 2.0)
        stalled = np.nanmax(np.append(seconds, 0.0)) > STALLED_HOURS * 3600
    left_open = (
        f" There are sessions of more than {STALLED_HOURS} hours: use medians of the time taken." if stalled else ""
    )
    repair = 'In study.yml under rules: - {id: "too-fast", stage: "quality", column: "flag_seconds_per_item", '
    repair += 'op: "flagged", action: "flag", reason: "Less than two seconds for each item"}'
    if look.card is not None and "seconds_per_item" in look.card.flags.frame:
        hit = look.flagged("seconds_per_item")
    source = INDICES["seconds_per_item"].source
    who = "Nobody" if look.card is None else "Nobody the quality card is about"
    clear = f"{who} is below 2 seconds per item.{left_open}"
    found = of_rows(hit, f"Too fast: {source}.{left_open}", repair, clear=clear)
    return _as_on_card(look, "seconds_per_item", found)


def _as_on_card(look: Look, index: str, found: Detection) -> Detection:
    """Hide a count that the quality card hides, so that it does not follow from here."""
    if look.card is None:
        return found
    shown = look.card.shown().set_index("term")["n"]
    hidden = index in shown and bool(np.isnan(shown[index]))
    return replace(found, hidden=hidden)


def bots(look: Look) -> Detection:
    """17: what the platform says of robots and fraud, and fields that only a robot fills in."""
    scores = {h: BOT_SCORES[plain] for plain in BOT_SCORES for h in look.called(plain)}
    signs, traps = look.called(*BOT_SIGNS), look.about(r"honey_?pot")
    if not (scores or signs or traps):
        return cannot_tell("The export has no reCAPTCHA, RelevantID or honeypot column.")
    hits = {h: look.rows_where(h, lambda w, rule=rule: _beyond(w, *rule)) for h, rule in scores.items()}
    hits |= {h: look.rows_where(h, lambda w: w.casefold() in ("true", "1", "yes")) for h in signs}
    hits |= {h: look.filled(h) for h in traps}
    hit = [header for header, rows in hits.items() if rows.any()]
    op, value = scores.get(hit[0], ("in", ["true", "1"])) if hit else ("", 0)
    test = {"op": "not_missing"} if hit and hit[0] in traps else {"op": op, "value": value}
    repair = look.rule(
        hit[0], kind="number" if hit[0] in scores else "text", id="robot", stage="quality", **test, action="flag",
        reason="Perhaps a robot, by the platform",
    ) if hit else ""  # fmt: skip
    reason = (
        f"Perhaps robots by {named(hit)} (reCAPTCHA below 0.5, RelevantID 75 or 30 and above: the platform's advice)."
    )
    return of_rows(
        _any(list(hits.values()), look.n), reason, repair, clear=f"None by {named([*scores, *signs, *traps])}."
    )


def _beyond(word: str, op: str, limit: object) -> bool:
    if not NUMBER.fullmatch(word):
        return False
    number = float(word.replace(",", "."))
    return number < limit if op == "less" else limit[0] <= number <= limit[1]


def checks(look: Look) -> Detection:
    """18: attention checks that were failed."""
    if look.card is not None and "attention" in look.card.flags.frame:
        hit = look.flagged("attention")
        found = of_rows(
            hit, "An attention check was failed.", "Use flag_attention in a rule.", clear="All were passed."
        )
        return _as_on_card(look, "attention", found)
    likely = look.about(CHECK)
    if likely:
        return cannot_tell(
            f"{named(likely)} reads like an attention check, but its right answer is not known.",
            "Name it: quality_card(survey, attention={VARIABLE: RIGHT ANSWER}).",
        )
    return cannot_tell(
        "No attention check is named.", "If there was one: quality_card(survey, attention={VARIABLE: …})."
    )


def careless(look: Look) -> Detection:
    """19: signs of careless answering."""
    if look.card is None:
        return cannot_tell("No quality card is given.", "Give card=quality_card(survey).")
    hit = look.flagged(CARELESS)
    repair = 'In study.yml under rules: - {id: "careless", stage: "quality", column: "flag_careless", op: "flagged", '
    repair += 'action: "flag", reason: "Signs of careless answering of two kinds, or one that is enough"}'
    found = of_rows(hit, "Flagged by the quality card.", repair, clear="Nobody is flagged by the quality card.")
    return _as_on_card(look, CARELESS, found)


def not_in_frame(look: Look) -> Detection:
    """20: departments that the head counts do not have."""
    units = list(look.of_kind("unit"))
    if look.frame is None or "unit" not in look.frame:
        return cannot_tell("There are no head counts.", "Give the file of head counts as frame: in study.yml.")
    if not units:
        return cannot_tell("The codebook has no variable of kind unit.")
    variable, header = units[0]
    known = {normalize(match_category(variable, str(name)) or str(name)) for name in look.frame["unit"]}
    stated = look.survey.answers[variable.name]
    absent = [name for name in stated.dropna().unique() if normalize(str(name)) not in known]
    declared = {category.label for category in variable.categories}
    shown = [str(name) for name in absent if name in declared]
    names = f": {named(shown)}" if shown else ""
    repair = "Add them to the head counts, or correct the unit; who left the organization is no part of it."
    return of_rows(stated.isin(absent).to_numpy(), f"Departments without a head count{names}.", repair,
                   clear=f"Every department in {named([header])} has a head count.")  # fmt: skip


def trial_ids(look: Look) -> Detection:
    """21: identifiers that somebody typed to try the questionnaire."""
    ids = [header for _, header in look.of_kind("id")]
    if not ids:
        return cannot_tell("The codebook has no variable of kind id.")
    pattern = f"(?i)^\\s*(?:{TEST_ID.pattern})\\s*$"
    hits = {header: look.rows_matching(header, pattern) for header in ids}
    hit = [header for header, rows in hits.items() if rows.any()]
    repair = "Identifiers are hashed when read, so no rule can name them: delete the rows in the platform."
    return of_rows(_any(list(hits.values()), look.n), f"Look typed for a test in {named(hit)}.", repair,
                   clear=f"None looks typed for a test in {named(ids)}.")  # fmt: skip
