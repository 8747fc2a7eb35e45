"""The command line: one short function a verb. What it does lies in the rooms; here it is only called and shown."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from distill_app import __version__
from distill_app.errors import DistillError, RecipeError
from distill_app.terminal import line, tell, tell_json

MOST_FAULTS = 100
"""Faults of one recipe that are printed; `--json` has them all."""

app = typer.Typer(
    name="distill-app",
    help="Reasoning distillation by recipe: generate, select, train, and compare honestly.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

RunArgument = Annotated[str, typer.Argument(help="A run's id, the beginning or end of one, or `latest`.")]
RecipeArgument = Annotated[str, typer.Argument(help="A recipe file, or the name of a bundled one (quickstart).")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="Change one value: --set selector.name=random. Repeatable.")
]
MatrixOption = Annotated[
    list[str] | None,
    typer.Option(
        "--matrix", help="A run for each value: --matrix seed=[0,1,2] (as `matrix` in the recipe). Repeatable."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
WorkspaceOption = Annotated[
    str | None, typer.Option("--workspace", help="Folder of artifacts and runs (default: .distill).")
]
AllowOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-path", help="Let the recipe read from this folder too (or set DISTILL_ALLOW_PATHS). Repeatable."
    ),
]


def main() -> None:
    """Run a verb; turn the errors a user is meant to meet into a sentence and an exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = app(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except DistillError as error:
        sys.exit(_complain(error))
    except typer.Exit as done:
        sys.exit(done.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # one more on the way out must not change the exit code
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(1)
    except typer.TyperException as error:
        message = error.format_message() if hasattr(error, "format_message") else str(error)
        tell(
            message if message.startswith("Usage") else f"distill-app: {message} See distill-app --help.",
            file=sys.stderr,
        )
        sys.exit(2)
    except OSError as error:
        tell(f"distill-app: {error.strerror or error}: {error.filename or ''}".rstrip(": "), file=sys.stderr)
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - the last line of defence: a user never meets a traceback
        sys.exit(_bug(error))


def _complain(error: DistillError) -> int:
    if isinstance(error, RecipeError):
        count = len(error.faults)
        for fault in error.faults[:MOST_FAULTS]:
            tell(line(str(fault)), file=sys.stderr)
        if count > MOST_FAULTS:
            tell(f"... and {count - MOST_FAULTS} more.", file=sys.stderr)
        tell(f"{count} problem{'s' if count != 1 else ''} found; nothing was run.", file=sys.stderr)
    else:
        tell(f"distill-app: {error}", file=sys.stderr)
    return error.exit_code


def _bug(error: Exception) -> int:
    """An error nobody planned for: its traceback goes to a file, the user gets a sentence."""
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="distill-app-", suffix=".log", delete=False, encoding="utf-8") as file:
        traceback.print_exception(error, file=file)
    tell(
        f"distill-app: unexpected {type(error).__name__}: {error}. This is a bug; what happened is in {file.name}.",
        file=sys.stderr,
    )
    return 1


def _warn(sentence: str) -> None:
    tell(sentence, file=sys.stderr)


def _sets(sets: list[str] | None, matrix: list[str] | None) -> list[str]:
    """Values to set over a recipe; `--matrix a.b=[...]` is short for `--set matrix.a.b=[...]`."""
    return [*(sets or []), *(f"matrix.{text}" for text in matrix or [])]


def _root(option: str | None, allow: list[str] | None = None) -> Path:
    """The workspace; for this process and those it starts also the folders that recipes may read from."""
    from distill_app.recipe import allowed
    from distill_app.store.runs import workspace

    root = workspace(option)
    allowed.allow(str(root), *(allow or []))
    return root


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
) -> None:
    if version:
        tell(f"distill-app {__version__}")
        raise typer.Exit


