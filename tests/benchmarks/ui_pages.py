"""How soon each page can be used, and what an open one costs, with 200 finished runs and a pool of 100,000 rows.

    python -m tests.benchmarks.ui_pages [--runs 200] [--rows 100000] [--idle 30] [--workspace FOLDER]

The real server in a process of its own, and Debian's chromium, headless and without a GPU, on the same machine. A visit
lasts from asking for the address to the page's answer to a click, after its main content has been seen. "cold" is the
first visit after the server has begun to answer, with an empty browser cache; "warm" the ones after it, each in a new
browser context; "again" a reload, with what the browser has kept. Seconds of server and browser are of CPU: where
other work shares the machine, they say more than those of the clock. Percents are of one core. FOLDER keeps what was
written for the next time; without it all is written anew, which takes minutes.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil
from playwright.sync_api import Browser, Page, expect, sync_playwright

from distill_app.store import runs
from distill_app.store.files import locked
from distill_app.store.runs import Run
from distill_app.ui import pool as ui_pool
from tests.benchmarks import many_runs
from tests.ui.conftest import CHROMIUM, FLAGS, App, launched

GOAL_SECONDS, GOAL_PERCENT = 2.0, 2.0
WARM = 3
TABS = 10
SETTLE_SECONDS = 15
"""After which the server has made what it makes in the background."""


class Visit(NamedTuple):
    """One page: what must be seen, and a click whose answer must be."""

    name: str
    address: str
    seen: Callable[[Page], None]
    answered: Callable[[Page], None]


class Cost(NamedTuple):
    """A visit's seconds until the content was seen and until the click was answered; CPU seconds; bytes sent."""

    seen: float
    usable: float
    server: float
    browser: float
    sent: int


def visits(newest: Run) -> list[Visit]:
    """Each page, and those of its parts that read most."""

    def recipes(page: Page) -> None:
        expect(page.locator("#recipe-run")).to_be_enabled()
        expect(page.locator("#recipe-plan-table table")).to_be_visible()

    def fold(page: Page) -> None:
        page.locator("#recipe-plan button.label-wrap").click()
        expect(page.locator("#recipe-plan-table")).to_be_hidden()

    def listed(page: Page) -> None:
        expect(page.locator("#run-headline .pill")).to_be_visible()
        expect(page.locator("#run-loss .main-svg").first).to_be_visible()
        expect(page.locator("#runs-list tbody tr").first).to_be_visible()

    def unfold(page: Page) -> None:
        page.get_by_role("button", name="Environment").click()
        expect(page.locator("#run-environment")).to_contain_text("3.11.9")

    def board(page: Page) -> None:
        expect(page.locator("#results-runs .virtual-body [data-testid='cell-1-0']")).to_be_visible()
        expect(page.locator("#results-forest .main-svg").first).to_be_visible()

    def tick(page: Page) -> None:
        page.locator("#results-runs .virtual-body [data-testid='cell-1-2']").click()
        page.wait_for_url(lambda url: "runs=" in url)

    def pool(page: Page) -> None:
        expect(page.locator("#inspect-headline")).to_contain_text("rows in the pool")
        expect(page.locator("#inspect-scatter .main-svg").first).to_be_visible()
        expect(page.locator("#inspect-spread .main-svg").first).to_be_visible()

    def row(page: Page) -> None:
        page.get_by_role("tab", name="Row").click()
        expect(page.locator("#inspect-facts")).to_contain_text("kept: 1 of")

    def row_first(page: Page) -> None:
        expect(page.locator("#inspect-facts")).to_contain_text("kept: 1 of")

    def after(page: Page) -> None:
        page.locator("#inspect-after").click()
        expect(page.locator("#inspect-facts")).to_contain_text("kept: 2 of")

    def asked(page: Page) -> None:
        expect(page.locator("#inspect-trained")).to_contain_text("answer")

    def number(page: Page) -> None:
        page.get_by_label("Answer number").click()
        page.get_by_role("option").nth(2).click()
        expect(page.get_by_label("Answer number")).to_have_value(re.compile("^3: "))

    shown = f"/inspect?run={newest.id}"
    (best, _) = ui_pool.of_run(newest.folder.parents[1], newest).first(1)
    return [
        Visit("Recipes", "/", recipes, fold),
        Visit("Runs", "/runs", listed, unfold),
        Visit("Leaderboard", "/results", board, tick),
        Visit("Inspect", "/inspect", pool, row),
        Visit("Inspect, a row", f"{shown}&row={best}", row_first, after),
        Visit("Inspect, an answer", f"{shown}&benchmark=gsm8k&problem=gsm8k-0700", asked, number),
    ]


