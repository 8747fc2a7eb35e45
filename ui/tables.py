"""The leaderboard as tables: rows of `distill_app.reports` for the eye, and as CSV, Markdown and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from distill_app.problems.benchmarks import MACRO
from distill_app.reports.leaderboard import METRICS, finding, percent, verdict
from distill_app.reports.result import UNTRAINED
from distill_app.store.runs import RUN_ID

Row = Mapping[str, Any]
Cell = str | float | int | None
ALL = "all"
FORMULAS = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes a cell for a formula by."""


class Column(NamedTuple):
    """One column of a table: its head, what its cells are, and how one is made from a row."""

    name: str
    kind: Literal["str", "number", "markdown"]
    cell: Callable[[Row], Cell]


def benchmarks(rows: Sequence[Row]) -> list[str]:
    """The benchmarks of these rows, the macro average last."""
    return sorted({row["benchmark"] for row in rows}, key=lambda name: (name == MACRO, name))


def metrics(rows: Sequence[Row]) -> list[str]:
    """The metrics of these rows: avg, pass, maj; k ascending."""
    return sorted({row["metric"] for row in rows}, key=lambda name: (METRICS.index(name.split("@")[0]), _k(name)))


def _k(metric: str) -> int:
    return int(metric.split("@")[1])


def chosen(rows: Sequence[Row], benchmark: str, metric: str = ALL) -> list[Row]:
    """The rows of one benchmark and one metric, either of which may be `ALL`, in their order."""
    return [row for row in rows if benchmark in (ALL, row["benchmark"]) and metric in (ALL, row["metric"])]


def matching(rows: Sequence[Row], every: Sequence[Column], words: str) -> list[Row]:
    """The rows that hold each of the words in one cell or another, whatever their case."""
    wanted = words.casefold().split()
    if not wanted:
        return list(rows)
    shown = [" ".join(str(column.cell(row)) for column in every).casefold() for row in rows]
    return [row for row, text in zip(rows, shown, strict=True) if all(word in text for word in wanted)]


def _high(name: str) -> Callable[[Row], float]:
    return lambda row: float("inf") if row[name] is None else -row[name]


SORTS: dict[str, Callable[[Row], Any]] = {
    "score, highest first": _high("score"),
    "gain, highest first": _high("gain"),
    "fewest trained tokens": lambda row: row["train_tokens"],
    "shortest time": lambda row: row["seconds"],
    "fewest truncated": lambda row: row["truncated"],
    "recipe and selector": lambda row: (row["recipe"], row["label"], row.get("seed", 0)),
    "newest run": lambda row: [-ord(letter) for letter in row.get("run") or max(row["runs"])],
}
SORT = next(iter(SORTS))


def in_order(rows: Sequence[Row], by: str) -> list[Row]:
    """Rows sorted within each benchmark and metric, which keep their order; the untrained student first of each."""
    place = {name: at for at, name in enumerate(benchmarks(rows))}
    metric = {name: at for at, name in enumerate(metrics(rows))}
    key = SORTS.get(by, SORTS[SORT])
    return sorted(
        rows,
        key=lambda row: (place[row["benchmark"]], metric[row["metric"]], row["selector"] != UNTRAINED, key(row)),
    )


def standing(row: Row) -> str:
    """How a run stands to the best it can be compared with, in words."""
    if row["selector"] == UNTRAINED:
        return "not trained"
    words = {True: "the best, or within noise of it", False: "below the best", None: "stands alone"}
    if row["within_noise"] is None and not row["metric"].startswith("avg"):
        return "only avg@k is compared"
    return words[row["within_noise"]]


def interval(low: float | None, high: float | None, *, signed: bool = False) -> str:
    """Two ends in percent or points: "35.0 to 47.5", "-0.8 to +7.0"; empty without."""
    if low is None or high is None:
        return ""
    form = "{:+.1f}" if signed else "{:.1f}"
    return f"{form.format(low * 100)} to {form.format(high * 100)}"


def hundredth(value: float | None) -> float | None:
    """A fraction in percent with one decimal, as a number that sorts."""
    return None if value is None else round(value * 100, 1)


def _link(row: Row) -> str:
    """A link to the Inspect page; ids of another form, which no run has, get none."""
    return f"[Inspect](./inspect?run={row['run']})" if RUN_ID.match(row["run"]) and row["selector"] != UNTRAINED else ""


def _n(row: Row) -> str:
    clusters = row.get("n_clusters")
    return str(row["n_problems"]) if clusters is None else f"{row['n_problems']} in {clusters} clusters"


WHOLE = ("seed", "seeds", "trained tokens", "seconds")
_MEASURED = (
    Column("benchmark", "str", lambda row: row["benchmark"]),
    Column("metric", "str", lambda row: row["metric"]),
    Column("score", "number", lambda row: hundredth(row["score"])),
    Column("95 % interval", "str", lambda row: interval(row["ci_low"], row["ci_high"])),
    Column("n", "str", _n),
)
_SHARES = (
    Column("truncated %", "number", lambda row: hundredth(row["truncated"])),
    Column("no answer %", "number", lambda row: hundredth(row["no_answer"])),
    Column("timed out %", "number", lambda row: hundredth(row["timed_out"])),
    Column("trained tokens", "number", lambda row: round(row["train_tokens"])),
    Column("seconds", "number", lambda row: round(row["seconds"])),
)
_GAIN = (
    Column("gain", "number", lambda row: hundredth(row["gain"])),
    Column("gain, 95 %", "str", lambda row: interval(row["gain_ci_low"], row["gain_ci_high"], signed=True)),
)

