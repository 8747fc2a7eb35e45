"""Rows survive the trip to disk and back, and a crash in the middle of a line costs that line alone."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from distill_app.errors import StageError
from distill_app.records import Completion, Problem, Quality, Step, Trace, Verdict
from distill_app.store.rows import RowLog, column, mend, read, write

STEP = Step(3, "*", 5, 15, "apples in all the bags")
PROBLEM = Problem("p1", "3 bags of 5 apples?", "15", "test", "mul", ("multiplication",), None, (STEP,))
COMPLETIONS = [Completion("a", "Answer: 15 – “fine”\nnext line", "stop", 4, None), Completion("b", "", "missing")]


@pytest.mark.parametrize(
    "rows",
    [
        [PROBLEM, Problem("p2", "?", "1", "test")],
        [Quality("t", 0.75, (("answer", 1.0), ("steps", 0.5)))],
        [Trace("t", "p1", "q", "15", "text", "worked", "chain_of_thought", 0, 2**62, "stop")],
        COMPLETIONS,
    ],
)
def test_parquet_round_trip(tmp_path: Path, rows: list[object]) -> None:
    write(tmp_path / "rows.parquet", type(rows[0]), rows)
    assert read(tmp_path / "rows.parquet", type(rows[0])) == rows


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    write(path, Problem, [PROBLEM])
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", whole[:-4] + b"PAR2", b"PAR1" + bytes(len(whole) - 8) + b"PAR1"):
        path.write_bytes(content)
        with pytest.raises(StageError, match=r"rows\.parquet is damaged"):
            read(path, Problem)
    path.unlink()
    with pytest.raises(StageError, match=r"rows\.parquet is missing"):
        read(path, Problem)


def test_same_rows_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(tmp_path / name, Problem, [PROBLEM])
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_no_rows_keep_their_columns(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    write(tmp_path / "rows.parquet", Problem, [])
    assert pq.read_table(tmp_path / "rows.parquet").column_names == [field.name for field in fields(Problem)]
    assert read(tmp_path / "rows.parquet", Problem) == []


def test_log_drops_only_the_line_a_crash_cut(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    log = RowLog(path, Completion)
    log.append(COMPLETIONS)
    log.close()
    whole = path.read_bytes()
    for cut in range(1, 30):
        path.write_bytes(whole + b'{"id": "c", "text": "half of a line that was being written'[:cut])
        again = RowLog(path, Completion)
        assert again.rows == COMPLETIONS
        again.append([Completion("c", "x", "stop", 1)])
        again.close()
        assert [row.id for row in RowLog(path, Completion).rows] == ["a", "b", "c"]


def test_a_damaged_line_is_taken_out_and_named(tmp_path: Path) -> None:
    """Any bit of any line: the row of that line is made again, and no other."""
    path = tmp_path / "log.jsonl"
    log = RowLog(path, Completion)
    log.append([*COMPLETIONS, Completion("c", "x", "stop", 1)])
    log.close()
    whole = path.read_bytes()
    assert mend(path) is None
    assert path.read_bytes() == whole
    second = whole.index(b"\n") + 1
    for place in range(second, whole.index(b"\n", second)):
        for bit in (0x01, 0x10, 0x80):
            raw = bytearray(whole)
            raw[place] ^= bit
            path.write_bytes(raw)
            if raw[place] in b"\r\n":
                continue
            with pytest.raises(StageError, match="Line 2 of"):
                RowLog(path, Completion)
            told = "1 of the 3 finished rows in log.jsonl cannot be read (line 2); taken out, made again"
            assert mend(path) == told
            assert [row.id for row in RowLog(path, Completion).rows] == ["a", "c"]
    path.write_bytes(whole.replace(b"\n", b"\r"))
    assert mend(path) is None, "no line of it is whole: all are made again"
    assert RowLog(path, Completion).rows == []


def test_one_row_or_one_column_is_read_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.parquet"
    given = [Verdict(name, "wrong", None, name * 2) for name in "abc"]
    write(path, Verdict, given)
    assert read(path, Verdict, only="b") == [given[1]]
    assert read(path, Verdict, only="x") == []
    assert column(path, "rule") == ["aa", "bb", "cc"]
    with pytest.raises(StageError, match="missing"):
        column(tmp_path / "none.parquet", "rule")
    with pytest.raises(StageError, match="damaged"):
        column(path, "reason")