@contextmanager
def tab(browser: Browser) -> Iterator[Page]:
    """A tab with an empty cache."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    try:
        yield page
    finally:
        context.close()


def visit(page: Page, app: App, one: Visit) -> Cost:
    """Open a page and use it."""
    sent = 0

    def arrived(event: dict[str, float]) -> None:
        nonlocal sent
        sent += int(event["encodedDataLength"])

    watch = page.context.new_cdp_session(page)
    watch.send("Network.enable")
    watch.on("Network.loadingFinished", arrived)
    before, own, began = server_seconds(app), browser_seconds(), time.perf_counter()
    page.goto(app.url + one.address, wait_until="commit")
    one.seen(page)
    seen = time.perf_counter() - began
    one.answered(page)
    usable = time.perf_counter() - began
    cost = Cost(seen, usable, server_seconds(app) - before, browser_seconds() - own, sent)
    watch.detach()
    return cost


def server_seconds(app: App) -> float:
    """CPU seconds the server has used."""
    assert app.process is not None
    return spent([psutil.Process(app.process.pid)])


def browser_seconds() -> float:
    """CPU seconds of every process of this program's browser."""
    return spent([one for one in psutil.Process().children(recursive=True) if "chrom" in one.name()])


def spent(processes: list[psutil.Process]) -> float:
    total = 0.0
    for one in processes:
        try:
            used = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += used.user + used.system
    return total


def speed(browser: Browser, root: Path, newest: Run) -> None:
    """Each page after a fresh start, then warm, then reloaded."""
    print(f"\n{'page':<20}{'':<7}{'seen s':>8}{'usable s':>10}{'server s':>10}{'browser s':>11}{'sent kB':>9}")
    for one in visits(newest):
        with launched(root) as app:
            with tab(browser) as page:
                show(one, "cold", visit(page, app, one))
            warm = []
            for _ in range(WARM):
                with tab(browser) as page:
                    warm.append(visit(page, app, one))
            show(one, "warm", Cost(*(statistics.median(values) for values in zip(*warm, strict=True))))
            with tab(browser) as page:
                visit(page, app, one)
                show(one, "again", visit(page, app, one))


def show(one: Visit, how: str, cost: Cost) -> None:
    late = "  over the goal" if cost.usable > GOAL_SECONDS else ""
    clock = f"{cost.seen:8.2f}{cost.usable:10.2f}"
    used = f"{cost.server:10.2f}{cost.browser:11.2f}{cost.sent / 1000:9.0f}"
    print(f"{one.name:<20}{how:<7}{clock}{used}{late}", flush=True)


def idle(browser: Browser, root: Path, newest: Run, seconds: float) -> None:
    """What open pages cost that nobody touches, and whether ten at once are live."""
    print(f"\n{'open, untouched':<44}{'server %':>9}{'browser %':>10}")
    with launched(root) as app:
        time.sleep(SETTLE_SECONDS)
        nothing = measure(app, "no page", seconds, None)
        for one in visits(newest)[:4]:
            with tab(browser) as page:
                page.goto(app.url + one.address)
                one.seen(page)
                measure(app, f"{one.name}, nothing at work", seconds, nothing)
        run = many_runs.live(root)
        with at_work(run):
            context = browser.new_context(reduced_motion="reduce")
            pages = [context.new_page()]
            open_live(app, run, pages[0])
            measure(app, "Runs, a run at work, a loss a second", seconds, nothing)
            pages[0].goto(f"{app.url}/runs?run={newest.id}")
            expect(pages[0].locator("#run-headline .pill")).to_have_text("finished")
            measure(app, "Runs, a finished run while another is at work", seconds, nothing)
            open_live(app, run, pages[0])
            began = time.perf_counter()
            for _ in range(TABS - 1):
                pages.append(context.new_page())
                open_live(app, run, pages[-1])
            opened = time.perf_counter() - began
            total = measure(app, f"{TABS} tabs of it", seconds, nothing)
            live(run, pages)
            print(f"each of {TABS - 1} more tabs opened in {opened / (TABS - 1):.2f} s; a tab costs the server "
                  f"{(total - nothing) / TABS:.2f} %")  # fmt: skip
            context.close()


