"""Pictures of every page, light, dark and as on a phone, for somebody to look at.

    python -m tests.ui.screenshots FOLDER [--workspace DIR] [--only WORD]

They are taken of a copy of DIR, or of the small workspace that the tests of the pages use. A run of a tiny student is
started in the copy, so that one is seen at work; the built-in student's tokenizer is needed for that.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from distill_app.store import runs
from distill_app.students import builtin
from tests.recipes import small
from tests.tiny import tiny_student
from tests.ui import looked_into
from tests.ui.conftest import FLAGS, chromium, launched

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WIDE, PHONE = (1280, 860), (390, 844)
PATIENCE = 120_000
SLOW = {"limit: 48": "limit: 400", "top: 12": "top: 200", "epochs: 2": "epochs: 20", "limit: 6": "limit: 2"}
"""Of the small recipe: long enough at training to be looked at."""


class Shot(NamedTuple):
    """One picture: its name, the page's address, what must be there before it is taken, and what is pressed before.

    `whole`: down to the page's end, else what a window shows. Addresses may hold what `_names` knows.
    """

    name: str
    address: str
    ready: str
    size: tuple[int, int] = WIDE
    dark: bool = False
    press: Callable[[Page], None] | None = None
    whole: bool = True


def _tab(name: str, ready: str) -> Callable[[Page], None]:
    def press(page: Page) -> None:
        tab = page.get_by_role("tab", name=name)
        if not tab.is_visible():  # on a phone the last ones are in a menu
            page.locator("#inspect-tabs .overflow-menu > button").click()
            tab = page.locator("#inspect-tabs .overflow-dropdown button", has_text=name)
        tab.click()
        page.locator(ready).first.wait_for()

    return press


def _spoil(page: Page) -> None:
    """Two mistakes in the text."""
    for found, typed in (("epochs: ", "0x"), ("version: 1", "\nepoch: 2")):
        page.locator("#recipe-text .cm-line", has_text=found).first.click()
        page.keyboard.press("End")
        page.keyboard.type(typed)
    page.locator("#recipe-problems button.goto").nth(1).wait_for()
    page.evaluate("scrollTo(0, 0)")


def _open_sections(page: Page) -> None:
    for name in ("selector", "training"):
        page.locator(f"#s-{name} > button").click()
    page.locator("#f-training-batch_size").wait_for()
    page.locator("#s-selector").scroll_into_view_if_needed()


LIVE = "#run-loss .js-plotly-plot"
FOREST, POINTS = "#results-forest .main-svg", "#inspect-spread .main-svg"
PLAN, TEXT = "#recipe-plan-table #plan-sum", "#inspect-trace h2"
SHOTS = (
    Shot("runs-live", "runs", LIVE, whole=False),
    Shot("runs-live-dark", "runs", LIVE, dark=True),
    Shot("runs-live-phone", "runs", LIVE, PHONE),
    Shot("runs-finished", "runs?run={run}", LIVE),
    Shot("recipes", "", PLAN, whole=False),
    Shot("recipes-whole", "", PLAN),
    Shot("recipes-dark", "", PLAN, dark=True, whole=False),
    Shot("recipes-phone", "", PLAN, PHONE),
    Shot("recipes-matrix", "?recipe=selectors", PLAN, whole=False),
    Shot("recipes-problems", "", PLAN, press=_spoil, whole=False),
    Shot("recipes-form", "", PLAN, press=_open_sections),
    Shot("recipes-form-phone", "", PLAN, PHONE, dark=True, press=_open_sections),
    Shot("leaderboard", "results", FOREST),
    Shot("leaderboard-window", "results", FOREST, (1280, 1150), whole=False),
    Shot("leaderboard-dark", "results", FOREST, dark=True),
    Shot("leaderboard-phone", "results", FOREST, PHONE),
    Shot("leaderboard-compared", "results?runs={run},{other}", "#results-compared table"),
    Shot("leaderboard-compared-phone", "results?runs={run},{other}", "#results-compared table", PHONE, dark=True),
    Shot("inspect-pool", "inspect?run={run}", POINTS),
    Shot("inspect-pool-dark", "inspect?run={run}", POINTS, dark=True),
    Shot("inspect-pool-phone", "inspect?run={run}", POINTS, PHONE),
    Shot("inspect-skills", "inspect?run={newest}", POINTS, press=_tab("Skills", "#inspect-skills-said p")),
    Shot("inspect-epochs", "inspect?run={run}", POINTS, press=_tab("Epochs", "#inspect-epochs p"), dark=True),
    Shot("inspect-row", "inspect?run={run}", POINTS, press=_tab("Row", TEXT)),
    Shot("inspect-row-phone", "inspect?run={run}", POINTS, PHONE, dark=True, press=_tab("Row", TEXT)),
    Shot("inspect-answers", "inspect?run={run}", POINTS, press=_tab("Answers", "#inspect-trained h3")),
    Shot("inspect-answers-dark", "inspect?run={run}", POINTS, dark=True, press=_tab("Answers", "#inspect-trained h3")),
    Shot("inspect-answers-phone", "inspect?run={run}", POINTS, PHONE, press=_tab("Answers", "#inspect-trained h3")),
)
FIRST = (Shot("first-visit", "", "#first-run"), Shot("first-visit-phone", "runs", "#first-run", PHONE))


def main(arguments: list[str]) -> None:
    """Make the pictures; says where each of them lies."""
    parser = argparse.ArgumentParser(prog="python -m tests.ui.screenshots", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--only", default="", help="only pictures whose name has this word")
    given = parser.parse_args(arguments)
    given.folder.mkdir(parents=True, exist_ok=True)
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        root = Path(scratch) / "workspace"
        if given.workspace:
            shutil.copytree(given.workspace, root, ignore=shutil.ignore_patterns("jobs", "uploads"))
        else:
            looked_into.write(root)
        names = _names(root)
        _take(browser, given.folder, given.only, Path(scratch) / "empty", FIRST, names)
        _take(browser, given.folder, given.only, root, SHOTS, names)
        browser.close()


def _take(
    browser: Browser, folder: Path, only: str, root: Path, shots: tuple[Shot, ...], names: dict[str, str]
) -> None:
    wanted = [shot for shot in shots if only in shot.name]
    if not wanted:
        return
    with launched(root) as app:
        if any(shot.ready == LIVE for shot in wanted):
            _start(root)
        for shot in wanted:
            target = folder / f"{shot.name}.png"
            context = browser.new_context(
                viewport={"width": shot.size[0], "height": shot.size[1]},
                color_scheme="dark" if shot.dark else "light",
                reduced_motion="reduce",
            )
            page = context.new_page()
            page.set_default_timeout(PATIENCE)
            page.goto(f"{app.url}/{shot.address.format(**names)}")
            page.locator(shot.ready).first.wait_for()
            if shot.press:
                shot.press(page)
            page.wait_for_timeout(600)  # plotly draws once more when it knows its width
            page.screenshot(path=target, full_page=shot.whole)
            context.close()
            print(f"{target} ({target.stat().st_size // 1024} kB)", flush=True)


def _names(root: Path) -> dict[str, str]:
    """`newest`: the newest run with a pool and a result; `run`: the newest of them that selects anew before each epoch;
    `other`: the newest run beside it that selects once. The newest that is there stands in for one that is not."""
    reported = [run for run in runs.all_runs(root) if (run.folder / "result.json").exists()]
    whole = [run for run in reported if run.lock_record()["stages"]]
    run = [one for one in whole if _dynamic(one)][-1:] or whole[-1:]
    beside = [one for one in reported if one not in run]
    other = [one for one in beside if not _dynamic(one)][-1:] or beside[-1:]
    return {"newest": whole[-1].id, "run": run[0].id, "other": other[0].id}


def _dynamic(run: runs.Run) -> bool:
    return "dynamic" in str(run.lock_record().get("label"))


def _start(root: Path) -> None:
    """A run of a tiny student, at work while the pictures are taken; `launched` ends it."""
    from distill_app.ui import jobs

    beside = root.parent
    student = tiny_student(beside / "tiny", builtin.materialise("smollm2-135m-instruct", print))
    jobs.start(root, small(beside, student, **SLOW).read_text(encoding="utf-8"))


if __name__ == "__main__":
    main(sys.argv[1:])
