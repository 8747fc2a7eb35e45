"""The Runs page in a browser: a run started from the page, followed live through a reload and a restart, finished."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill_app.store import runs
from tests.recipes import small
from tests.ui.conftest import PATIENCE_SECONDS, App, Launch

if TYPE_CHECKING:
    from playwright.sync_api import Page

PATIENCE = PATIENCE_SECONDS * 1000
RUN = "20260101-000000-00000a"
FEW = {"name: quality": "name: random", "epochs: 2": "epochs: 1", "limit: 6": "limit: 2"}
"""Of the small recipe: fewer stages, steps and samples."""
MARKUP = "<img src=x onerror=\"document.title='harmed'\">"


def dynamic_run(root: Path, **lock: Any) -> None:
    """A run of three epochs in the store, as if it had been interrupted in its last: six losses, three selections."""
    folder = root / "runs" / RUN
    folder.mkdir(parents=True)
    record = {"plan": "0" * 16, "recipe": "by-hand", "label": "", "selector": "dmc", "seed": 5, "python": "3.11.9"}
    (folder / "lock.json").write_text(json.dumps({**record, **lock}))
    (folder / "out.log").write_text(f"a model said {MARKUP}\n")
    log = runs.EventLog(folder / "events.jsonl")
    log.append({"type": "run_started", "run": RUN, "stages": ["select", "train", "report"]})
    log.append({"type": "stage_cached", "stage": "select", "rows": 8, "tokens": None, "counts": {"selected": 8}})
    log.append({"type": "stage_started", "stage": "train", "resumed": False})
    for epoch, (capability, overlap) in enumerate(((0.125, None), (0.25, 0.5), (0.5, 0.75))):
        chosen = {"epoch": epoch, "rows": 8, "scored": 8, "capability": capability, "overlap": overlap, "seconds": 1.0}
        log.append({"type": "selection", "stage": "train", **chosen, "warnings": []})
        for step in (2 * epoch + 1, 2 * epoch + 2):
            loss = {"step": step, "steps": 6, "epoch": step / 2, "loss": 4.0 - step / 2}
            log.append({"type": "loss", "stage": "train", **loss, "learning_rate": 0.1, "grad_norm": 1.0})
    log.append({"type": "log", "stage": "train", "message": MARKUP})
    log.append({"type": "run_interrupted", "run": RUN})
    log.close()


def test_the_first_visit_starts_the_quickstart(app: App, page: Page) -> None:
    from playwright.sync_api import expect

    expect.set_options(timeout=PATIENCE)
    page.goto(f"{app.url}/runs")
    expect(page.locator("#runs-list")).to_contain_text("No runs yet.")
    page.locator("#first-run").click()
    page.wait_for_url(re.compile(r"/runs\?job=1$"))
    headline = page.locator("#run-headline")
    expect(headline).to_contain_text("quickstart")
    expect(page.locator("#first-run")).to_be_hidden()
    expect(page.locator("#run-stages li").first).to_be_visible()
    page.locator("#run-stop").click()
    expect(headline.locator(".pill")).to_have_text("interrupted")


def test_followed_live_through_reload_and_restart(app: App, page: Page, tiny_folder: Path) -> None:
    from playwright.sync_api import expect

    expect.set_options(timeout=PATIENCE)
    (app.workspace / "recipes").mkdir(parents=True, exist_ok=True)
    small(app.workspace / "recipes", tiny_folder, **FEW)
    page.goto(f"{app.url}/?recipe=small")
    expect(page.locator("#recipe-run")).to_be_enabled()
    page.locator("#recipe-run").dblclick()
    page.wait_for_url(re.compile(r"/runs\?job=2$"))
    headline, stages = page.locator("#run-headline"), page.locator("#run-stages li")
    expect(headline.locator(".pill")).to_have_text("running")
    expect(stages.filter(has_text="generate[worked/chain_of_thought]")).to_contain_text("finished")
    page.reload()
    expect(headline.locator(".pill")).to_have_text("running")
    expect(page.locator("#run-stop")).to_be_visible()

    page.locator("#run-stop").click()
    expect(headline.locator(".pill")).to_have_text("interrupted")
    _, run = runs.all_runs(app.workspace)
    assert run.state() == "interrupted"
    page.locator("#run-resume").click()
    expect(headline.locator(".pill")).to_have_text(re.compile("queued|running"))

    app.restart()  # the page is left open, and goes on when the server is there again
    expect(stages.filter(has_text=re.compile("^train ")).locator(".what")).to_have_text(re.compile("finished"))
    expect(page.locator("#run-loss .js-plotly-plot")).to_be_visible()
    expect(headline.locator(".pill")).to_have_text("finished")
    expect(headline).to_contain_text(run.id)
    expect(page.locator("#run-stop")).to_be_hidden()
    expect(page.locator("#run-resume")).to_be_hidden()
    expect(page.locator("#runs-list tbody tr")).to_have_count(2)

    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(2500)
    assert [url for url in asked if "/run/" in url or "/queue/" in url] == []  # over: the page asks no more

    headline.get_by_role("link", name="Leaderboard").click()
    cell = "#results-runs .virtual-body [data-testid='cell-1-{}']"  # line 0 is the untrained student
    expect(page.locator(cell.format(0))).to_have_text(run.id)
    with page.expect_popup() as opened:
        page.locator(cell.format(1)).get_by_role("link").click()
    expect(opened.value.locator("#inspect-headline")).to_contain_text("recipe small: 48 rows in the pool")


def test_one_run_in_full(launch: Launch, new_page: Callable[..., Page], tmp_path: Path) -> None:
    from playwright.sync_api import expect

    expect.set_options(timeout=PATIENCE)
    root = tmp_path / "workspace"
    dynamic_run(root, recipe=MARKUP, label=MARKUP)
    app = launch(root)
    for dark in (False, True):
        page = new_page(width=390, dark=dark)
        page.goto(f"{app.url}/runs?run={RUN}")
        expect(page.locator("#run-headline .pill")).to_have_text("interrupted")
        expect(page.locator("#run-loss .js-plotly-plot")).to_be_visible()
        expect(page.locator("#run-selection .js-plotly-plot")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        expect(page.locator("#run-headline")).to_contain_text(MARKUP)  # as text, everywhere it comes up
        expect(page.locator("#runs-list")).to_contain_text(MARKUP)
        expect(page.locator("#run-events")).to_contain_text(MARKUP)
        assert page.evaluate("document.body.classList.contains('dark')") is dark
        assert page.title() == "distill-app"
    page.get_by_role("button", name="Numbers of each epoch").click()
    cells = page.locator("#run-epochs tbody tr").nth(2).locator("td")
    expect(cells).to_have_text(["3", "2", "1.2500", "8", "0.500", "0.750"])  # (4 - 5/2 + 4 - 6/2) / 2
    page.get_by_role("button", name="Output").click()
    expect(page.locator("#run-output")).to_contain_text(MARKUP)
    page.locator("#theme").click()
    page.wait_for_url(re.compile("__theme=light"))
    expect(page.locator("#run-headline .pill")).to_have_text("interrupted")
    assert page.evaluate("document.body.classList.contains('dark')") is False

    page.goto(f"{app.url}/runs?run=20260101-000000-ffffff")
    expect(page.locator("#run-headline")).to_contain_text("There is no such run in this workspace.")
    link = page.locator("#runs-list a")
    for _ in range(30):
        if link.evaluate("element => element === document.activeElement"):
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(rf"/runs\?run={RUN}"))
    expect(page.locator("#run-resume")).to_be_visible()