def open_live(app: App, run: Run, page: Page) -> None:
    page.goto(f"{app.url}/runs?run={run.id}")
    expect(page.locator("#run-headline .pill")).to_have_text("running")
    expect(page.locator("#run-stages")).to_be_visible()


def live(run: Run, pages: list[Page]) -> None:
    """A change on disk must show in every tab; how long each took."""
    log, began = runs.EventLog(run.events_path), time.perf_counter()
    log.append({"type": "log", "stage": "train", "message": "seen by all"})
    log.close()
    delays = []
    for page in pages:
        expect(page.locator("#run-events")).to_contain_text("seen by all")
        delays.append(time.perf_counter() - began)
    print(f"a change on disk was in {len(delays)} of {len(pages)} tabs after {max(delays):.2f} s")


def measure(app: App, what: str, seconds: float, without: float | None) -> float:
    """The server's and the browser's share of a core over some seconds; `without` is the server's with no page open."""
    time.sleep(3)
    server, browsers, began = server_seconds(app), browser_seconds(), time.perf_counter()
    time.sleep(seconds)
    passed = time.perf_counter() - began
    share = 100 * (server_seconds(app) - server) / passed
    own = 100 * (browser_seconds() - browsers) / passed
    page = 0.0 if without is None else share - without
    late = "  over the goal" if page > GOAL_PERCENT and not what.startswith(str(TABS)) else ""
    print(f"{what:<44}{share:9.2f}{own:10.2f}{late}", flush=True)
    return share


@contextmanager
def at_work(run: Run) -> Iterator[None]:
    """The run is at work, as the server sees it: its lock is held here, and it reports a loss each second."""
    over = threading.Event()

    def report() -> None:
        step = 1
        while not over.wait(1.0):
            log = runs.EventLog(run.events_path)
            done = {"done": step, "total": many_runs.STEPS, "unit": "steps"}
            log.append({"type": "progress", "stage": "train", **done})
            log.append(many_runs.loss(step))
            log.close()
            step += 1

    with locked(run.lock_path):
        thread = threading.Thread(target=report)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def written(folder: Path, count: int, size: int) -> Run:
    """The workspace in `folder`, written unless it is there."""
    if (folder / "written").exists():
        finished = [run for run in runs.all_runs(folder) if (run.folder / "result.json").exists()]
        return finished[-1]
    began = time.perf_counter()
    newest = many_runs.write(folder, count, size)
    (folder / "written").touch()
    print(f"{count} runs and {size:,} rows written in {time.perf_counter() - began:.0f} s")
    return newest


def main() -> None:
    """Print what was measured."""
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--runs", type=int, default=200)
    given.add_argument("--rows", type=int, default=100_000)
    given.add_argument("--idle", type=float, default=30.0, help="seconds each")
    given.add_argument("--only", choices=("speed", "idle"))
    given.add_argument("--workspace", type=Path)
    options = given.parse_args()
    expect.set_options(timeout=60_000)
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        root = options.workspace or Path(scratch) / "workspace"
        newest = written(root, options.runs, options.rows)
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} when it began")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        if options.only != "idle":
            speed(browser, root, newest)
        if options.only != "speed":
            idle(browser, root, newest, options.idle)
        browser.close()


if __name__ == "__main__":
    main()
