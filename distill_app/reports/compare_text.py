"""A comparison as text for the terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from distill_app.problems.benchmarks import MACRO
from distill_app.reports.leaderboard import WIDTH, interval_text, points_text, printed, problems_text

if TYPE_CHECKING:
    from rich.table import Table

WARNINGS = 12
"""Warnings printed; all of them are in the JSON."""
SETTINGS = 20
PROBLEMS = 5
"""Problems listed of a pair, where only one pair is compared."""


def as_text(found: Mapping[str, Any]) -> str:
    """The comparison within 100 columns: who is compared, what differs between them, scores, then every pair.

    Differences are in points, first less second; the words say what the adjusted p-value and the interval allow.
    """
    parts = [printed(_operands(found), WIDTH), _settings(found), _warnings(found)]
    parts.append(printed(_pairs(found), WIDTH))
    parts.append(_largest(found))
    return "\n".join(part.rstrip("\n") + "\n" for part in parts if part)


def p_text(p_value: float) -> str:
    """A p-value in few characters: "0.31", "0.031", "0.0001", which is the least that 10,000 draws can give."""
    return f"{p_value:.2f}" if p_value >= 0.0995 else f"{p_value:.2g}"


def words(pair: Mapping[str, Any]) -> str:
    """What the comparison allows to be said: "1 better than 2", "1 worse than 2", "not distinguishable"."""
    if pair["finding"] not in ("better", "worse"):
        return str(pair["finding"])
    return f"{pair['first']} {pair['finding']} than {pair['second']}"


def _table(title: str) -> Table:
    from rich import box
    from rich.table import Table

    return Table(
        box=box.SIMPLE_HEAD, title=title, pad_edge=False, show_edge=False, padding=(0, 2, 0, 0), caption_justify="left"
    )


def _operands(found: Mapping[str, Any]) -> Table:
    from rich.markup import escape

    table = _table("Scores over all the problems that each answered: percent, 95 % intervals over problems")
    table.add_column("", justify="right")
    table.add_column("compared", overflow="fold", max_width=44)
    table.add_column("benchmark", overflow="fold")
    table.add_column("score")
    table.add_column("n", justify="right")
    for operand in found["operands"]:
        head = [str(operand["number"]), escape(f"{operand['name']}\n{operand['recipe']} {_ids(operand['runs'])}")]
        lines = [score for score in found["scores"] if score["operand"] == operand["number"]]
        names = "\n".join(f"{score['benchmark']} {score['metric']}" for score in lines)
        shown = "\n".join(interval_text(score["score"], score["ci_low"], score["ci_high"]) for score in lines)
        table.add_row(*head, escape(names), escape(shown), "\n".join(map(problems_text, lines)))
    return table


def _ids(runs: list[str]) -> str:
    return " ".join(run[-6:] for run in runs)


def _settings(found: Mapping[str, Any]) -> str:
    if not found["settings"]:
        return "No setting differs between them."
    lines = ["Settings that differ, in the order of the runs:"]
    for entry in found["settings"][:SETTINGS]:
        values = " | ".join(
            "-" if value is None else _cut(value if isinstance(value, str) else json.dumps(value), 32)
            for value in entry["values"]
        )
        lines.append(_cut(f"  {entry['name']}: {values}"))
    more = len(found["settings"]) - SETTINGS
    return "\n".join([*lines, *([f"  and {more} more: see --json"] if more > 0 else [])])


def _cut(line: str, width: int = WIDTH) -> str:
    return line if len(line) <= width else f"{line[: width - 3]}..."


def _warnings(found: Mapping[str, Any]) -> str:
    import textwrap

    lines = []
    for warning in found["warnings"][:WARNINGS]:
        lines += textwrap.wrap(f"Note: {warning}", WIDTH, subsequent_indent="      ")
    more = len(found["warnings"]) - WARNINGS
    return "\n".join([*lines, *([f"Note: {more} more: see --json"] if more > 0 else [])])


def _pairs(found: Mapping[str, Any]) -> Table:
    from rich.markup import escape

    table = _table("Differences in points, first less second, paired by problem; 95 % intervals, p by sign flips")
    one = len(found["pairs"]) == 1
    table.caption = (
        ("" if one else f"{found['family']} ")
        + "Better or worse: the interval leaves 0 out and the adjusted p is below 0.05. won/lost/tied: problems. "
        "Nothing here covers another training seed."
    )
    table.add_column("pair", no_wrap=True)
    table.add_column("difference", no_wrap=True)
    table.add_column("p", justify="right", no_wrap=True)
    table.add_column("adjusted", justify="right", no_wrap=True)
    table.add_column("n", justify="right", no_wrap=True)
    table.add_column("won/lost/tied", no_wrap=True)
    table.add_column("finding")
    heads = list(dict.fromkeys((pair["benchmark"], pair["metric"]) for pair in found["pairs"]))
    for benchmark, metric in sorted(heads, key=lambda head: head[0] == MACRO):
        table.add_section()
        table.add_row(f"[bold]{escape(benchmark)}\n{metric}[/bold]")
        for pair in found["pairs"]:
            if (pair["benchmark"], pair["metric"]) != (benchmark, metric):
                continue
            table.add_row(
                f"{pair['first']} - {pair['second']}",
                escape(points_text(pair["difference"], pair["ci_low"], pair["ci_high"])),
                p_text(pair["p_value"]),
                p_text(pair["p_adjusted"]),
                problems_text(pair),
                f"{pair['wins']}/{pair['losses']}/{pair['ties']}",
                words(pair),
            )
    return table


def _largest(found: Mapping[str, Any]) -> str:
    """The problems that differ most, where two are compared."""
    if len(found["operands"]) != 2:
        return ""
    lines = []
    for pair in found["pairs"]:
        if pair["largest"]:
            lines.append(
                f"Problems of {pair['benchmark']} that differ most, percent of samples right, first and second:"
            )
            lines += [
                f"  {one['first'] * 100:>5.1f} {one['second'] * 100:>5.1f}  {_cut(one['problem'], WIDTH - 16)}"
                for one in pair["largest"][:PROBLEMS]
            ]
    return "\n".join(lines)
