"""The report of one run as one page of Markdown: what was run, what came out, what to doubt."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distill_app.problems.benchmarks import MACRO
from distill_app.reports.leaderboard import gain_text, percent, problems_text, score_text, verdict

TABLE_ROWS = 60


@dataclass(frozen=True, slots=True)
class Teacher:
    """A teacher as the report names it. `program` says that it is a program, not a language model."""

    name: str
    description: str
    program: bool


@dataclass(frozen=True, slots=True)
class Example:
    """One benchmark problem with an answer of each student and how it was graded (a `Verdict.verdict`)."""

    benchmark: str
    question: str
    gold: str
    base_text: str
    base_verdict: str
    trained_text: str
    trained_verdict: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture beside the report: file name and alternative text."""

    file: str
    alt: str


def render(
    result: Mapping[str, Any],
    *,
    description: str,
    student: str,
    teachers: Sequence[Teacher],
    examples: Sequence[Example] = (),
    figures: Sequence[Figure] = (),
) -> str:
    """The report of a `result.json`, with what it does not hold given beside it. Pure.

    Every text that comes from data is escaped, so that a question with pipes, headings or HTML in it stays text.
    """
    sections = [
        f"# {escape(result['recipe'])}: {escape(result['label'])}, seed {result['seed']}",
        escape(description) if description else "",
        _what(result, student, teachers),
        "## Scores",
        scores(result),
        *(f"![{escape(figure.alt)}]({figure.file})" for figure in figures),
        "## Selection",
        *_selection(result["selection"]),
        "## Counts",
        "\n".join(nested(result["counts"])) or "None were recorded.",
        "## Example answers",
        "\n\n".join(_example(example) for example in examples) or "None were given.",
        "## Settings",
        "\n".join(nested(result["settings"])) or "None were recorded.",
        "## Time by stage",
        _timings(result["timings"]),
        "## To keep in mind",
        "\n".join(f"- {escape(note)}" for note in caveats(result, teachers)),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def escape(text: object) -> str:
    """`text` on one line, as Markdown that shows it literally."""
    flat = re.sub(r"\s+", " ", str(text)).strip()
    flat = flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    flat = re.sub(r"([\\`*_\[\]|#~$!])", r"\\\1", flat)
    return re.sub(r"^(\d+)([.)])(?=\s|$)|^([-+])(?=\s|$)", lambda m: f"{m[1] or ''}\\{m[2] or m[3]}", flat)


def _what(result: Mapping[str, Any], student: str, teachers: Sequence[Teacher]) -> str:
    lines = [f"- Run: `{result['run']}`, {result['status']}"] if result["run"] else []
    lines.append(f"- Student: {escape(student)}")
    for teacher in teachers:
        kind = "a program that writes worked solutions, not a language model" if teacher.program else "a model"
        detail = f"; {escape(teacher.description)}" if teacher.description else ""
        lines.append(f"- Teacher: {escape(teacher.name)} ({kind}{detail})")
    lines.append(f"- Selector: {escape(result['label'])}")
    return "\n".join(lines)


def scores(result: Mapping[str, Any]) -> str:
    """The scores of a `result.json` before and after, with their intervals, as a table with what to know of it."""
    if not result["rows"]:
        return "Nothing was measured."
    said = [
        "Scores in percent, gains in points, both with 95 % intervals over problems. Cut, no answer, timed out: "
        "percent of samples."
    ]
    if any(row["n_clusters"] is not None for row in result["rows"]):
        said.append("n is problems (clusters): problems that share a source are resampled together.")
    if any(row["benchmark"] == MACRO for row in result["rows"]):
        said.append("Macro is the mean of the benchmarks' scores, each of the same weight and resampled by itself.")
    lines = [
        " ".join(said),
        "",
        "| benchmark | metric | n | before | after | gain | finding | cut | no answer | timed out |",
        "|---|---|---:|---:|---:|---:|---|---:|---:|---:|",
    ]
    bases = {(row["benchmark"], row["metric"]): row for row in result["base_rows"]}
    for row in result["rows"]:
        base = bases.get((row["benchmark"], row["metric"]))
        cells = [
            escape(row["benchmark"]),
            row["metric"],
            problems_text(row),
            escape(score_text(base)) if base else "-",
            escape(score_text(row)),
            escape(gain_text(row)),
            verdict(row) or "no base to compare with",
            *(_change(base, row, share) for share in ("truncated", "no_answer", "timed_out")),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    first = result["rows"][0]
    lines += ["", f"Trained on {first['train_tokens']:,} target tokens; {first['seconds']:,.0f} s in all."]
    return "\n".join(lines)


def _change(base: Mapping[str, Any] | None, row: Mapping[str, Any], share: str) -> str:
    return f"{percent(base[share])} to {percent(row[share])}" if base else percent(row[share])


def _selection(selection: Mapping[str, Any]) -> list[str]:
    """What the selector said of its ranking: single figures as a list, lists of records as tables, epochs last."""
    facts: Mapping[str, Any] = selection["facts"]
    single = {name: value for name, value in facts.items() if not _is_table(value) and name != "label"}
    lines = [f"- Rows kept: {selection['rows']:,}"]
    if selection["reads"]:
        lines.append(f"- Signals read: {escape(', '.join(selection['reads']))}")
    if selection["capability"] is not None:
        lines += ["- Capability of the student (every definition of it is inferred):"]
        lines += nested(selection["capability"], 1)
    sections = ["\n".join([*lines, *nested(single)])]
    for name, value in facts.items():
        if _is_table(value):
            sections.append(f"{escape(name)}:\n\n{_table(value)}")
    if selection["epochs"]:
        epochs = [
            {"epoch": epoch["epoch"] + 1, **{key: epoch[key] for key in _EPOCH_COLUMNS}}
            for epoch in selection["epochs"]
        ]
        sections.append(f"By epoch (overlap: rows in common with the epoch before, Jaccard):\n\n{_table(epochs)}")
    return sections


_EPOCH_COLUMNS = ("rows", "scored", "seconds", "capability", "overlap")


def _is_table(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, Mapping) for row in value)


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    names = list(rows[0])
    lines = ["| " + " | ".join(map(escape, names)) + " |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(_figure(row.get(name)) for name in names) + " |" for row in rows[:TABLE_ROWS]]
    more = [f"\n{len(rows) - TABLE_ROWS:,} more rows are in result.json."] if len(rows) > TABLE_ROWS else []
    return "\n".join([*lines, *more])


def _figure(value: object) -> str:
    """A value in few characters: whole numbers with commas, others with four figures, none as a dash."""
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return escape(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def nested(values: Mapping[str, Any], depth: int = 0) -> list[str]:
    """Figures by name, nested as they are, as lines of a Markdown list."""
    lines = []
    for name, value in values.items():
        head = f"{'  ' * depth}- {escape(name)}"
        if isinstance(value, Mapping):
            lines += [f"{head}:", *nested(value, depth + 1)] if value else [f"{head}: none"]
        elif isinstance(value, list | tuple):
            lines.append(f"{head}: {', '.join(map(_figure, value)) or 'none'}")
        else:
            lines.append(f"{head}: {_figure(value)}")
    return lines


def _timings(timings: Mapping[str, float]) -> str:
    if not timings:
        return "None were recorded."
    lines = ["| stage | seconds |", "|---|---:|"]
    lines += [f"| {escape(stage)} | {seconds:,.1f} |" for stage, seconds in timings.items()]
    return "\n".join([*lines, f"| all | {sum(timings.values()):,.1f} |"])


def _example(example: Example) -> str:
    return "\n".join(
        [
            f"**{escape(example.benchmark)}**: {escape(example.question)} (gold: {escape(example.gold)})",
            "",
            f"- before, {_graded(example.base_verdict)}: {escape(_short(example.base_text))}",
            f"- after, {_graded(example.trained_verdict)}: {escape(_short(example.trained_text))}",
        ]
    )


def _graded(verdict_name: str) -> str:
    return {"no_answer": "no answer found", "timeout": "grading timed out"}.get(verdict_name, verdict_name)


def _short(text: str, limit: int = 600) -> str:
    return text if len(text) <= limit else f"{text[:limit]} [{len(text) - limit:,} more characters]"


def caveats(result: Mapping[str, Any], teachers: Sequence[Teacher]) -> list[str]:
    """What a reader of the scores must know, a sentence or two each."""
    notes = [
        "Intervals are over problems of this benchmark: they do not cover another training seed or other problems.",
        *result["notes"],
    ]
    if any(teacher.program for teacher in teachers):
        notes.append(
            "A teacher here is a program: the traces are worked from the problem's own steps, and say nothing about "
            "what a language model would teach."
        )
    covered = [row for row in result["rows"] if verdict(row) == "not distinguishable from base"]
    if covered:
        names = ", ".join(f"{row['benchmark']} {row['metric']}" for row in covered)
        notes.append(f"Not distinguishable from the untrained student: {names}. Do not read these gains as gains.")
    return notes
