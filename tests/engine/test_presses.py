"""Ctrl-C counted beside a stage's process, and heeded within it at the end of a batch."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from distill_app import stopping
from distill_app.engine import presses, start
from distill_app.engine.presses import TERM_SECONDS, Presses, quietly
from distill_app.recipe.resolve import load_arms
from tests.recipes import small


def press(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.fixture
def _python_handlers() -> Iterator[None]:
    before = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)}
    for name in before:
        signal.signal(name, signal.default_int_handler)
    yield
    for name, handler in before.items():
        signal.signal(name, handler)


class Dropping:
    """Is taken down when a signal comes: Python drops what its handler raises."""

    def __del__(self) -> None:
        press(signal.SIGTERM)


@pytest.mark.usefixtures("_python_handlers")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_press_that_python_drops_ends_the_run_before_its_next_stage(tmp_path: Path, tiny_folder: Path) -> None:
    """Stop on the page once came while a module was loading: the run went on, and was killed for not ending."""
    arms = load_arms(small(tmp_path, tiny_folder), ())
    told: list[dict[str, Any]] = []

    def watch(event: dict[str, Any]) -> None:
        told.append(event)
        if event["type"] == "stage_started":
            dropping.clear()

    dropping = [Dropping()]
    presses.listen()
    try:
        presses.check()
        with pytest.raises(KeyboardInterrupt):
            start.run_arms(arms, tmp_path / "workspace", watch)
    finally:
        presses.listen()
    kinds = [event["type"] for event in told if event["type"] != "progress"]
    assert kinds == ["run_started", "stage_started", "stage_finished", "run_interrupted", "end"]
    assert told[-1]["status"] == "interrupted"
    presses.check()


@pytest.mark.usefixtures("_python_handlers")
def test_presses_are_counted_and_wake_who_waits() -> None:
    reading, writing = os.pipe()
    with Presses() as presses:
        assert not presses.wait(reading, 0.0)
        os.write(writing, b"an event")
        assert presses.wait(reading)
        os.read(reading, 8)
        press(signal.SIGINT)
        assert not presses.wait(reading), "woken by the press, with nothing to read"
        assert (presses.count, presses.urgent, presses.until) == (1, False, None)
        press(signal.SIGINT)
        assert presses.urgent
    with pytest.raises(KeyboardInterrupt):
        press(signal.SIGINT)
    os.close(reading)
    os.close(writing)


@pytest.mark.usefixtures("_python_handlers")
def test_who_terminates_does_not_wait_for_ever() -> None:
    with Presses() as presses:
        press(signal.SIGTERM)
        assert (presses.count, presses.urgent) == (1, False)
        assert presses.until is not None
        presses.until -= TERM_SECONDS
        assert presses.urgent


@pytest.mark.usefixtures("_python_handlers")
def test_on_the_way_out_nothing_is_cut_short() -> None:
    done = []

    def leave() -> None:
        press(signal.SIGINT)
        done.append(True)

    quietly(leave)
    assert done
    with pytest.raises(KeyboardInterrupt):
        press(signal.SIGINT)


@pytest.mark.usefixtures("_python_handlers")
def test_an_ignored_signal_stays_ignored() -> None:
    """As in a script's background, where the shell has Ctrl-C ignored."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Presses() as presses:
        press(signal.SIGINT)
        assert presses.count == 0


@pytest.fixture
def _listening(monkeypatch: pytest.MonkeyPatch, _python_handlers: None) -> None:
    monkeypatch.setattr(stopping, "_state", stopping._State())
    stopping.listen()


@pytest.mark.usefixtures("_listening")
def test_a_batch_is_finished_and_saved_before_the_stage_leaves() -> None:
    saved = []

    def batches() -> Iterator[int]:
        for number in range(3):
            with stopping.held():
                if number == 1:
                    press(signal.SIGINT)
                yield number

    with pytest.raises(KeyboardInterrupt):
        saved.extend(batches())
    assert saved == [0, 1]


@pytest.mark.usefixtures("_listening")
def test_outside_a_batch_the_stage_leaves_at_once() -> None:
    with pytest.raises(KeyboardInterrupt):
        press(signal.SIGINT)
    assert stopping.asked()


@pytest.mark.usefixtures("_listening")
def test_a_free_part_of_a_held_block_is_left_at_its_own_batches() -> None:
    reached = []

    def work() -> None:
        with stopping.held():
            press(signal.SIGINT)
            with stopping.held():
                reached.append("an inner batch does not leave an outer one")
            with stopping.free():
                reached.append("never")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == ["an inner batch does not leave an outer one"]


@pytest.mark.usefixtures("_listening")
def test_an_error_in_a_batch_is_not_lost_to_the_press() -> None:
    def work() -> None:
        with stopping.held():
            press(signal.SIGINT)
            raise ValueError("bad row")

    with pytest.raises(ValueError, match="bad row"):
        work()
