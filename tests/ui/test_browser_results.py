"""In the browser: runs on the leaderboard, two of them compared, and one looked into."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.ui import looked_into
from tests.ui.conftest import PATIENCE_SECONDS, App, launched
from tests.ui.looked_into import MARKUP, LookedInto

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def shown(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[App, LookedInto]]:
    """The app on a workspace with two finished runs; not started where there is no browser."""
    assert browser.is_connected()
    made = looked_into.write(tmp_path_factory.mktemp("results") / "workspace")
    expect_patiently()
    with launched(made.root) as app:
        yield app, made


def expect_patiently() -> None:
    """What is waited for may take as long as a page may take to load."""
    from playwright.sync_api import expect

    expect.set_options(timeout=PATIENCE_SECONDS * 1000)


def cell(table: str, row: int, column: int) -> str:
    return f"#{table} .virtual-body [data-testid='cell-{row}-{column}']"


def test_two_runs_are_compared_and_a_problem_is_followed(shown: tuple[App, LookedInto], page: Page) -> None:
    from playwright.sync_api import expect

    app, made = shown
    page.goto(f"{app.url}/results")
    expect(page.locator(cell("results-runs", 1, 0))).to_have_text(made.whole.id)
    expect(page.locator(cell("results-runs", 1, 4))).to_have_text("56.2")
    expect(page.locator(cell("results-runs", 2, 0))).to_have_text(made.other.id)
    expect(page.locator("#results-forest .main-svg").first).to_be_visible()
    page.locator(cell("results-runs", 1, 2)).click()
    expect(page.locator("#results-ticked")).to_contain_text(made.whole.id)
    page.locator(cell("results-runs", 2, 2)).click()
    compared = page.locator("#results-compared")
    expect(compared).to_contain_text("+31.2")
    expect(compared).to_contain_text("3 / 0 / 1")
    expect(compared).to_contain_text("training.learning_rate")
    expect(compared).to_contain_text(MARKUP)
    page.wait_for_url(re.compile("runs="))
    page.reload()
    expect(page.locator("#results-compared")).to_contain_text("+31.2")
    page.locator("#results-problems a", has_text="p1").click()
    expect(page.locator("#inspect-base")).to_contain_text("wrong: answer w")
    expect(page.locator("#inspect-trained")).to_contain_text("correct: answer c")
    expect(page.locator("#inspect-trained")).to_contain_text(f"trained says {MARKUP}")
    expect(page.locator("#inspect-asked .katex")).to_have_count(1)
    assert page.title() == "distill-app"


def test_a_row_of_the_pool_is_opened(shown: tuple[App, LookedInto], page: Page) -> None:
    from playwright.sync_api import expect

    app, made = shown
    page.goto(f"{app.url}/inspect?run={made.whole.id}")
    expect(page.locator("#inspect-headline")).to_contain_text("8 rows in the pool, 6 candidates, 3 kept")
    expect(page.locator("#inspect-scatter .main-svg").first).to_be_visible()
    expect(page.locator("#inspect-spread-said")).to_contain_text("The cut: the last row kept has rank 4")
    page.get_by_role("tab", name="Skills").click()
    expect(page.locator("#inspect-skills .main-svg").first).to_be_visible()
    page.get_by_role("tab", name="Epochs").click()
    expect(page.locator("#inspect-epochs")).to_contain_text("2 in every epoch so far (core)")
    page.get_by_role("tab", name="Row").click()
    facts, trace = page.locator("#inspect-facts"), page.locator("#inspect-trace")
    expect(facts).to_contain_text("kept: 1 of 3; score 0.9")
    expect(trace).to_contain_text(MARKUP)
    expect(trace.locator(".katex")).to_have_count(3)
    expect(trace.locator("img, script, a")).to_have_count(0)
    page.locator("#inspect-after").click()
    expect(facts).to_contain_text("kept: 2 of 3; score 0.7")
    page.wait_for_url(re.compile("row=p1"))
    page.locator("#inspect-row input").fill("p4/r8")
    page.locator("#inspect-row input").press("Enter")
    expect(facts).to_contain_text("placement test")
    assert page.title() == "distill-app"


def test_the_table_is_saved_with_one_click(shown: tuple[App, LookedInto], page: Page) -> None:
    from playwright.sync_api import expect

    app, _ = shown
    page.goto(f"{app.url}/results")
    expect(page.locator(cell("results-runs", 0, 0))).to_be_visible()
    page.get_by_label("Filter").press_sequentially("quality")
    expect(page.locator(cell("results-runs", 0, 2))).to_have_text("Quality")
    with page.expect_download() as saved:
        page.locator("#results-csv").click()
    assert saved.value.suggested_filename == "leaderboard.csv"
    rows = list(csv.DictReader(io.StringIO(Path(saved.value.path()).read_text(encoding="utf-8"))))
    assert [row["score"] for row in rows] == ["0.5625"]
    page.get_by_label("Arms over seeds").check()
    expect(page.locator(cell("results-arms", 0, 0))).to_have_text("Quality")


def test_an_address_of_no_run_is_a_sentence(shown: tuple[App, LookedInto], page: Page) -> None:
    from playwright.sync_api import expect

    app, made = shown
    page.goto(f"{app.url}/inspect?run=..%2F..%2Fetc")
    expect(page.locator("#inspect-said")).to_contain_text("There is no such run in this workspace.")
    page.goto(f"{app.url}/inspect?run={made.other.id}")
    expect(page.locator("#inspect-headline")).to_contain_text("has no selection yet")
