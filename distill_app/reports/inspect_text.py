"""A selection, and one row of it, as text for the terminal: 100 columns where the data allow it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from distill_app.reports.leaderboard import WIDTH

NAME = 46
"""Columns of a name in a table; of a longer one the end is shown, where chains of skills differ."""
FACT = 34
"""The same inside what a selector says of its ranking, whose tables have more columns."""
ID = 200
"""Columns of a row's id, which is to be copied: better a line too long than an id cut."""


def overview(found: Mapping[str, Any], limit: int) -> str:
    """The text of `inspect.overview`; tables are cut to `limit` lines and say so."""
    rows = found["rows"]
    head = (
        f"Run {found['run']}: {found['label']}\n"
        f"{rows['pool']:,} rows in the pool, {rows['candidates']:,} candidates, {rows['kept']:,} kept"
        f" ({_percent(rows['kept'], rows['candidates'])} % of the candidates)"
        f"{' for the first epoch' if found['epochs'] else ''}."
    )
    reads = f"The selector read: {', '.join(found['reads']) or 'no signal'}. {_ORDER[found['score_order']]}"
    parts = [
        head + "\n" + reads,
        _warnings(found["warnings"]),
        _signals(found["signals"]),
        _spearman(found["spearman"]),
    ]
    for name, table in found["composition"]["tables"].items():
        parts.append(_composition(name, table, found, limit))
    parts.append(_reasons(found["reasons"], limit))
    if found["capability"]:
        parts.append(
            "Capability of the student (every definition of it is inferred)\n" + _facts(found["capability"], limit)
        )
    facts = {name: value for name, value in found["facts"].items() if name != "label"}
    if facts:
        parts.append("What the selector says of its ranking\n" + _facts(facts, limit))
    if found["epochs"]:
        parts.append(_epochs(found["epochs"]))
    parts += [_listed("Kept, best first", found["best_kept"]), _listed("Left, best first", found["best_left"])]
    parts.append(f"One row in full: distill-app inspect {found['run'][-6:]} ROW (its id, or a part of it)")
    return "\n\n".join(part for part in parts if part)


def row(found: Mapping[str, Any]) -> str:
    """The text of `inspect_row.row`."""
    trace, verdict = found["trace"], found["verdict"]
    lines = [
        f"Row {found['id']} in run {found['run']}: {found['label']}",
        "",
        f"{'decision':<14} {'kept' if found['kept'] else 'left'}",
        *_wrapped("reason", found["reason"]),
        f"{'place':<14} {found['place']}" + (f", rank {found['rank']:,}" if found["rank"] else ""),
        f"{'score':<14} {_number(found['score'])}",
    ]
    if verdict:
        extracted = "no answer" if verdict["extracted"] is None else f"answer {verdict['extracted']}"
        by = f", found by {verdict['rule']}" if verdict["rule"] else ""
        lines += _wrapped("graded", f"{verdict['verdict'].replace('_', ' ')}: {extracted}{by}; gold {trace['answer']}")
    lines += _wrapped("teacher", f"{trace['teacher']}, {trace['augmentation']}, sample {trace['sample']}")
    lines += _wrapped("ended", trace["finish_reason"])
    if trace["note"]:
        lines += _wrapped("teacher's note", trace["note"])
    if trace["group"]:
        lines += _wrapped("group", trace["group"])
    if found["skills"]:
        chains = found["skills"]["chains"] or [f"none: {found['skills']['reason'] or 'not attributed'}"]
        lines += [line for place, chain in enumerate(chains) for line in _wrapped("" if place else "skills", chain)]
    lines += [f"{'epoch ' + str(one['epoch'] + 1):<14} {_trained(one)}" for one in found["epochs"]]
    lines += ["", *_own_signals(found["signals"])]
    if found["quality_parts"]:
        lines += [
            "",
            *_aligned([["parts of quality", ""], *([k, _number(v)] for k, v in found["quality_parts"].items())]),
        ]
    if trace["original_question"]:
        lines += ["", "Question in the pool", trace["original_question"]]
    asked = "Question" if trace["task"] == "solve" else f"Question (task: {trace['task']})"
    return "\n".join([*lines, "", asked, trace["question"], "", "Trace", trace["text"]])


_ORDER = {
    "highest": "The highest score comes first.",
    "lowest": "The lowest score comes first.",
    "other": "The order does not follow the score alone.",
}


def _signals(signals: Sequence[Mapping[str, Any]]) -> str:
    head = ["signal", "of", "n", "min", "q1", "median", "q3", "max", "mean", "tied %"]
    lines = [head]
    for signal in signals:
        for place, of in enumerate(("candidates", "kept")):
            one = signal[of]
            figures = [_number(one[key]) for key in ("min", "q1", "median", "q3", "max", "mean")]
            ties = "-" if one["ties"] is None else f"{one['ties'] * 100:.1f}"
            lines.append(["" if place else signal["signal"], of, f"{one['n']:,}", *figures, ties])
    missing = [
        f"{one['signal']} in {one['candidates']['missing']:,}" for one in signals if one["candidates"]["missing"]
    ]
    note = [f"Missing: {', '.join(missing)} candidates."] if missing else []
    return "\n".join([*_aligned(lines, left=2), *note])


def _spearman(table: Mapping[str, Mapping[str, float | None]]) -> str:
    names = list(table)
    if len(names) < 2:
        return ""
    lines = [["Spearman", *(str(place) for place in range(1, len(names) + 1))]]
    for place, name in enumerate(names, start=1):
        cells = ["-" if value is None else f"{value:+.2f}" for value in table[name].values()]
        lines.append([f"{place} {name}", *cells])
    note = ["- : one of the two does not vary."] if any("-" in line for line in lines) else []
    return "\n".join([*_aligned(lines), *note])


