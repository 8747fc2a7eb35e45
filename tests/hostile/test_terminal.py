"""Text of recipes, models and servers cannot steer the terminal that it is shown on."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

import pytest

from distill_app import cli, terminal
from distill_app.engine.progress import JsonWatch, TerminalWatch

RED, CLEAR, TITLE, UP = "\x1b[31m", "\x1b[2J\x1b[H", "\x1b]0;owned\x07", "\x1b[1A\r"
HOSTILE = f"{RED}a{CLEAR}{TITLE}{UP}\x9b31m\u202eb\x00\x7f"
PACKAGE = Path(cli.__file__).parent


def steers(text: str) -> bool:
    return any((ord(c) < 32 and c not in "\n\t") or 0x7F <= ord(c) < 0xA0 or c in "\u202e\u2028" for c in text)


def test_what_steers_a_terminal_is_written_out() -> None:
    assert terminal.printable(HOSTILE) == (
        "\\x1b[31ma\\x1b[2J\\x1b[H\\x1b]0;owned\\x07\\x1b[1A\\x0d\\x9b31m\\u202eb\\x00\\x7f"
    )
    text = "Tab\tand line\nfeed, é, 漢字, \u200d, emoji \U0001f600 and a no-break\u00a0space stay."
    assert terminal.printable(text) == text
    assert terminal.line("a\nb\tc") == "a\\nb\\tc"
    assert terminal.printable("\ud800") == "\\ud800"


def test_json_reads_back_as_the_same_text(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.tell_json({HOSTILE: [HOSTILE, "é\n"]})
    printed = capsys.readouterr().out
    assert not steers(printed)
    assert json.loads(printed) == {HOSTILE: [HOSTILE, "é\n"]}
    JsonWatch()({"type": "log", "message": HOSTILE})
    printed = capsys.readouterr().out
    assert not steers(printed)
    assert json.loads(printed)["message"] == HOSTILE


def test_a_recipe_s_text_in_its_faults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "r.yaml"
    file.write_text(
        'version: 1\nname: "\\e[31mx"\n"\\e[2Jkey\\nr.yaml: fine (1 run)": 1\nselector: {name: "\\e]0;t\\a"}\n'
        'tags: ["\\u009b31m", "\\u009b31m", 7]\nmatrix: {"\\e[1A": [1]}\nteacher: {name: "\\x7f", backend: worked}\n'
    )
    for more in ([], ["--json"]):
        monkeypatch.setattr(sys, "argv", ["distill-app", "validate", str(file), *more])
        with pytest.raises(SystemExit) as left:
            cli.main()
        assert left.value.code == 2
        out, err = capsys.readouterr()
        assert "x1b[2Jkey" in err + out or "u001b[2Jkey" in out
        assert not steers(out + err), (out, err)
        assert not any(line.startswith("r.yaml: fine") for line in (out + err).splitlines()), "a line of its own"


def test_what_a_run_tells(capsys: pytest.CaptureFixture[str]) -> None:
    """A server's words and a teacher's name come as events."""
    watch = TerminalWatch()
    watch({"type": "run_started", "run": "r", "stages": [HOSTILE]})
    watch({"type": "stage_started", "stage": HOSTILE, "resumed": False})
    watch({"type": "log", "stage": HOSTILE, "message": f"the server says {HOSTILE}"})
    watch({"type": "stage_damaged", "stage": "s", "why": HOSTILE})
    watch({"type": "stage_finished", "stage": "s", "seconds": 1.0, "counts": {HOSTILE: 1}})
    watch({"type": "run_finished", "run": HOSTILE})
    printed = capsys.readouterr().out
    assert "the server says \\x1b[31ma" in printed
    assert not steers(printed)


def test_all_that_is_printed_goes_through_it() -> None:
    """`print` is called by the one module that makes text printable, and by no other."""
    callers = {
        str(file.relative_to(PACKAGE))
        for file in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert callers == {"terminal.py"}
