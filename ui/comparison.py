"""A comparison of runs as HTML: every text in it is escaped."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from distill_app.errors import UsageError
from distill_app.problems.benchmarks import MACRO
from distill_app.reports import compare, compare_operands
from distill_app.reports.compare_operands import Operand
from distill_app.reports.compare_text import p_text, words
from distill_app.reports.leaderboard import interval_text, points_text, problems_text

from .figures import benchmark_name

RUN_NAME = re.compile(r"[\w:-]{1,80}")
MOST = 10
"""Runs compared at once: 45 pairs."""
PROBLEMS = 200
"""Problems listed of a pair, those that differ most first."""


def of_runs(names: Sequence[str]) -> Sequence[str]:
    """The names, all of which may stand for a run: an id or a part of one, never the path of a file (a bundle).

    Raises `UsageError`.
    """
    for name in names:
        if not RUN_NAME.fullmatch(name):
            raise UsageError(f"{name[:80]!r} is no run's id.", "Bundles are compared at a terminal.")
    return names


def operands(root: Path, names: Sequence[str]) -> list[Operand]:
    """The sides of a comparison, `base` among them being the untrained student of the first run; `UsageError`."""
    named = dict.fromkeys(of_runs(names))
    return compare_operands.runs(root, sorted(named, key=lambda name: name == compare_operands.BASE))


def found(sides: Sequence[Operand]) -> dict[str, Any]:
    """What the comparison comes to, as `distill-app compare --json` prints it; `UsageError`."""
    return compare.compare(sides)


def pairs(result: Mapping[str, Any]) -> list[str]:
    """The pairs by benchmark, as a person picks one: "1 - 2, math500"."""
    return [pair_name(pair) for pair in result["pairs"] if pair["benchmark"] != MACRO]


def pair_name(pair: Mapping[str, Any]) -> str:
    return f"{pair['first']} - {pair['second']}, {pair['benchmark']}"


def html(result: Mapping[str, Any]) -> str:
    """Who is compared, what is to be kept in mind, paired differences, and the settings that differ."""
    return "".join([_sides(result), _warnings(result), _differences(result), _settings(result)])


def table(
    heads: Sequence[str],
    lines: Sequence[Sequence[str]],
    numbers: Sequence[int] = (),
    label: str = "",
    *,
    whole: bool = False,
) -> str:
    """A table whose cells are HTML already; `numbers` are the columns set flush right, `whole` scrolls no lines."""

    def cell(tag: str, at: int, content: str) -> str:
        scope = ' scope="col"' if tag == "th" else ""
        return f"<{tag}{scope}{' class=number' if at in numbers else ''}>{content}</{tag}>"

    head = "".join(cell("th", at, escape(name)) for at, name in enumerate(heads))
    body = "".join(f"<tr>{''.join(cell('td', at, part) for at, part in enumerate(line))}</tr>" for line in lines)
    shown = f'<table class="plain"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    style = ' style="max-height: none"' if whole else ""
    return (
        f'<div class="scroll"{style} tabindex="0" role="region" aria-label="{escape(label or heads[0])}">{shown}</div>'
    )


def heading(words: str, level: int = 3) -> str:
    """A heading inside a page; Gradio takes the look off bare ones."""
    size = {2: "1.15rem", 3: "1rem"}[level]
    return f'<h{level} style="font-size: {size}; font-weight: 600; margin: .5rem 0 .25rem">{escape(words)}</h{level}>'


def _sides(result: Mapping[str, Any]) -> str:
    lines = []
    for side in result["operands"]:
        scores = [score for score in result["scores"] if score["operand"] == side["number"]]
        lines.append(
            [
                str(side["number"]),
                f"{escape(side['name'])}<br><span class=muted>{escape(side['recipe'])} "
                f"{escape(' '.join(run[-6:] for run in side['runs']))}</span>",
                "<br>".join(
                    f"{escape(benchmark_name(one['benchmark']))} {escape(one['metric'])}: "
                    f"{escape(interval_text(one['score'], one['ci_low'], one['ci_high']))}, n {problems_text(one)}"
                    for one in scores
                ),
            ]
        )
    return table(["", "compared", "scores in percent with 95 % intervals"], lines, label="What is compared")


def _warnings(result: Mapping[str, Any]) -> str:
    return "".join(f'<p class="notice">{escape(warning)}</p>' for warning in result["warnings"])


def _differences(result: Mapping[str, Any]) -> str:
    lines = [
        [
            f"{pair['first']} - {pair['second']}",
            escape(f"{benchmark_name(pair['benchmark'])} {pair['metric']}"),
            escape(points_text(pair["difference"], pair["ci_low"], pair["ci_high"])),
            p_text(pair["p_value"]),
            p_text(pair["p_adjusted"]),
            problems_text(pair),
            f"{pair['wins']} / {pair['losses']} / {pair['ties']}",
            f"<strong>{escape(words(pair))}</strong>",
        ]
        for pair in result["pairs"]
    ]
    heads = ["pair", "benchmark", "difference in points, 95 %", "p", "adjusted", "n", "won / lost / tied", "finding"]
    said = (
        "Differences are first less second, paired by problem; p-values by sign flips. "
        f"{result['family']} Better or worse: the interval leaves 0 out and the adjusted p is below 0.05. "
        "Nothing here covers another training seed."
    )
    shown = table(heads, lines, (3, 4, 5), "Paired differences")
    return f"{heading('Paired differences')}{shown}<p class=muted>{escape(said)}</p>"


def _settings(result: Mapping[str, Any]) -> str:
    if not result["settings"]:
        return f"{heading('Settings that differ')}<p>No setting differs between them.</p>"
    heads = ["setting", *(str(side["number"]) for side in result["operands"])]
    lines = [
        [escape(entry["name"]), *(escape(_value(value)) for value in entry["values"])] for entry in result["settings"]
    ]
    return heading("Settings that differ") + table(heads, lines, label="Settings that differ")


def _value(value: Any) -> str:
    return "-" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def problems(sides: Sequence[Operand], result: Mapping[str, Any], name: str) -> str:
    """The problems of one pair on one benchmark that one side got right more often, with links to the answers."""
    for pair in result["pairs"]:
        if pair_name(pair) == name and pair["benchmark"] != MACRO:
            return _problems(sides, pair)
    return ""


def _problems(sides: Sequence[Operand], pair: Mapping[str, Any]) -> str:
    first, second = sides[pair["first"] - 1], sides[pair["second"] - 1]
    one, other = (side.scores()[pair["benchmark"]] for side in (first, second))
    # An earlier version did not keep what an id stood for: `compare` takes it for the same question, and warns.
    same = [
        p
        for p in one.values
        if p in other.values and (None in (both := (one.questions[p], other.questions[p])) or both[0] == both[1])
    ]
    apart = [(p, one.values[p], other.values[p]) for p in same if one.values[p] != other.values[p]]
    apart.sort(key=lambda entry: (-abs(entry[1] - entry[2]), entry[0]))
    if not apart:
        return "<p>Both got the same share of samples right on every problem.</p>"
    lines = [
        [
            _link(first, second, pair["benchmark"], problem),
            f"{a * 100:.1f}",
            f"{b * 100:.1f}",
            f"{pair['first'] if a > b else pair['second']} wins",
        ]
        for problem, a, b in apart[:PROBLEMS]
    ]
    heads = ["problem", f"{pair['first']}: % right", f"{pair['second']}: % right", ""]
    more = len(apart) - PROBLEMS
    rest = f"<p class=muted>and {more:,} more, which differ less</p>" if more > 0 else ""
    return table(heads, lines, (1, 2), "Wins and losses by problem") + rest


def _link(first: Operand, second: Operand, benchmark: str, problem: str) -> str:
    asked = {"run": first.first["run"], "benchmark": benchmark, "problem": problem}
    if second.first["run"] != asked["run"] and not second.untrained:
        asked["with"] = second.first["run"]
    return f'<a href="./inspect?{escape(urlencode(asked))}">{escape(problem)}</a>'
