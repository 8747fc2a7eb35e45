"""The typed endpoints, asked by gradio_client as any program would."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.recipes import ROOT, small
from tests.reports.result_example import BASE, TRAINED, example
from tests.ui.conftest import PATIENCE_SECONDS, App

NAMES = {"validate", "plan", "start", "stop", "resume", "runs", "leaderboard", "compare"}
IDS = ("20260101-000000-00000a", "20260101-000001-00000b")


@pytest.fixture(scope="module")
def ask(app: App) -> Callable[..., Any]:
    """`ask(name, ...)`: one call of an endpoint. The workspace holds two finished runs."""
    from gradio_client import Client

    for name, trained, selector in ((IDS[0], TRAINED, "quality"), (IDS[1], BASE, "random")):
        folder = app.workspace / "runs" / name
        folder.mkdir(parents=True)
        result = example(name, trained=trained, selector=selector, arm=selector)
        (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")
    client = Client(app.url, verbose=False)
    described: dict[str, Any] = client.view_api(return_format="dict", print_info=False)
    assert set(described["named_endpoints"]) == {f"/{name}" for name in NAMES}  # the page's own are nobody's business

    def call(name: str, *arguments: Any) -> Any:
        return client.predict(*arguments, api_name=f"/{name}")

    return call


def test_validate(ask: Callable[..., Any]) -> None:
    assert ask("validate", "quickstart", []) == []
    text = (ROOT / "recipes" / "quickstart.yaml").read_text()
    wrong = text.replace("\nselector:\n  name:", "\nselektor:\n  name:")
    assert wrong != text
    line = wrong[: wrong.index("selektor")].count("\n") + 1
    (found,) = (fault for fault in ask("validate", wrong, []) if fault["key"] == "selektor")
    assert (found["file"], found["line"], found["column"]) == ("recipe", line, 1)
    assert "selector" in found["suggestion"]
    (fault,) = ask("validate", "quickstart", ["epochs=0"])
    assert fault["key"] == "epochs"


def test_plan(ask: Callable[..., Any]) -> None:
    stages = ask("plan", "quickstart", [])
    assert [stage["name"] for stage in stages][:1] == ["problems[pool]"]
    assert {"train", "report"} <= {stage["name"] for stage in stages}
    assert {stage["state"] for stage in stages} == {"to_run"}


def test_leaderboard_and_compare(ask: Callable[..., Any]) -> None:
    rows = [row for row in ask("leaderboard") if row["metric"] == "avg@4"]
    assert {(row["run"], row["score"]) for row in rows if row["selector"] != "untrained"} == {
        (IDS[0], 0.5625),  # 9 of 16 samples
        (IDS[1], 0.1875 + 0.0625),  # 4 of 16
    }
    found = ask("compare", ["00000a", "00000b"])
    (pair,) = found["pairs"]
    assert pair["difference"] == pytest.approx(0.3125)
    assert [one["selector"] for one in found["operands"]] == ["quality", "random"]


def test_faults_come_in_words(ask: Callable[..., Any]) -> None:
    from gradio_client.exceptions import AppError

    for call, said in (
        (("compare", ["00000a", "nothing"]), "There is no run 'nothing'"),
        (("plan", "/etc/passwd", []), "There is no ready-made recipe '/etc/passwd'"),
        (("stop", 99), "There is no job 99"),
        (("start", "quickstart", ["epochs=0"]), "epochs"),
        (("start", "quickstart", ["student.model=/etc"]), "/etc is outside the folders"),
        (("plan", "quickstart", ["skills.tree=/etc/passwd"]), "/etc/passwd is outside the folders"),
        (("compare", ["00000a", "/etc/passwd"]), "'/etc/passwd' is no run's id"),
        (("compare", ["00000a", "other.bundle"]), "'other.bundle' is no run's id"),
    ):
        with pytest.raises(AppError, match=said):
            ask(*call)


def test_start_stop_resume(ask: Callable[..., Any], tmp_path: Path, tiny_folder: Path) -> None:
    text = small(tmp_path, tiny_folder, **{"epochs: 2": "epochs: 400"}).read_text()
    job = ask("start", text, [])
    assert ask("start", text, [])["job"] == job["job"]
    waiting = ask("start", text, ["seed=1"])
    assert waiting["state"] == "waiting"
    assert [(run["state"], run["seed"]) for run in waiting["runs"]] == [("queued", 1)]
    states = [(run["run"] in IDS, run["state"]) for run in ask("runs")]
    assert states.count((True, "finished")) == 2
    ask("stop", waiting["job"])
    _until(ask, lambda runs: [run for run in runs if run["state"] == "running" and run["run"]])
    ask("stop", job["job"])
    (run,) = _until(ask, lambda runs: [run for run in runs if run["state"] == "interrupted" and run["run"]])
    again = ask("resume", run["run"])
    assert [found["run"] for found in again["runs"]] == [run["run"]]
    ask("stop", again["job"])


def _until(ask: Callable[..., Any], wanted: Callable[[list[dict[str, Any]]], Any]) -> Any:
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        if found := wanted(ask("runs")):
            return found
        assert time.monotonic() < until, ask("runs")
        time.sleep(0.2)
