"""Lists of runs and the details of one, read from the store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distill_app.store.runs import Run, all_runs, read_events


def summaries(root: Path) -> list[dict[str, Any]]:
    """`{run, recipe, label, selector, selector_label, seed, state, started, seconds, damage}` for every run.

    Oldest first. `started` is seconds since 1970 of the first event, `seconds` the time spent in finished stages,
    `damage` what is wrong with the run's files.
    """
    return [summary(run) for run in all_runs(root)]


def summary(run: Run) -> dict[str, Any]:
    """The line of one run."""
    lock, result, lines = run.lock_record(), run.result(), run.events()
    events = [event for event in lines if event is not None]
    return {
        "run": run.id,
        "recipe": lock.get("recipe"),
        "label": lock.get("label"),
        "selector": lock.get("selector"),
        "selector_label": _selector_label(result, lock.get("selector")),
        "seed": lock.get("seed"),
        "state": run.state(result),
        "started": events[0]["time"] if events else None,
        "seconds": round(sum(e["seconds"] for e in events if e["type"] == "stage_finished"), 1),
        "damage": run.damage(result, lines),
    }


def _selector_label(result: dict[str, Any] | None, selector: str | None) -> str | None:
    """What a person reads of the run's selector; whether it is dynamic is known once the run has finished."""
    from distill_app.reports import selections

    if selector is None:
        return None
    found: str = (result or {}).get("label") or selections.label_of(selector)
    return found


def details(run: Run) -> dict[str, Any]:
    """The run's summary, what each stage came to, its result (None before the end) and where its files lie."""
    last: dict[str, dict[str, Any]] = {}
    failure = None
    for event in read_events(run.events_path):
        kind = event["type"]
        if kind in ("stage_started", "stage_cached", "stage_finished"):
            seconds = event.get("seconds") or last.get(event["stage"], {}).get("seconds")
            last[event["stage"]] = {
                "state": kind.removeprefix("stage_"),
                "rows": event.get("rows"),
                "tokens": event.get("tokens"),
                "counts": event.get("counts"),
                "seconds": seconds,
            }
        if kind == "run_started":
            failure = None
        if kind == "run_failed":
            failure = f"{event['message']} {event['hint']}".strip()
    stages = [
        {"name": stage["name"], "fingerprint": stage["fingerprint"], **last.get(stage["name"], {"state": "to_run"})}
        for stage in run.lock_record().get("stages", [])
    ]
    return {
        **summary(run),
        "failure": failure,
        "stages": stages,
        "result": run.result(),
        "folder": str(run.folder),
    }


def as_text(found: list[dict[str, Any]]) -> str:
    """A table of runs for the terminal."""
    if not found:
        return "No runs yet. Start one: distill-app run quickstart"
    width = max(len("selector"), *(len(entry["selector_label"] or "?") for entry in found))
    lines = [f"{'run':<22}  {'state':<11}  {'selector':<{width}} {'seed':>5}  {'work':>8}  recipe"]
    for entry in found:
        label = f" ({entry['label']})" if entry["label"] else ""
        selector = entry["selector_label"] or "?"
        lines.append(
            f"{entry['run']:<22}  {entry['state']:<11}  {selector:<{width}} {entry['seed']!s:>5}  "
            f"{entry['seconds']:>6.0f} s  {entry['recipe'] or '?'}{label}"
        )
    lines += [f"Run {entry['run']}: {sentence}" for entry in found for sentence in entry["damage"]]
    return "\n".join(lines)


def details_as_text(found: dict[str, Any]) -> str:
    """One run for the terminal."""
    from distill_app.reports import leaderboard

    lines = [as_text([found]), ""]
    for stage in found["stages"]:
        seconds = f"{stage['seconds']:.1f} s" if stage.get("seconds") else ""
        counts = ", ".join(f"{name} {count}" for name, count in (stage.get("counts") or {}).items())
        lines.append(f"  {stage['name']:<34} {stage['state']:<9} {seconds:>9}  {counts}")
    if found["failure"]:
        lines += ["", found["failure"]]
    if found["result"]:
        lines += ["", leaderboard.as_text(leaderboard.rows([found["result"]])).rstrip()]
    lines += ["", f"Files: {found['folder']}"]
    return "\n".join(lines)
