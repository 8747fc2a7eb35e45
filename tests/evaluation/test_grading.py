"""Grading in worker processes: order, hard limits, deaths, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from distill_app.errors import StageError
from distill_app.evaluation import pool
from distill_app.evaluation.equivalence import equivalent
from distill_app.evaluation.grading import Answerable, answer_classes, check_golds, grade
from distill_app.records import Problem, Sample, Verdict

ROOT = Path(__file__).resolve().parents[2]
TOWERS = ["\\boxed{9^{9^{9^{9^9}}}+1}", "\\boxed{2^{3^{4^{5^{6}}}}-1}"]


def workers_of(process: psutil.Process) -> list[psutil.Process]:
    return [
        child
        for child in process.children(recursive=True)
        if child.status() == psutil.STATUS_ZOMBIE or any("evaluation.worker" in part for part in child.cmdline())
    ]


def problem(number: int, answer: str) -> Problem:
    return Problem(id=f"p{number}", question="?", answer=answer, source="test")


def test_hangs_time_out_and_every_other_row_keeps_its_verdict_and_place() -> None:
    ordinary = []
    for i in range(300):
        gold = str(i)
        text = [f"\\boxed{{\\frac{{{2 * i}}}{{2}}}}", f"\\boxed{{{i}.0}}", f"\\boxed{{\\frac{{{2 * i + 1}}}{{2}}}}"][
            i % 3
        ]
        ordinary.append((f"r{i}", text, gold))
    rows = [ordinary[0], ("h0", TOWERS[0], "1"), *ordinary[1:], ("h1", TOWERS[1], "1")]
    seen: list[tuple[int, int]] = []
    verdicts = grade(rows, workers=2, limit_seconds=2, progress=lambda done, total: seen.append((done, total)))
    assert [verdict.id for verdict in verdicts] == [row[0] for row in rows]
    by_id = {verdict.id: verdict.verdict for verdict in verdicts}
    assert by_id["h0"] == by_id["h1"] == "timeout"
    assert [by_id[f"r{i}"] for i in range(300)] == ["correct", "correct", "wrong"] * 100
    assert seen[-1] == (302, 302)
    assert seen == sorted(seen)
    assert workers_of(psutil.Process()) == []


def test_the_clock_does_not_run_while_a_row_waits() -> None:
    """One worker, three hangs before a good row: the good row waits 3 limits and is graded all the same."""
    rows = [
        *((f"h{i}", TOWERS[0].replace("9^9}", f"9^{i + 5}}}"), "1") for i in range(3)),
        ("r", "\\boxed{2/4}", "0.5"),
    ]
    verdicts = grade(rows, workers=1, limit_seconds=1)
    assert [verdict.verdict for verdict in verdicts] == ["timeout", "timeout", "timeout", "correct"]


def test_plain_rows_start_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a process was started"))
    rows = [("a", "Answer: 5", "5"), ("b", "Answer: 6", "5"), ("c", "hm", "5"), ("d", "<think> 5", "5")]
    assert grade(rows, workers=1, limit_seconds=1) == [
        Verdict("a", "correct", "5", "answer_line"),
        Verdict("b", "wrong", "6", "answer_line"),
        Verdict("c", "no_answer", None, None),
        Verdict("d", "no_answer", None, "unclosed_think"),
    ]


def test_a_row_that_kills_its_worker_is_named_and_the_others_are_not_blamed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A worker program that dies on one row stands in for a crash inside sympy: the pool is the real one."""
    _install_dying_worker(monkeypatch, tmp_path, "os._exit(9)")
    pairs: list[pool.Pair] = [*((f"x{i}", "y", None) for i in range(6)), ("deadly", "y", None)]
    with pytest.raises(StageError, match="row 'r6' killed the worker process twice"):
        pool.outcomes(pairs, workers=2, limit_seconds=30, name=lambda i: f"row 'r{i}'")
    assert workers_of(psutil.Process()) == []


def test_a_row_that_kills_its_worker_once_is_tried_again_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    flag = tmp_path / "died"
    _install_dying_worker(
        monkeypatch,
        tmp_path,
        f"(open({str(flag)!r}, 'w').close(), os._exit(9)) if not os.path.exists({str(flag)!r}) else 0",
    )
    pairs: list[pool.Pair] = [("x0", "y", None), ("deadly", "y", None), ("x1", "x1", None)]
    assert pool.outcomes(pairs, workers=2, limit_seconds=30, name=str) == ["unequal", "unequal", "equal"]
    assert flag.exists()


