"""Estimates come from what this machine took before; a cached stage costs nothing more."""

from __future__ import annotations

from pathlib import Path

import pytest

from distill_app.plan import estimate, view
from distill_app.recipe.resolve import load_arms
from distill_app.store.artifacts import Store
from tests.plan.test_fingerprint import RECIPE, plan


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTILL_CACHE", str(tmp_path / "cache"))


def stage(tmp_path: Path, name: str):
    return next(stage for stage in plan(tmp_path).stages if stage.name == name)


def test_measured_rates_replace_first_guesses(tmp_path: Path) -> None:
    train, store = stage(tmp_path, "train"), Store(tmp_path / "store")
    first = estimate.FIRST_GUESS["train"]
    before = estimate.estimate(train, store, estimate.learned())
    assert before.seconds == first.seconds_start + 10 * first.seconds_row
    for seconds in (24.0, 34.0, 1014.0):
        estimate.remember(train.work, 20, 600, seconds, 3_000_000_000)
    after = estimate.estimate(train, store, estimate.learned())
    assert after.seconds == first.seconds_start + 10 * (34.0 - first.seconds_start) / 20
    assert after.tokens == 10 * 600 // 20
    assert after.memory_bytes == 3_000_000_000
    other = stage(tmp_path, "evaluate[base word_problems]")
    assert estimate.estimate(other, store, estimate.learned()).memory_bytes != 3_000_000_000


def test_small_stages_do_not_spoil_the_estimate_of_large_ones(tmp_path: Path) -> None:
    problems, store = stage(tmp_path, "problems[pool]"), Store(tmp_path / "store")
    assert problems.rows == 40
    for _ in range(3):
        estimate.remember("problems", 40, None, 0.9, None)
    for _ in range(5):
        estimate.remember("problems", 2, None, 0.6, None)
    assert estimate.estimate(problems, store, estimate.learned()).seconds == pytest.approx(0.9)


def test_a_torn_line_of_rates_costs_that_line_alone() -> None:
    estimate.remember("train x", 10, None, 24.0, None)
    with estimate.rates_path().open("a") as file:
        file.write('{"work": "train x", "rows": 1')
    assert estimate.learned() == {"train x": [estimate.Measured(10, None, 24.0, None)]}


def test_the_file_of_rates_does_not_grow_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "FILE_BYTES", 1000)
    for number in range(100):
        estimate.remember("train x", number + 1, None, 24.0, None)
    assert estimate.rates_path().stat().st_size < 1200
    assert estimate.learned()["train x"][-1].rows == 100


def test_cached_stages_show_their_real_figures(tmp_path: Path) -> None:
    select, store = stage(tmp_path, "select"), Store(tmp_path / "store")
    (store.partial(select.kind, select.fingerprint) / "x").write_text("x")
    assert estimate.estimate(select, store, {}).state == "partial"
    store.finish(select.kind, select.fingerprint, {"rows": 9, "tokens": 99, "memory_bytes": None})
    found = estimate.estimate(select, store, {})
    assert (found.state, found.rows, found.tokens, found.seconds) == ("cached", 9, 99, 0.0)


def test_a_matrix_shows_each_shared_stage_once(tmp_path: Path) -> None:
    path = tmp_path / "matrix.yaml"
    path.write_text(RECIPE + "matrix: {selector.name: [random, quality], seed: [1, 2]}\n")
    table = view.estimates(load_arms(path), tmp_path / "store")
    names = [line.name for line in table]
    assert len(names) == len(set(names)) == len({line.fingerprint for line in table})
    assert sum(name.startswith("generate") for name in names) == 1
    assert sum(name.startswith("evaluate[base") for name in names) == 1
    assert sum(name.startswith("train") for name in names) == 4
    assert "About" in view.as_text(table)