@app.command()
def validate(
    recipe: RecipeArgument,
    sets: SetOption = None,
    matrix: MatrixOption = None,
    allow: AllowOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a recipe: every problem at once, with file, line, column and what to do. Loads no model."""
    from distill_app.reproduce.opened import load_arms

    _root(None, allow)
    try:
        arms = load_arms(recipe, _sets(sets, matrix))
    except RecipeError as error:
        if not as_json:
            raise
        tell_json([fault.as_json() for fault in error.faults])
        raise typer.Exit(error.exit_code) from None
    if as_json:
        tell_json([])
    else:
        tell(f"{recipe}: fine ({len(arms)} run{'s' if len(arms) != 1 else ''}).")


@app.command()
def plan(
    recipe: RecipeArgument,
    sets: SetOption = None,
    matrix: MatrixOption = None,
    allow: AllowOption = None,
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Show the stages a recipe needs: cached or to run, rows, tokens, time and memory. Loads no model."""
    from distill_app.plan import view
    from distill_app.reproduce.opened import load_arms

    root = _root(workspace, allow)
    arms = load_arms(recipe, _sets(sets, matrix))
    table, leaving = view.estimates(arms, root), view.sent(arms)
    if as_json:
        tell_json(view.as_json(table, leaving))
    else:
        tell(view.as_text(table, leaving))


@app.command()
def run(
    recipe: Annotated[
        str | None, typer.Argument(help="A recipe file, the name of a bundled one (quickstart), or a bundle.")
    ] = None,
    locked: Annotated[
        str | None,
        typer.Option(
            "--locked", help="A lock.json, bundle or run: refuse unless all is as it says. Without RECIPE, run its own."
        ),
    ] = None,
    sets: SetOption = None,
    matrix: MatrixOption = None,
    allow: AllowOption = None,
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Run a recipe. Safe to interrupt; issue it again and it goes on. A finished run costs nothing to re-issue."""
    from distill_app.engine import presses

    presses.listen()  # before what takes long to load
    from distill_app.engine import start
    from distill_app.engine.progress import JsonWatch, TerminalWatch
    from distill_app.reports import board
    from distill_app.reproduce import locked as locks

    root = _root(workspace, allow)
    try:
        arms, notes = locks.chosen(root, recipe, locked, _sets(sets, matrix))
    except locks.LockError as error:
        if not as_json:
            raise
        tell_json([one.as_json() for one in error.held])
        raise typer.Exit(error.exit_code) from None
    for note in notes:
        tell(f"Note: {note}", file=sys.stderr)
    watch = JsonWatch() if as_json else TerminalWatch()
    try:
        results = start.run_arms(arms, root, watch)
    except KeyboardInterrupt:
        tell("\nInterrupted. Finished work is kept: issue the same command to go on.", file=sys.stderr)
        raise typer.Exit(130) from None
    if not as_json:
        tell(board.text(results))
        for result in results:
            tell(f"Report: {root / 'runs' / result['run'] / 'report.md'}")
        if locked is not None:
            tell(locks.outcome(root, locked, results[0]))


@app.command()
def lock(
    recipe: RecipeArgument,
    to: Annotated[str | None, typer.Option("--to", help="The file to write (default: print it).")] = None,
    sets: SetOption = None,
    allow: AllowOption = None,
) -> None:
    """Write the lock of a recipe without running it: what `run --locked` would hold another run to."""
    from distill_app.reproduce import lock as locks
    from distill_app.reproduce.opened import load_arms

    _root(None, allow)
    text = locks.text(load_arms(recipe, sets or []))
    if to is None:
        tell(text, end="")
    else:
        locks.write(text, Path(to))
        tell(f"Wrote {to}. Elsewhere: distill-app run --locked {to}")


@app.command()
def runs(as_json: JsonOption = False, workspace: WorkspaceOption = None) -> None:
    """List the runs of the workspace with their state."""
    from distill_app.reports import runs as listing

    found = listing.summaries(_root(workspace))
    if as_json:
        tell_json(found)
    else:
        tell(listing.as_text(found))


@app.command()
def show(
    run: RunArgument,
    diff: Annotated[
        str | None, typer.Option("--diff", help="Another run, bundle or lock: show what differs, and where it begins.")
    ] = None,
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Show one run, or a bundle: its state, stages, counts and scores; with --diff what tells it from another."""
    from distill_app.reports import runs as listing
    from distill_app.reproduce import diff as sides
    from distill_app.reproduce import opened

    root = _root(workspace)
    found = opened.details(root, run) if diff is None else sides.diff(root, run, diff)
    if as_json:
        tell_json(found)
    else:
        tell(listing.details_as_text(found) if diff is None else sides.as_text(found))


@app.command()
def bundle(
    run: RunArgument,
    to: Annotated[
        str | None, typer.Option("--to", help="The file to write (default: RECIPE-RUN.bundle, here).")
    ] = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Write a finished run's recipe, lock and results to one small file for others; no weights, traces or answers."""
    from distill_app.reproduce import bundle as bundles
    from distill_app.store import runs as store

    root = _root(workspace)
    written = bundles.write(store.find(root, run), root, Path(to) if to is not None else None)
    tell(
        f"Wrote {written} ({written.stat().st_size / 1000:.1f} kB). Elsewhere: distill-app run --locked {written.name}"
    )


@app.command()
def inspect(
    run: RunArgument,
    row: Annotated[str | None, typer.Argument(help="A row's id, or a part of it that no other id has.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Rows listed, and lines of each table.")] = 10,
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Show what a run's selector kept against what there was, and why; with ROW, everything about one row."""
    from distill_app.reports import inspect as view
    from distill_app.reports import inspect_row, inspect_text, selections
    from distill_app.store import runs as store

    root = _root(workspace)
    selection = selections.of_run(root, store.find(root, run))
    found = view.overview(selection, limit) if row is None else inspect_row.row(selection, row)
    if as_json:
        tell_json(found)
    else:
        tell(inspect_text.overview(found, limit) if row is None else inspect_text.row(found))


@app.command()
def leaderboard(
    arms: Annotated[bool, typer.Option("--arms", help="Show arms: runs that differ in seed alone.")] = False,
    runs: Annotated[bool, typer.Option("--runs", help="Show every run by itself.")] = False,
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Compare finished runs: Avg@k with intervals, the gain over the untrained student, and arms over their seeds.

    Unasked, arms are shown where there are two runs or more, and single runs where there are few. --json prints the
    single runs, or with --arms the arms.
    """
    from distill_app.reports import arms as groups
    from distill_app.reports import board
    from distill_app.reports import leaderboard as single
    from distill_app.reports.result import UNTRAINED
    from distill_app.store import runs as store

    results = store.results(_root(workspace), _warn)
    if not as_json:
        tell(board.text(results, with_arms=arms, with_runs=runs), end="")
    elif arms:
        tell_json(groups.arms(results))
    else:
        tell_json([row for row in single.rows(results) if row["selector"] != UNTRAINED])


@app.command()
def compare(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Two runs or bundles or more, named as for `show`; RUN:base is the untrained student of one."
        ),
    ] = None,
    arms: Annotated[
        bool, typer.Option("--arms", help="Compare the arms of these runs over their seeds; all arms if none is named.")
    ] = False,
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Compare runs on the problems they both answered: paired intervals, p-values, what differs in their settings."""
    from distill_app.reports import compare as comparison
    from distill_app.reports import compare_operands, compare_text

    operands = compare_operands.whole_arms if arms else compare_operands.runs
    found = comparison.compare(operands(_root(workspace), runs or []))
    if as_json:
        tell_json(found)
    else:
        tell(compare_text.as_text(found), end="")


@app.command()
def regrade(
    run: RunArgument,
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=0.01, max=600, help="Limit for one answer (default: the run's).")
    ] = None,
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Grade a finished run's stored answers again by the rules of this version, without generating any."""
    from distill_app.engine import regrade as grading
    from distill_app.engine.progress import JsonWatch, TerminalWatch
    from distill_app.reports import board
    from distill_app.store import runs as store

    root = _root(workspace)
    watch = JsonWatch() if as_json else TerminalWatch()
    found = grading.regrade(store.find(root, run), root, watch, limit_seconds=seconds)
    if not as_json:
        tell(grading.as_text(found))
        tell(board.text([found.result]), end="")


@app.command()
def export(
    run: RunArgument,
    to: Annotated[str | None, typer.Option("--to", help="The folder to write (default: export-RUN, here).")] = None,
    merged: Annotated[bool, typer.Option("--merged", help="The whole model, the adapter merged into it.")] = False,
    push: Annotated[str | None, typer.Option("--push", help="Push the weights to this hub repository.")] = None,
    push_data: Annotated[str | None, typer.Option("--push-data", help="Push the data to this hub repository.")] = None,
    public: Annotated[bool, typer.Option("--public", help="Make new repositories public, not private.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier export, or a repository's files.")] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Write a finished run as weights, data and cards that other tools load; push them only where it is asked for."""
    from distill_app import export as room
    from distill_app.store import runs as store

    root = _root(workspace)
    found = store.find(root, run)
    wish = room.Wish(merged=merged, replace=force, model_repo=push, data_repo=push_data, public=public)
    folder = room.default_folder(found) if to is None else Path(to).expanduser()
    tell(room.as_text(room.export(root, found, folder, wish, lambda text: tell(text, file=sys.stderr))))


@app.command()
def grade(
    file: Annotated[str, typer.Argument(help="A .jsonl or .jsonl.gz file of {id, gold, prediction}.")],
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Processes (default: the cores).")] = None,
    seconds: Annotated[float, typer.Option("--seconds", min=0.01, max=600, help="Limit for one answer.")] = 10,
) -> None:
    """Grade any answers: a JSON line {id, verdict, extracted, rule} for each row, in order."""
    from distill_app.evaluation.grade_file import grade_file

    for row in grade_file(Path(file), workers=workers, limit_seconds=seconds):
        tell_json(row, indent=None)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the new recipe; NAME.yaml is written here.")],
    base: Annotated[str, typer.Option("--from", help="Bundled recipe to start from.")] = "quickstart",
) -> None:
    """Write a new recipe, a copy of a bundled one with its comments."""
    from distill_app.recipe.new import new as write

    tell(f"Wrote {write(name, base, Path.cwd())}. Edit it, then: distill-app run {name}.yaml")


@app.command()
def schema() -> None:
    """Print the recipe's JSON Schema, selectors and all, in one piece (for editors)."""
    from distill_app.recipe.schema import bundle

    tell_json(bundle())


skills_app = typer.Typer(help="Skill trees.", no_args_is_help=True)
app.add_typer(skills_app, name="skills")


@skills_app.command()
def build(
    recipe: RecipeArgument,
    out: Annotated[str, typer.Option("--out", help="The JSON file to write; it must not be there yet.")],
    root_name: Annotated[str, typer.Option("--name", help="Name of the tree's root.")] = "Skills",
    leaf_items: Annotated[
        int, typer.Option("--leaf-items", min=2, help="A cluster of at most so many problems is not split further.")
    ] = 20,
    sets: SetOption = None,
    allow: AllowOption = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Make a skill tree from a recipe's pool, as EvalTree does, with the teacher in `skills.teacher`."""
    from distill_app.engine import tree
    from distill_app.engine.progress import TerminalWatch
    from distill_app.recipe.resolve import load_arms

    root = _root(workspace, allow)
    arm = load_arms(recipe, sets or [])[0]
    try:
        made = tree.build(arm, root, Path(out), TerminalWatch(), name=root_name, leaf_items=leaf_items)
    except KeyboardInterrupt:
        tell("\nInterrupted. Answers so far are kept: issue the same command to go on.", file=sys.stderr)
        raise typer.Exit(130) from None
    for name, value in made.facts.items():
        tell(f"{name}: {value}")
    tell(f"Wrote {made.path}. In a recipe: skills: {{tree: {made.path}}}")


@app.command()
def clean(
    remove: Annotated[bool, typer.Option("--remove", help="Remove what is listed.")] = False,
    as_json: JsonOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """List what in the workspace nothing refers to any more, and how big it is; with --remove, remove it."""
    from distill_app.store import clean as cleaning

    found = cleaning.clean(_root(workspace), remove=remove)
    if as_json:
        tell_json(cleaning.as_json(found))
    else:
        tell(cleaning.as_text(found))


@app.command()
def ui(
    host: Annotated[str, typer.Option("--host", help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port to listen at.")] = 7860,
    workspace: WorkspaceOption = None,
    allow: AllowOption = None,
    network: Annotated[
        bool, typer.Option("--network", help="Allow a --host that other machines reach. Takes --password-env too.")
    ] = False,
    password_env: Annotated[
        str | None, typer.Option("--password-env", help="Environment variable that holds the password to ask for.")
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option("--allow-host", help="A name by which browsers reach this server. Repeatable.")
    ] = None,
    mcp: Annotated[
        bool, typer.Option("--mcp", help="Offer the endpoints to MCP clients; not with a password.")
    ] = False,
) -> None:
    """Open the page: write recipes, run and watch them, compare what came out. Ctrl-C ends it; runs go on."""
    from distill_app.ui import guard

    guard.check(host, network=network, password_env=password_env, mcp=mcp)  # before Gradio takes its seconds to load
    from distill_app.ui.app import serve

    serve(
        _root(workspace, allow), host, port, network=network, password_env=password_env, names=allow_host or (), mcp=mcp
    )


@app.command()
def doctor(as_json: JsonOption = False, workspace: WorkspaceOption = None) -> None:
    """Check this machine: versions, device, memory, disk, model cache, and which bundled recipes it can run."""
    from distill_app import doctor as checks

    found = checks.examine(_root(workspace))
    if as_json:
        tell_json(found)
    else:
        tell(checks.as_text(found))
    if any(check["status"] == "problem" for check in found["checks"]):
        raise typer.Exit(1)


if __name__ == "__main__":
    main()
