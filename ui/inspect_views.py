"""What the Inspect page says of a selection, a row and an answer: HTML, and Markdown for what models wrote.

Every text of a recipe, a model or a data set is escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import urlencode

from distill_app.records import Sample, Verdict

from . import mathtext
from .comparison import heading, table
from .pool import Pool, Skill

PATTERNS = 40
"""Ways through the epochs that are listed."""
REASONS = 40


def headline(pool: Pool, recipe: str) -> str:
    """What was selected from what, by whom."""
    kept, candidates = len(pool.kept), len(pool.candidates)
    share = f" ({100 * kept / candidates:.1f} % of the candidates)" if candidates else ""
    reads = ", ".join(pool.facts["reads"]) or "no signal"
    when = " for the first epoch" if pool.facts["plan"]["epochs"] else ""
    notes = "".join(f'<p class="notice">{escape(warning)}</p>' for warning in pool.facts["warnings"])
    return (
        f"<p><strong>{escape(pool.label)}</strong>, recipe {escape(recipe)}: {pool.size:,} rows in the pool, "
        f"{candidates:,} candidates, {kept:,} kept{share}{when}. The selector read: {escape(reads)}.</p>{notes}"
    )


def composition(pool: Pool) -> str:
    """Rows of the pool, of the candidates and kept, by what they are; and why rows were left, with counts."""
    parts = []
    for name in ("teacher", "augmentation", "graded answer"):
        lines = [
            [escape(word), f"{rows:,}", f"{candidates:,}", f"{kept:,}", _share(kept, candidates)]
            for word, rows, candidates, kept in pool.composition(name)
        ]
        parts.append(table([name, "pool", "candidates", "kept", "% of candidates"], lines, (1, 2, 3, 4), name))
    reasons = pool.reasons_counted
    lines = [[f"{one['rows']:,}", escape(one["reason"])] for one in reasons[:REASONS]]
    if lines:
        parts += [heading("Why rows were not kept"), table(["rows", "reason"], lines, (0,), "Why rows were not kept")]
    if len(reasons) > REASONS:
        parts.append(f"<p class=muted>and {len(reasons) - REASONS:,} more reasons</p>")
    return "".join(parts)


def skills(tree: Sequence[Skill]) -> str:
    """The numbers of the skill tree; a row has each of its skills."""
    lines = [
        [
            escape(node.chain),
            f"{node.pool:,}",
            f"{node.candidates:,}",
            f"{node.kept:,}",
            _share(node.kept, node.candidates),
            "-" if node.accuracy is None else f"{node.accuracy * 100:.1f}",
        ]
        for node in tree
    ]
    heads = ["skill", "pool", "candidates", "kept", "% of candidates", "accuracy %"]
    return table(heads, lines, (1, 2, 3, 4, 5), "Skills") if lines else ""


def skills_said(tree: Sequence[Skill]) -> str:
    """What the chart of skills shows."""
    if not tree:
        return (
            '<p class="notice">The rows of this run have no skills: they come with the skill_aware selector, or with '
            '`skills` in the <a class="plain-link" href="./">recipe</a>.</p>'
        )
    known = any(node.accuracy is not None for node in tree)
    said = "A row has each of its skills, so that shares add up to more than the whole. " + (
        "Diamonds: the untrained student's accuracy, with its interval."
        if known
        else "Accuracy is known where the selector asks the student, as skill_aware does; here it did not."
    )
    return f"<p class=muted>{said}</p>"


def epochs(pool: Pool) -> str:
    """Each epoch in numbers, how many candidates were core, elective or never, and the ways through the epochs."""
    planned = pool.facts["plan"]["epochs"]
    if not planned:
        return '<p class="notice">This run selects once, before training: the same rows are trained in every epoch.</p>'
    if not pool.epochs:
        return f'<p class="notice">None of the {planned} epochs has been chosen yet.</p>'
    times = pool.trained_in.sum(axis=0)
    core, ever = int((times == len(pool.epochs)).sum()), int((times > 0).sum())
    said = (
        f"<p>{len(pool.epochs)} of {planned} epochs chosen. Candidates: <strong>{core:,}</strong> in every epoch so "
        f"far (core), <strong>{ever - core:,}</strong> in some (elective), "
        f"<strong>{len(times) - ever:,}</strong> in none (never).</p>"
    )
    lines = [
        [
            str(flow["epoch"]),
            f"{epoch['rows']:,}",
            f"{flow['stayed']:,}",
            f"{flow['came']:,}",
            f"{flow['went']:,}",
            number(epoch["capability"]),
            number(epoch["overlap"]),
            "; ".join(map(escape, epoch["warnings"])),
        ]
        for flow, epoch in zip(pool.flows(), pool.epochs, strict=True)
    ]
    heads = ["epoch", "rows", "stayed", "came in", "went out", "capability", "overlap", "to keep in mind"]
    ways = pool.patterns()
    shown = [[escape(way), f"{rows:,}", _row_link(pool.run, first)] for way, rows, first in ways[:PATTERNS]]
    rest = f"<p class=muted>and {len(ways) - PATTERNS:,} more</p>" if len(ways) > PATTERNS else ""
    return "".join(
        [
            said,
            table(heads, lines, (0, 1, 2, 3, 4, 5, 6), "Epochs"),
            heading("Ways through the epochs"),
            table(["in and out, epoch by epoch", "candidates", "the first of them"], shown, (1,), "Ways"),
            rest,
        ]
    )


def row(found: Mapping[str, Any]) -> str:
    """The decision on one row, what it is, and its signals: `inspect_row.row` as HTML."""
    trace, verdict, chains = found["trace"], found["verdict"], found["skills"]
    facts = [
        ("row", found["id"]),
        ("decision", "kept" if found["kept"] else "left"),
        ("reason", found["reason"]),
        ("place", found["place"]),
        ("rank", number(found["rank"])),
        ("score", number(found["score"])),
        ("graded", _graded(verdict, trace["answer"])),
        ("teacher", f"{trace['teacher']}, {trace['augmentation']}, sample {trace['sample']}"),
        ("ended", trace["finish_reason"]),
    ]
    if chains:
        facts.append(("skills", "; ".join(chains["chains"]) or f"none: {chains['reason'] or 'not attributed'}"))
    facts += [(name, trace[key]) for name, key in (("teacher's note", "note"), ("group", "group")) if trace[key]]
    facts += [
        (
            f"epoch {one['epoch'] + 1}",
            ("trained" if one["trained"] else "not trained")
            + ("" if one["score"] is None else f", score {number(one['score'])}"),
        )
        for one in found["epochs"]
    ]
    signals = [
        [escape(name), number(one["value"]), "-" if one["below"] is None else f"{one['below'] * 100:.1f}"]
        for name, one in found["signals"].items()
    ]
    parts = [[escape(name), number(value), ""] for name, value in (found["quality_parts"] or {}).items()]
    if parts:
        signals += [["<em>parts of quality</em>", "", ""], *parts]
    return table(
        ["", "what is known of it"], [[escape(name), escape(text)] for name, text in facts], label="Row", whole=True
    ) + (
        table(["signal", "value", "% of candidates below"], signals, (1, 2), "Signals", whole=True)
        if signals
        else "<p>No signals were made for it.</p>"
    )


def _graded(verdict: Mapping[str, Any] | None, gold: str) -> str:
    if verdict is None:
        return "-"
    answer = "no answer" if verdict["extracted"] is None else f"answer {verdict['extracted']}"
    by = f", found by {verdict['rule']}" if verdict["rule"] else ""
    return f"{verdict['verdict'].replace('_', ' ')}: {answer}{by}; gold {gold}"


def trace(found: Mapping[str, Any]) -> str:
    """Question and trace as Markdown, mathematics set."""
    said = found["trace"]
    original = said["original_question"]
    asked = f"## Original question\n\n{mathtext.rendered(original)}\n\n" if original else ""
    question, text = mathtext.rendered(said["question"]), mathtext.rendered(said["text"])
    return f"{asked}## Question\n\n{question}\n\n## Trace\n\n{text}"


def answer(title: str, sample: Sample, verdict: Verdict) -> str:
    """One answer of a student as Markdown: how it was graded, then what it wrote."""
    taken = "no answer found" if verdict.extracted is None else f"answer {verdict.extracted}"
    cut = ", cut at the token limit" if sample.finish_reason == "length" else ""
    head = f"{verdict.verdict.replace('_', ' ')}: {taken}; {sample.tokens:,} tokens{cut}"
    return f"### {mathtext.escaped(title)}\n\n**{mathtext.escaped(head)}**\n\n{mathtext.rendered(sample.text)}"


def asked(question: str, gold: str) -> str:
    """A benchmark problem with its gold answer as Markdown."""
    return f"## Problem\n\n{mathtext.rendered(question)}\n\nGold answer: **{mathtext.escaped(gold)}**"


def number(value: float | None) -> str:
    """Whole numbers whole, others with four figures, none as a dash."""
    if value is None:
        return "-"
    return f"{int(value):,}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.4g}"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}" if whole else "-"


def _row_link(run: str, name: str) -> str:
    return f'<a href="./inspect?{escape(urlencode({"run": run, "row": name}))}">{escape(name)}</a>'
