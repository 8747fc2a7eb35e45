"""What programs may ask of the app: typed endpoints, for gradio_client, plain HTTP and, where it is on, MCP.

A recipe is given as its text, or as the name of a ready-made one; nothing here takes the path of a file. A fault comes
as an error whose message says what to do. No answer has a key `path`: Gradio's client takes such a value for a file.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import gradio as gr
from gradio.events import api

from distill_app.errors import DistillError, RecipeError, UsageError
from distill_app.recipe import bundled
from distill_app.store import runs as store

from . import jobs, run_list
from .comparison import of_runs
from .run_list import Entry

P = ParamSpec("P")
T = TypeVar("T")
Values = list[dict[str, Any]]


def endpoints(root: Path) -> None:
    """Make the endpoints of the workspace `root`, inside the Blocks that the caller has opened."""

    def validate(recipe: str, sets: list[str]) -> Values:
        """Check a recipe without loading a model: every problem at once, an empty list for a sound recipe.

        Args:
            recipe: The recipe's text (YAML), or the name of a ready-made one, such as quickstart.
            sets: Values to change first, each as "selector.name=random"; an empty list for none.

        Returns:
            Problems as {file, line, column, key, message, suggestion}; lines and columns count from 1.
        """
        try:
            jobs.arms_of(root, _text(recipe), sets)
        except RecipeError as error:
            return [_fault(fault.as_json()) for fault in error.faults]
        return []

    def plan(recipe: str, sets: list[str]) -> Values:
        """The stages a recipe needs, each once: cached or to run, rows, tokens, time and memory. Loads no model.

        Args:
            recipe: The recipe's text (YAML), or the name of a ready-made one, such as quickstart.
            sets: Values to change first, each as "selector.name=random"; an empty list for none.

        Returns:
            Stages in the order they run, as `distill-app plan --json` has them.
        """
        from distill_app.plan import view

        found: Values = view.as_json(view.estimates(jobs.arms_of(root, _text(recipe), sets), root))["stages"]
        return found

    def start(recipe: str, sets: list[str]) -> dict[str, Any]:
        """Start a run of a recipe, or of its matrix, and return at once. It waits in line where another is at work.

        Asked twice while it waits or runs, it is started once.

        Args:
            recipe: The recipe's text (YAML), or the name of a ready-made one, such as quickstart.
            sets: Values to change first, each as "selector.name=random" or "matrix.seed=[0,1]"; an empty list for none.

        Returns:
            {job, state, runs}: its number, waiting or running, and its runs as `runs` has them.
        """
        return _job(root, jobs.start(root, _text(recipe), sets))

    def stop(job: int) -> dict[str, Any]:
        """Ask a job to end. What its runs have finished is kept; `resume` goes on with it.

        Args:
            job: Its number, as `start` and `runs` give it.

        Returns:
            {job, state, runs}, at this moment: a run takes some seconds to end.
        """
        found = jobs.find(root, job)
        jobs.stop(found)
        return _job(root, found)

    def resume(run: str) -> dict[str, Any]:
        """Go on with a run that was interrupted, failed or lost. Finished stages cost nothing.

        Args:
            run: The run's id, the beginning or end of one, or latest.

        Returns:
            {job, state, runs}, as `start`.
        """
        return _job(root, jobs.resume(root, store.find(root, run)))

    def runs() -> Values:
        """Every run with its state: those at work, those that wait, then the others, newest first.

        Returns:
            {run, job, state, recipe, label, selector, seed, started, ahead}; `run` is null until its turn comes.
        """
        return [_entry(entry) for entry in run_list.entries(root)]

    def leaderboard() -> Values:
        """The scores of every finished run, with intervals, and the gain over the untrained student.

        Returns:
            Rows as `distill-app leaderboard --json` has them, the untrained student's among them.
        """
        from distill_app.reports import leaderboard as board

        results = [result for run in store.all_runs(root) if (result := run.result())]
        return [dict(row) for row in board.rows(results)]

    def compare(names: list[str]) -> dict[str, Any]:
        """Compare runs on the problems they both answered: paired intervals, p-values, what differs in their settings.

        Args:
            names: Two runs or more, each an id, the beginning or end of one, or latest; RUN:base is the untrained
                student of one.

        Returns:
            The comparison as `distill-app compare --json` has it.
        """
        from distill_app.reports import compare as comparison
        from distill_app.reports import compare_operands

        return comparison.compare(compare_operands.runs(root, of_runs(names)))

    for endpoint in (validate, plan, start, stop, resume, runs, leaderboard, compare):
        api(_told(endpoint), api_name=endpoint.__name__)


def _told(function: Callable[P, T]) -> Callable[P, T]:
    """The function with the errors a user is meant to read passed on as they are."""

    @wraps(function)
    def asked(*arguments: P.args, **named: P.kwargs) -> T:
        try:
            return function(*arguments, **named)
        except DistillError as error:
            raise gr.Error(str(error), print_exception=False) from error

    return asked


def _text(recipe: str) -> str:
    """The text of a recipe that was given, or named."""
    if "\n" in recipe.strip():
        return recipe
    path = bundled.find(recipe.strip())
    if path is None:
        raise UsageError(
            f"There is no ready-made recipe {recipe.strip()[:80]!r}.",
            f"Give the text of one, or one of these names: {', '.join(bundled.names())}.",
        )
    return path.read_bytes().decode()


def _fault(found: dict[str, object]) -> dict[str, Any]:
    return {("key" if name == "path" else name): value for name, value in found.items()}


def _job(root: Path, job: jobs.Job) -> dict[str, Any]:
    of_job = [entry for entry in run_list.entries(root) if entry.job == job.number]
    return {"job": job.number, "state": job.state(), "runs": [_entry(entry) for entry in of_job]}


def _entry(entry: Entry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in Entry.__slots__}