def _composition(name: str, table: Sequence[Mapping[str, Any]], found: Mapping[str, Any], limit: int) -> str:
    rows = found["rows"]
    unit = found["composition"]["length"]
    head = f"{name}, {unit['unit']}" if name == "length" else name
    lines = [[head, "pool", "candidates", "%", "kept", "%"]]
    for one in table[:limit]:
        lines.append(
            [
                one["value"],
                f"{one['pool']:,}",
                f"{one['candidates']:,}",
                _percent(one["candidates"], rows["candidates"]),
                f"{one['kept']:,}",
                _percent(one["kept"], rows["kept"]),
            ]
        )
    notes = _more(len(table), limit)
    if name == "length":
        notes.append("Quarters of the candidates' lengths, between " + ", ".join(map(_number, unit["edges"])) + ".")
    if name.startswith("skill"):
        notes.append("A row has each of its skills, so that shares add up to more than 100 %.")
    return "\n".join([*_aligned(lines), *notes])


def _reasons(reasons: Sequence[Mapping[str, Any]], limit: int) -> str:
    if not reasons:
        return "Every row was kept."
    lines = ["Why rows were not kept"]
    for one in reasons[:limit]:
        lines += textwrap.wrap(
            one["reason"], WIDTH - 10, initial_indent=f"{one['rows']:>8,}  ", subsequent_indent=" " * 10
        )
    return "\n".join([*lines, *_more(len(reasons), limit)])


def _warnings(warnings: Sequence[str]) -> str:
    return "\n".join(textwrap.fill(f"To keep in mind: {warning}", WIDTH) for warning in warnings)


def _facts(facts: Mapping[str, Any], limit: int, depth: int = 1) -> str:
    lines: list[str] = []
    indent = "  " * depth
    for name, value in facts.items():
        if isinstance(value, Mapping):
            lines += [f"{indent}{name}:", _facts(value, limit, depth + 1)]
        elif isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
            table = [list(value[0]), *([_cell(one[key]) for key in value[0]] for one in value[:limit])]
            lines += [
                f"{indent}{name}:",
                *(f"{indent}  {line}" for line in _aligned(table, name=FACT)),
                *_more(len(value), limit),
            ]
        else:
            text = ", ".join(map(_cell, value)) or "none" if isinstance(value, list) else _cell(value)
            lines += textwrap.wrap(f"{name}: {text}", WIDTH, initial_indent=indent, subsequent_indent=indent + "  ")
    return "\n".join(line for line in lines if line)


def _epochs(epochs: Mapping[str, Any]) -> str:
    chosen = epochs["chosen"]
    head = f"Dynamic selection: {len(chosen)} of {epochs['planned']} epochs chosen"
    if not chosen:
        return f"{head}."
    lines = [["epoch", "rows", "scored again", "seconds", "capability", "overlap"]]
    for one in chosen:
        figures = [_number(one[key]) for key in ("seconds", "capability", "overlap")]
        lines.append([str(one["epoch"] + 1), f"{one['rows']:,}", f"{one['scored']:,}", *figures])
    again = epochs["scored_again"]
    live = "" if again is None else f" Before each epoch it chooses from {again:,} of the candidates."
    notes = [
        "Overlap: rows in common with the epoch before, as a share of all rows of either.",
        f"Candidates: {epochs['core']:,} in every epoch so far (core), {epochs['elective']:,} in some (elective),"
        f" {epochs['never']:,} in none.{live}",
    ]
    notes += [f"To keep in mind, epoch {one['epoch'] + 1}: {warning}" for one in chosen for warning in one["warnings"]]
    return "\n".join([head, *_aligned(lines), *(textwrap.fill(note, WIDTH) for note in notes)])


def _listed(title: str, listed: Sequence[Mapping[str, Any]]) -> str:
    if not listed:
        return ""
    lines = [[title, "rank", "score", "graded"]]
    for one in listed:
        lines.append([one["id"], _number(one["rank"]), _number(one["score"]), one["verdict"].replace("_", " ")])
    return "\n".join(_aligned(lines, name=ID))


def _own_signals(signals: Mapping[str, Mapping[str, float | None]]) -> list[str]:
    if not signals:
        return ["No signals were made for it."]
    lines = [["signal", "value", "% of candidates below"]]
    for name, one in signals.items():
        below = one["below"]
        lines.append([name, _number(one["value"]), "-" if below is None else f"{below * 100:.1f}"])
    return _aligned(lines)


def _trained(one: Mapping[str, Any]) -> str:
    score = "" if one["score"] is None else f", score {_number(one['score'])}"
    return ("trained" if one["trained"] else "not trained") + score


def _wrapped(name: str, text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=f"{name:<14} ", subsequent_indent=" " * 15) or [f"{name:<14} -"]


def _aligned(lines: Sequence[Sequence[str]], left: int = 1, name: int = NAME) -> list[str]:
    """Columns of one width each: the first `left` flush left, the others flush right. The first line is the head."""
    cells = [[line[0] if len(line[0]) <= name else f"…{line[0][1 - name :]}", *line[1:]] for line in lines]
    widths = [max(len(line[place]) for line in cells) for place in range(len(cells[0]))]
    shown = []
    for line in cells:
        parts = [
            f"{cell:<{width}}" if place < left else f"{cell:>{width}}"
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        shown.append("  ".join(parts).rstrip())
    return shown


def _more(rows: int, limit: int) -> list[str]:
    return [f"… and {rows - limit:,} more (--limit {rows})"] if rows > limit else []


def _cell(value: object) -> str:
    return _number(value) if isinstance(value, int | float) or value is None else str(value)


def _number(value: float | None) -> str:
    """Whole numbers whole, others with four figures, none as a dash."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.4g}"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}" if whole else "-"
