"""In the browser, for everybody: axe's findings, a phone's width, light and dark, no mouse, and markup that stays text.

One app on a workspace with two finished runs, in which recipe, question, trace, teacher and answers hold markup.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from distill_app.store import runs
from tests.recipes import small
from tests.ui import looked_into
from tests.ui.conftest import PATIENCE_SECONDS, App, launched
from tests.ui.looked_into import MARKUP, LookedInto

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Locator, Page

SERIOUS = ("serious", "critical")
LONG = {"epochs: 2": "epochs: 400"}
"""Of the small recipe: a run that is stopped before it ends."""


@pytest.fixture(scope="module")
def shown(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[App, LookedInto]]:
    from playwright.sync_api import expect

    assert browser.is_connected()
    made = looked_into.write(tmp_path_factory.mktemp("access") / "workspace")
    expect.set_options(timeout=PATIENCE_SECONDS * 1000)
    with launched(made.root) as app:
        yield app, made


def _views(made: LookedInto) -> dict[str, tuple[str, str]]:
    """Address -> what is there once the page is live, and what then shows `MARKUP`."""
    run = made.whole.id
    return {
        f"runs?run={run}": ("#run-headline .pill", "#runs-list"),
        f"results?runs={run},{made.other.id}": ("#results-forest .main-svg", "#results-compared"),
        f"inspect?run={made.other.id}": ("#inspect-headline p", ""),
        f"inspect?run={run}&row=p1/r1": ("#inspect-trace h2", "#inspect-trace"),
        f"inspect?run={run}&problem=p1": ("#inspect-trained h3", "#inspect-trained"),
        f"inspect?run={run}": ("#inspect-spread .main-svg", ""),
    }


def _findings(page: Page) -> list[str]:
    """What axe finds serious or critical outside the code editor, whose colours and roles are CodeMirror's."""
    from axe_core_python.sync_playwright import Axe

    found: dict[str, Any] = Axe().run(
        page, context={"exclude": [["#recipe-text .codemirror-wrapper"]]}, options={"resultTypes": ["violations"]}
    )
    return [
        f"{one['id']}: {node['html'][:160]} {node['failureSummary']}"
        for one in found["violations"]
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]


@pytest.mark.parametrize(("dark", "width"), [(False, 1280), (True, 390)])
def test_every_page_for_everybody(
    shown: tuple[App, LookedInto], new_page: Callable[..., Page], *, dark: bool, width: int
) -> None:
    from playwright.sync_api import expect

    app, made = shown
    page = new_page(width=width, dark=dark)

    def look(where: str) -> None:
        assert page.evaluate("document.body.classList.contains('dark')") is dark
        assert page.evaluate("document.documentElement.scrollWidth") == width, where
        assert _findings(page) == [], where
        assert page.locator("img[src=x], #inspect-trace a").count() == 0, where
        assert page.title() == "distill-app", where

    for address, (ready, marked) in _views(made).items():
        page.goto(f"{app.url}/{address}")
        page.locator(ready).first.wait_for()
        if marked:
            expect(page.locator(marked)).to_contain_text(MARKUP)
        look(address)
    if width > 1000:  # else the tabs are in a menu
        for tab, ready in (("Skills", "#inspect-skills .main-svg"), ("Epochs", "#inspect-flows .main-svg")):
            page.get_by_role("tab", name=tab).click()
            page.locator(ready).first.wait_for()
            look(tab)
    page.goto(app.url)
    page.locator("#plan-sum").wait_for()
    for section in ("general", "selector", "teacher", "evaluation"):
        page.locator(f"#s-{section} > button").click()
    page.locator("#f-name textarea").fill(MARKUP)
    expect(page.locator("#recipe-problems button.goto")).to_have_count(1)
    expect(page.locator("#recipe-problems")).to_contain_text("<img src=x")
    look("Recipes")


def _tab_to(page: Page, wanted: Locator, most: int = 60) -> None:
    """Press Tab until `wanted` has the focus, leaving the code editor as its label says."""
    for _ in range(most):
        if wanted.count() and wanted.first.evaluate("one => one === document.activeElement"):
            return
        if page.evaluate("document.activeElement.closest('.cm-editor') !== null"):
            page.keyboard.press("Escape")
        page.keyboard.press("Tab")
    pytest.fail(f"Tab never came to {wanted}; it is at {page.evaluate('document.activeElement.outerHTML')[:200]}")


def test_a_recipe_is_opened_run_and_stopped_without_a_mouse(
    shown: tuple[App, LookedInto], page: Page, tiny_folder: Path
) -> None:
    from playwright.sync_api import expect

    app, made = shown
    (made.root / "recipes").mkdir(exist_ok=True)
    text = small(made.root / "recipes", tiny_folder, **LONG).read_text(encoding="utf-8")
    page.goto(app.url)
    expect(page.locator("#recipe-run")).to_be_enabled()
    _tab_to(page, page.locator("#recipe input"))
    page.keyboard.type("small")
    page.keyboard.press("Enter")
    expect(page.locator("#recipe-text .cm-line", has_text="name: small")).to_have_count(1)
    expect(page.locator("#recipe-run")).to_be_enabled()
    _tab_to(page, page.locator("#recipe-run"))
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/runs\?job=1$"))
    expect(page.locator("#run-headline .pill")).to_have_text("running")
    expect(page.locator("#run-stages li").first).to_be_visible()
    (run,) = [run for run in runs.all_runs(made.root) if run.state() == "running"]
    assert (run.folder / "recipe.yaml").read_text(encoding="utf-8") == text  # Tab wrote nothing into it
    _tab_to(page, page.locator("#run-stop"))
    page.keyboard.press("Enter")
    expect(page.locator("#run-headline .pill")).to_have_text("interrupted")
    assert run.state() == "interrupted"


def test_runs_are_compared_and_a_row_is_opened_without_a_mouse(shown: tuple[App, LookedInto], page: Page) -> None:
    from playwright.sync_api import expect

    app, made = shown
    page.goto(f"{app.url}/results")
    expect(page.locator("#results-forest .main-svg").first).to_be_visible()
    _tab_to(page, page.locator("#results-ticked input"))
    for run in (made.whole, made.other):
        page.keyboard.type(run.id)
        page.keyboard.press("Enter")
        expect(page.locator("#results-ticked")).to_contain_text(run.id)
    expect(page.locator("#results-compared")).to_contain_text("+31.2")
    page.keyboard.press("Escape")

    page.goto(f"{app.url}/inspect?run={made.whole.id}")
    expect(page.locator("#inspect-spread .main-svg").first).to_be_visible()
    _tab_to(page, page.locator("#inspect-open input"))
    page.keyboard.type("p2")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("row="))
    expect(page.locator("#inspect-trace h2").first).to_be_visible()