RUNS = (
    Column("run", "str", lambda row: row["run"] if row["selector"] != UNTRAINED else ""),
    Column("open", "markdown", _link),
    Column("selector", "str", lambda row: row["label"]),
    Column("seed", "number", lambda row: None if row["selector"] == UNTRAINED else row["seed"]),
    *_MEASURED,
    Column("against the best", "str", standing),
    *_GAIN,
    Column("against the untrained", "str", verdict),
    *_SHARES,
    Column("recipe", "str", lambda row: row["recipe"]),
)
"""The columns of single runs. The first is the run's id, by which a row is known whatever it is sorted by."""


def _spread(row: Row) -> str:
    scores = row["seed_scores"]
    if row["seed_sd"] is None:
        return "one seed"
    return f"{percent(min(scores))} to {percent(max(scores))}, SD {row['seed_sd'] * 100:.1f}"


def _random(row: Row) -> str:
    return finding(row["minus_random"], row["minus_random_ci_low"], row["minus_random_ci_high"], row["minus_random_p"])


ARMS = (
    Column("arm", "str", lambda row: ", ".join([row["label"], *(f"{k} {v}" for k, v in row["differs"].items())])),
    Column("seeds", "number", lambda row: len(row["seeds"])),
    *_MEASURED,
    Column("over seeds", "str", _spread),
    Column("against the best", "str", lambda row: row["standing"]),
    *_GAIN,
    Column(
        "against the untrained",
        "str",
        lambda row: finding(row["gain"], row["gain_ci_low"], row["gain_ci_high"], row["gain_p"]),
    ),
    Column("minus random", "number", lambda row: hundredth(row["minus_random"])),
    Column(
        "minus random, 95 %",
        "str",
        lambda row: interval(row["minus_random_ci_low"], row["minus_random_ci_high"], signed=True),
    ),
    Column("against random", "str", _random),
    *_SHARES,
    Column("recipe", "str", lambda row: row["recipe"]),
)
"""The columns of arms: seeds averaged problem by problem."""


def columns(every: Sequence[Column], rows: Sequence[Row]) -> list[Column]:
    """The columns without those of benchmark and metric where all rows have one, which the boxes above say."""
    same = {name for name in ("benchmark", "metric") if len({row[name] for row in rows}) == 1}
    return [column for column in every if column.name not in same]


def styled(rows: Sequence[Row], columns: Sequence[Column]) -> Any:
    """The table for `gr.Dataframe`, percent with one decimal; it sorts by the numbers themselves."""
    import pandas as pd

    given = table(rows, columns)
    names = [column.name for column in columns if column.kind == "number"]
    frame = pd.DataFrame(given["data"], columns=given["headers"])
    formats = {name: _whole if name in WHOLE else _decimal for name in names}
    return frame.style.format(formats)


def _whole(value: Any) -> str:
    return "" if value is None or value != value else f"{int(value):,}"


def _decimal(value: Any) -> str:
    return "" if value is None or value != value else f"{value:.1f}"


def table(rows: Sequence[Row], columns: Sequence[Column]) -> dict[str, Any]:
    """Heads and cells, as `gr.Dataframe` takes them."""
    return {
        "headers": [column.name for column in columns],
        "data": [[column.cell(row) for column in columns] for row in rows],
    }


def kinds(columns: Sequence[Column]) -> list[Literal["str", "number", "markdown"]]:
    """What the cells of each column are, as `gr.Dataframe` takes it."""
    return [column.kind for column in columns]


def as_csv(rows: Sequence[Row]) -> str:
    """Every field of the rows, a line a row, scores as fractions; no cell is one that a spreadsheet would compute."""
    out = io.StringIO()
    if not rows:
        return ""
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({name: _plain(value) for name, value in row.items()} for row in rows)
    return out.getvalue()


def _plain(value: Any) -> Any:
    if isinstance(value, list | dict):
        value = json.dumps(value, ensure_ascii=False)
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULAS) else value


def as_markdown(rows: Sequence[Row], columns: Sequence[Column]) -> str:
    """The table as it is shown, in Markdown, without the links into the page."""
    shown = [column for column in columns if column.kind != "markdown"]
    lines = [[column.name for column in shown], ["---"] * len(shown)]
    lines += [[_text(column.cell(row)) for column in shown] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _text(value: Cell) -> str:
    if value is None:
        return ""
    text = " ".join(str(value).split())
    for sign in "\\|`*_<>[]":
        text = text.replace(sign, f"\\{sign}")
    return text


def as_json(rows: Sequence[Row]) -> str:
    """The rows as `distill-app leaderboard --json` prints them."""
    return json.dumps(list(rows), ensure_ascii=False, indent=2) + "\n"