def _install_dying_worker(monkeypatch: pytest.MonkeyPatch, folder: Path, death: str) -> None:
    script = folder / "dying.py"
    script.write_text(
        "import json, os, sys\n"
        "say = lambda *m: print(json.dumps(m), flush=True)\n"
        "say('ready')\n"
        "for line in sys.stdin:\n"
        "    row, a, b, _ = json.loads(line)\n"
        "    say('started', row)\n"
        f"    a == 'deadly' and {death}\n"
        "    say('done', row, a == b)\n"
    )
    real = subprocess.Popen

    def popen(_: list[str], **options: object) -> subprocess.Popen[bytes]:
        return real([sys.executable, str(script)], **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(pool.subprocess, "Popen", popen)


def test_running_out_of_memory_is_over_the_limit_and_not_wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import math_verify

    def exhausted(*_: object, **__: object) -> bool:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(math_verify, "verify", exhausted)
        with pytest.raises(MemoryError):
            equivalent("\\frac{1}{2}", "0.5")
    _install_dying_worker(monkeypatch, tmp_path, "(say('done', row, None), os._exit(0))")
    assert pool.outcomes([("deadly", "y", None)], workers=1, limit_seconds=60, name=str) == ["over"]


def test_workers_are_kept_for_the_next_call() -> None:
    pairs: list[pool.Pair] = [("x + 1", "1 + x", None), ("x", "y", None), (None, "x^2", None)]

    def grade(limit_seconds: float = 30) -> list[psutil.Process]:
        found = pool.outcomes(pairs, workers=2, limit_seconds=limit_seconds, name=str)
        assert found == ["equal", "unequal", "equal"]
        return workers_of(psutil.Process())

    with pool.kept():
        first = grade()
        assert first
        assert set(grade()) & set(first)
        for one in first:
            one.kill()
        psutil.wait_procs(first, timeout=30)
        second = grade()
        assert second
        assert not set(grade(limit_seconds=31)) & set(second), "their own clocks have another limit"
    assert workers_of(psutil.Process()) == []
    assert grade() == []


def test_the_worker_cannot_take_more_than_its_memory() -> None:
    program = (
        "from distill_app.evaluation import worker\n"
        "worker._limit_memory()\n"
        "try:\n"
        "    bytearray(worker.MEMORY_BYTES)\n"
        "except MemoryError:\n"
        "    print('refused')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "refused\n"


def test_works_in_a_daemonic_process_and_leaves_nothing_on_ctrl_c(tmp_path: Path) -> None:
    script = tmp_path / "caller.py"
    script.write_text(
        "import multiprocessing, sys\n"
        "from distill_app.evaluation.grading import grade\n"
        "def work():\n"
        "    assert grade([('a', '\\\\boxed{2/4}', '0.5')], workers=1, limit_seconds=30)[0].verdict == 'correct'\n"
        "    print('graded', flush=True)\n"
        "    grade([('h', '\\\\boxed{9^{9^{9^{9^9}}}+1}', '1')], workers=1, limit_seconds=600)\n"
        "if __name__ == '__main__':\n"
        "    process = multiprocessing.get_context('spawn').Process(target=work, daemon=True)\n"
        "    process.start()\n"
        "    process.join()\n"
    )
    caller = subprocess.Popen(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert caller.stdout is not None
    assert caller.stdout.readline() == "graded\n"
    handle = psutil.Process(caller.pid)
    until = time.monotonic() + 120
    while not (busy := [w for w in workers_of(handle) if w.cpu_times().user > 2.5]) and time.monotonic() < until:
        time.sleep(0.2)
    assert len(busy) == 1
    os.killpg(caller.pid, signal.SIGINT)
    caller.wait(timeout=60)
    caller.stdout.close()
    _, alive = psutil.wait_procs(busy, timeout=30)
    assert alive == []


def test_golds_are_checked() -> None:
    check_golds([problem(0, "7"), problem(1, "\\text{east}"), problem(2, "\\frac{1}{2}")], workers=1, limit_seconds=10)
    with pytest.raises(StageError) as caught:
        check_golds([problem(0, "7"), problem(1, " "), problem(2, "\\frac{1}{")], workers=1, limit_seconds=10)
    assert "2 gold answers do not verify" in str(caught.value)
    assert "p1: ' ' is empty" in str(caught.value)
    assert "p2" in str(caught.value)
    assert "p0" not in str(caught.value)


def test_answer_classes_group_by_meaning_within_a_problem() -> None:
    given = [
        ("a", "5", "correct"),
        ("a", "5.0", "correct"),
        ("a", "\\frac{1}{2}", "wrong"),
        ("a", "0.5", "wrong"),
        ("a", None, "no_answer"),
        ("a", "7", "wrong"),
        ("b", "0.5", "wrong"),
    ]
    samples = [Sample(f"s{i}", p, "?", "5", "", i, 0, "stop", 1) for i, (p, _, _) in enumerate(given)]
    verdicts = [Verdict(f"s{i}", verdict, answer, "boxed") for i, (_, answer, verdict) in enumerate(given)]
    labels = answer_classes(samples, verdicts, workers=1, limit_seconds=20)
    assert [labels[f"s{i}"] for i in range(7)] == [0, 0, 1, 1, -1, 2, 1]


def test_plain_tuples_and_answerables_are_rows_alike() -> None:
    rows: list[Answerable | tuple[str, str, str]] = [
        ("a", "Answer: 5", "5"),
        Answerable("b", "Answer: 5", "5"),
        Answerable("c", "5.2", "5", "number", 0.25),
        Answerable("d", "5.2", "5", "number", 0.15),
        Answerable("e", "(b)", "B", "choice"),
        Answerable("f", "It does not. So no.", "False", "yes_no"),
        Answerable("g", "\\boxed{m+n=073}", "73", "integer"),
        Answerable("h", "73.0", "73", "integer"),
    ]
    assert [(v.id, v.verdict, v.rule) for v in grade(rows, workers=1, limit_seconds=5)] == [
        ("a", "correct", "answer_line"),
        ("b", "correct", "answer_line"),
        ("c", "correct", "bare"),
        ("d", "wrong", "bare"),
        ("e", "correct", "choice_letter"),
        ("f", "correct", "yes_no"),
        ("g", "correct", "boxed"),
        ("h", "wrong", "bare"),
    ]


def test_golds_are_checked_by_their_kind() -> None:
    given = [("7", "integer"), ("7.5", "integer"), ("B", "choice"), ("Paris", "choice"), ("yes", "yes_no")]
    given += [("maybe", "yes_no"), ("0.5, \\frac{1}{3}", "number"), ("\\boxed{12}", "integer")]
    problems = [Problem(f"p{i}", "?", answer, "test", kind=kind) for i, (answer, kind) in enumerate(given)]
    with pytest.raises(StageError) as caught:
        check_golds(problems, workers=1, limit_seconds=10)
    assert caught.value.message.splitlines() == [
        "3 gold answers do not verify against themselves:",
        "  p1: '7.5' is no plain integer",
        "  p3: 'Paris' is no letter",
        "  p5: 'maybe' is neither yes nor no",
    ]


def test_answer_classes_respect_kind_and_tolerance() -> None:
    def labels(answers: list[str], gold: str, kind: str, tolerance: float | None = None) -> list[int]:
        samples = [Sample(f"s{i}", "p", "?", gold, "", i, 0, "stop", 1, kind, tolerance) for i in range(len(answers))]
        verdicts = [Verdict(f"s{i}", "wrong", answer, "boxed") for i, answer in enumerate(answers)]
        found = answer_classes(samples, verdicts, workers=1, limit_seconds=20)
        return [found[f"s{i}"] for i in range(len(answers))]

    assert labels(["(A)", "\\text{A}", "C"], "B", "choice") == [1, 1, 2]
    assert labels(["73", "073", "74"], "12", "integer") == [1, 1, 2]
    assert labels(["no", "False"], "yes", "yes_no") == [1, 1]
    assert labels(["5.0", "5.1", "6"], "1", "number", 0.2) == [1, 1, 2]
    assert labels(["5.0", "5.1", "6"], "1", "number") == [1, 2, 3]
