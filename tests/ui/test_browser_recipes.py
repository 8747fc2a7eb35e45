"""The Recipes page in a browser: text and form in step, problems at their lines, nothing wrong can be run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from distill_app.recipe import bundled
from distill_app.ui import jobs
from tests.ui.conftest import PATIENCE_SECONDS, App

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

MS = PATIENCE_SECONDS * 1000


@pytest.fixture
def recipes(app: App, page: Page) -> Page:
    """The page with the quickstart in it, live."""
    return _opened(app, page)


def _opened(app: App, page: Page, query: str = "") -> Page:
    from playwright.sync_api import expect

    page.goto(f"{app.url}/{query}")
    expect(page.locator("#recipe-run")).to_be_enabled(timeout=MS)
    return page


def _line(page: Page, text: str) -> Locator:
    return page.locator("#recipe-text .cm-line", has_text=text).first


def _text(page: Page) -> str:
    """The editor's whole text, as it would be saved; the editor shows the lines in view alone."""
    with page.expect_download(timeout=MS) as download:
        page.locator("#recipe-download").click()
    return Path(download.value.path()).read_text(encoding="utf-8")


def _quickstart() -> str:
    path = bundled.find("quickstart")
    assert path is not None
    return path.read_text(encoding="utf-8")


def _section(page: Page, name: str) -> None:
    page.locator(f"#s-{name} > button").click()


def test_edits_by_form_and_by_text_leave_the_rest_alone(recipes: Page) -> None:
    from playwright.sync_api import expect

    page = recipes
    assert _text(page) == _quickstart()
    _section(page, "training")
    batch = page.locator("#f-training-batch_size input")
    expect(batch).to_have_value("8", timeout=MS)
    batch.fill("16")
    expect(_line(page, "batch_size")).to_have_text("  batch_size: 16", timeout=MS)
    _section(page, "general")
    description = page.locator("#f-description textarea")
    description.fill("")
    description.press_sequentially("Typed, key by key # not a comment", delay=15)
    expect(_line(page, "description")).to_contain_text("Typed, key by key # not a comment", timeout=MS)
    expect(description).to_have_value("Typed, key by key # not a comment")
    _line(page, "epochs: 3").click()
    page.keyboard.press("End")
    page.keyboard.type("0   # thirty")
    expect(page.locator("#f-epochs input")).to_have_value("30", timeout=MS)
    old = "A 135M student learns from the best eighth of 800 worked solutions, half of them flawed."
    wanted = (
        _quickstart()
        .replace("batch_size: 8", "batch_size: 16")
        .replace(old, '"Typed, key by key # not a comment"')
        .replace("epochs: 3", "epochs: 30   # thirty")
    )
    assert _text(page) == wanted


def test_options_appear_with_their_selector_and_what_is_cleared_goes(recipes: Page) -> None:
    from playwright.sync_api import expect

    page = recipes
    _section(page, "selector")
    expect(page.locator("#f-selector-preset")).to_have_count(0)
    page.locator("#f-selector-name input").click()
    page.get_by_role("option", name="dmc", exact=True).click()
    clip = page.locator("#f-selector-clip-of-dmc input")
    expect(clip).to_be_visible(timeout=MS)
    clip.fill("2.5")
    expect(_line(page, "clip:")).to_have_text("  clip: 2.5", timeout=MS)
    clip.fill("")
    expect(_line(page, "clip:")).to_have_count(0, timeout=MS)
    assert _text(page) == _quickstart().replace("  name: quality\n  top", "  name: dmc\n  top")


def test_a_wrong_recipe_cannot_run_and_says_why_at_its_line(recipes: Page, app: App) -> None:
    from playwright.sync_api import expect

    page = recipes
    _line(page, "epochs: 3").click()
    page.keyboard.press("End")
    page.keyboard.type("<img src=x onerror=alert(1)>")
    goto = page.locator("#recipe-problems button.goto")
    expect(goto).to_have_text("line 31, column 9", timeout=MS)
    expect(page.locator("#recipe-run")).to_be_disabled(timeout=MS)
    problems = page.locator("#recipe-problems")
    expect(problems).to_contain_text("expected a whole number, got text '3<img src=x onerror=alert(1)>'")
    expect(problems.locator("img")).to_have_count(0)
    _line(page, "version: 1").click()
    goto.click()
    page.keyboard.press("Shift+End")
    page.keyboard.type("4")
    expect(page.locator("#fine")).to_be_visible(timeout=MS)
    expect(page.locator("#recipe-run")).to_be_enabled()
    assert "\nepochs: 4\n" in _text(page)
    assert jobs.all_jobs(app.workspace) == []


def test_text_that_is_not_yaml_keeps_the_form_and_takes_nothing_from_it(recipes: Page) -> None:
    from playwright.sync_api import expect

    page = recipes
    _section(page, "general")
    name = page.locator("#f-name textarea")
    expect(name).to_have_value("quickstart", timeout=MS)
    _line(page, "seed: 0").click()
    page.keyboard.press("Home")
    page.keyboard.type('"')
    expect(page.locator("#recipe-run")).to_be_disabled(timeout=MS)
    expect(name).to_have_value("quickstart")
    name.fill("other")
    expect(page.locator("#recipe-problems")).to_contain_text("The form writes nothing", timeout=MS)
    _line(page, "seed: 0").click()
    page.keyboard.press("Home")
    page.keyboard.press("Delete")
    expect(page.locator("#recipe-run")).to_be_enabled(timeout=MS)
    expect(name).to_have_value("quickstart", timeout=MS)


def test_open_change_save_and_find_again(app: App, new_page: Callable[..., Page]) -> None:
    from playwright.sync_api import expect

    page = _opened(app, new_page(), "?recipe=selectors")
    expect(page.locator("#recipe-run-matrix")).to_have_text("Run matrix (24 runs)", timeout=MS)
    expect(page.locator("#plan-sum")).to_contain_text("stages, 0 of them there already", timeout=MS)
    _section(page, "selector")
    page.locator("#f-selector-top textarea").fill("25%")
    expect(_line(page, "top:")).to_have_text("  top: 25%", timeout=MS)
    page.locator("#recipe-name textarea, #recipe-name input").fill("mine")
    page.locator("#recipe-duplicate").click()
    expect(page.locator("#recipe-status")).to_contain_text("saved as mine", timeout=MS)
    path = bundled.find("selectors")
    assert path is not None
    wanted = path.read_text(encoding="utf-8").replace("name: selectors", "name: mine").replace("top: 12.5%", "top: 25%")
    assert (app.workspace / "recipes" / "mine.yaml").read_text(encoding="utf-8") == wanted
    other = _opened(app, new_page(), "?recipe=mine")
    assert _text(other) == wanted


def test_an_imported_recipe_shows_markup_as_text(app: App, page: Page, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    hostile = "<img src=x onerror=alert(1)>"
    file = tmp_path / "theirs.yaml"
    file.write_text(f'version: 1\nname: "{hostile}"\n"{hostile}": 1\ntags: ["{hostile}"]\n', encoding="utf-8")
    _opened(app, page)
    with page.expect_file_chooser() as chooser:
        page.locator("#recipe-import").click()
    chooser.value.set_files(file)
    expect(page.locator("#recipe-status")).to_contain_text("Imported", timeout=MS)
    expect(page.locator("#recipe-run")).to_be_disabled(timeout=MS)
    expect(page.locator("#recipe-problems")).to_contain_text(hostile)
    _section(page, "general")
    expect(page.locator("#f-name textarea")).to_have_value(hostile, timeout=MS)
    expect(page.locator("img[src=x]")).to_have_count(0)
