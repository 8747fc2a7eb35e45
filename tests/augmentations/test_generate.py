"""The generate stage: rounds driven through a teacher, logged, resumed from any point, and what is left on disk."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from distill_app.errors import StageError
from distill_app.records import Completion, Problem, Trace
from distill_app.stages import Context, Summary, generate
from distill_app.store import rows
from tests.augmentations.scripted import Said, Teacher, defaults, problem
from tests.runtime import runtime

RUNTIME = runtime(sample_rows=8, grade_workers=1)
PENS = problem("pens", "Tom buys 3 pens for 2 dollars each. How much does he pay?", "6")
EGGS = problem("eggs", "Ann has 12 eggs and breaks 5. How many are whole?", "7")
CUPS = problem("cups", "Bob fills 4 cups with 2 spoons of tea each. How many spoons is that?", "8")
GIVEN = [PENS, EGGS, CUPS]
REVERSE: dict[str, Said] = {}
"""All that reverse asks of two samples of each problem: four groups stay, one falls at the first step, one at the
last."""
for _problem, _answer, _stated in ((PENS, 6, "3"), (EGGS, 7, "5"), (CUPS, 8, "4")):
    for _sample in range(2):
        _name = f"{_problem.id}/tutor/reverse/{_sample}"
        _back = {"question": f"The answer is {_answer}, variant {_sample}. What was left out?", "answer": _stated}
        REVERSE[_name] = f"Answer: {_answer}" if _name != "eggs/tutor/reverse/1" else "Answer: 1"
        REVERSE[f"{_name}/backward_question"] = json.dumps(_back)
        REVERSE[f"{_name}/backward_solve"] = f"Answer: {_stated}"
        _fits = _name != "cups/tutor/reverse/0"
        REVERSE[f"{_name}/consistency"] = json.dumps({"why": "So it is.", "consistent": _fits})
ASKED = set(REVERSE) - {
    f"eggs/tutor/reverse/1/{step}" for step in ("backward_question", "backward_solve", "consistency")
}


class Stage:
    """One stage in a folder: its problems, its events, and running it with a teacher."""

    def __init__(self, folder: Path, given: list[Problem] = GIVEN) -> None:
        self.folder = folder / "stage.partial"
        self.folder.mkdir(parents=True)
        self.problems = folder / "problems"
        self.problems.mkdir()
        rows.write(self.problems / "problems.parquet", Problem, given)
        self.events: list[tuple[str, Mapping[str, Any]]] = []

    def run(
        self, teacher: Teacher, name: str = "reverse", samples: int = 2, limit: int | None = None, **changes: Any
    ) -> Summary:
        sys.modules["distill_app.teachers.scripted"] = teacher  # type: ignore[assignment]
        options = {} if name.endswith("as_written") else {**defaults(name), **changes}
        return generate.run(self.context(
            {"name": "tutor", "backend": "scripted", "limit": limit}, {"name": name, "version": 1, **options}, samples
        ))  # fmt: skip

    def context(self, teacher: dict[str, Any], augmentation: dict[str, Any], samples: int) -> Context:
        return Context(
            name="generate[tutor]",
            options={"teacher": teacher, "augmentation": augmentation, "samples": samples, "seed": 3},
            inputs={"problems": (self.problems,)},
            local={},
            runtime=RUNTIME,
            folder=self.folder,
            emit=lambda kind, values: self.events.append((kind, values)),
        )

    @property
    def log(self) -> Path:
        return self.folder / "work" / "completions.jsonl"

    def traces(self) -> list[Trace]:
        return rows.read(self.folder / generate.FILE, Trace)

    def rejected(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads((self.folder / generate.REJECTED).read_text())
        return found


@pytest.fixture(autouse=True)
def _no_teacher_left() -> Iterator[None]:
    yield
    sys.modules.pop("distill_app.teachers.scripted", None)


def test_rounds_through_a_teacher(tmp_path: Path) -> None:
    stage, teacher = Stage(tmp_path), Teacher(REVERSE)
    summary = stage.run(teacher)
    assert len(teacher.asked) == len(set(teacher.asked)) == 6 + 5 + 5 + 5
    assert set(teacher.asked) == ASKED
    assert [len(asked) for asked in teacher.rounds] == [6, 5, 5, 5]
    assert teacher.finished == [0, 6, 11, 16], "what was paid for in earlier rounds counts"
    assert [trace.id for trace in stage.traces()][:3] == [
        "pens/tutor/reverse/0", "pens/tutor/reverse/0/backward_question", "pens/tutor/reverse/0/backward_solve",
    ]  # fmt: skip
    assert len(stage.traces()) == summary.rows == 12
    assert [(one["id"], one["step"], one["why"], one["reason"], one["text"]) for one in stage.rejected()] == [
        ("eggs/tutor/reverse/1", "forward", "wrong answer", "answered 1, not the gold 7", "Answer: 1"),
        ("cups/tutor/reverse/0", "consistency", "inconsistent",
         "the teacher judged the two inconsistent: So it is.", REVERSE["cups/tutor/reverse/0/consistency"]),
    ]  # fmt: skip
    assert summary.counts == {
        "asked": 21, "missing": 0, "rejected": 2, "rejected: inconsistent": 1, "rejected: wrong answer": 1,
        "groups asked for": 6, "backward questions": 5, "backward solutions": 5, "consistency judged": 5,
        "groups kept": 4, "problems given": 3, "finish stop": 12,
    }  # fmt: skip
    words = sum(len(str(REVERSE[name]).split()) for name in ASKED)
    assert summary.tokens == words, "all that the teacher wrote, kept or not"
    told = [values for kind, values in stage.events if kind == "progress"]
    assert (told[-1]["done"], told[-1]["total"], told[-1]["tokens"]) == (21, 21, words)
    assert [values["done"] for values in told] == sorted(values["done"] for values in told)
    assert [values["message"] for kind, values in stage.events if kind == "log"] == ["The script is read."]


def test_killed_after_any_answer_it_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    whole = Stage(tmp_path / "whole")
    whole.run(Teacher(REVERSE))
    log = whole.log.read_bytes()
    ends = [0, *(at + 1 for at, byte in enumerate(log) if byte == ord("\n"))]
    assert len(ends) == 22
    for kept, end in enumerate(ends):
        stage, teacher = Stage(tmp_path / str(kept)), Teacher(REVERSE)
        stage.log.parent.mkdir()
        stage.log.write_bytes(log[: end + 20])  # a part of the next line was written too
        summary = stage.run(teacher)
        for name in (generate.FILE, generate.REJECTED):
            assert (stage.folder / name).read_bytes() == (whole.folder / name).read_bytes(), f"after {kept} answers"
        known = {json.loads(line)["id"] for line in log[:end].splitlines()}
        assert len(known) == kept
        assert sorted(teacher.asked) == sorted(ASKED - known), "what is answered is not asked again"
        assert summary.counts["asked"] == 21
        assert len(stage.log.read_bytes().splitlines()) == 21


def test_a_teacher_that_fails_leaves_what_it_answered(tmp_path: Path) -> None:
    stage, torn, whole = Stage(tmp_path), Teacher(REVERSE, dies_after=8), Teacher(REVERSE)
    with pytest.raises(ConnectionError):
        stage.run(torn)
    assert len(stage.log.read_bytes().splitlines()) == 8
    stage.run(whole)
    assert set(torn.asked) & set(whole.asked) == set()
    assert [len(asked) for asked in whole.rounds] == [5, 5, 5], "the first round was all there"
    assert whole.rounds[0] == [name for name in ASKED_IN_ORDER if name.endswith("backward_question")]
    assert whole.finished == [8, 11, 16]
    assert len(stage.traces()) == 12


ASKED_IN_ORDER = [name for name in REVERSE if name in ASKED]


def test_every_sample_is_a_group_or_has_its_reason(tmp_path: Path) -> None:
    """One answer after the other is made missing: the teacher has none to it."""
    for place, name in enumerate(ASKED_IN_ORDER):
        stage = Stage(tmp_path / str(place))
        summary = stage.run(Teacher({**REVERSE, name: Completion(name, "", "missing", note="refused by the server")}))
        assert len({trace.group for trace in stage.traces()}) + len(stage.rejected()) == 6
        assert summary.counts["missing"] == 1
        assert summary.counts["missing"] + summary.counts["rejected"] == len(stage.rejected())
        (missing,) = [one for one in stage.rejected() if one["why"] == "missing"]
        assert (missing["reason"], missing["id"]) == ("refused by the server", "/".join(name.split("/")[:4]))


def test_an_answer_that_never_comes_ends_the_stage(tmp_path: Path) -> None:
    class Lazy(Teacher):
        def complete(self, requests: Any, options: Any, **context: Any) -> Iterator[list[Completion]]:
            batches = super().complete(requests, options, **context)
            yield next(batches)

    with pytest.raises(StageError, match=r"no answer to 4 of 6 prompts, such as 'eggs/tutor/reverse/0'"):
        Stage(tmp_path).run(Lazy(REVERSE))


def test_a_program_needs_no_log(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    script = {f"{one.id}/tutor/chain_of_thought/0": f"Answer: {one.answer}" for one in GIVEN}
    summary = stage.run(Teacher(script, model=False), "chain_of_thought", 1)
    assert not stage.log.exists()
    assert [trace.text for trace in stage.traces()] == ["Answer: 6", "Answer: 7", "Answer: 8"]
    assert summary.counts == {"asked": 3, "missing": 0, "rejected": 0, "problems given": 3, "finish stop": 3}
    assert not (stage.folder / generate.REJECTED).exists()


@pytest.mark.parametrize("name", ["as_written", "_as_written"])
def test_traces_as_they_are_written(tmp_path: Path, name: str) -> None:
    stage = Stage(tmp_path)
    script: dict[str, Said] = {f"{one.id}/tutor/as_written/0": f"It is {one.answer}." for one in GIVEN}
    script["eggs/tutor/as_written/0"] = Completion("eggs/tutor/as_written/0", "", "missing")
    summary = stage.run(Teacher(script, model=False), name, 1)
    assert [(trace.id, trace.augmentation) for trace in stage.traces()] == [
        ("pens/tutor/as_written/0", "as_written"), ("cups/tutor/as_written/0", "as_written"),
    ]  # fmt: skip
    assert (summary.counts["missing"], summary.counts["rejected"]) == (1, 0)
    assert [(one["problem_id"], one["reason"]) for one in stage.rejected()] == [
        ("eggs", "the teacher has no answer to this")
    ]


def test_no_trace_at_all_stops_the_stage_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    stage = Stage(tmp_path / "none" / "model")
    wrong = {name: said if "/" in name.removeprefix("x") and name.count("/") > 3 else "Answer: 1"
             for name, said in REVERSE.items()}  # fmt: skip
    with pytest.raises(StageError) as caught:
        stage.run(Teacher(wrong))
    assert "of 6 samples none became a trace: wrong answer (6)" in caught.value.message
    assert "The first, pens/tutor/reverse/0, fell at forward: answered 1, not the gold 6." in caught.value.message
    assert str(stage.folder / generate.REJECTED) in caught.value.hint
    assert len(stage.rejected()) == 6
    other = Stage(tmp_path / "none" / "program")
    script = {f"{one.id}/tutor/as_written/0": Completion(f"{one.id}/tutor/as_written/0", "", "missing")
              for one in GIVEN}  # fmt: skip
    with pytest.raises(StageError, match="has no trace for any of the 3 prompts"):
        other.run(Teacher(script, model=False), "as_written", 1)


def test_long_texts_are_kept_by_their_ends(tmp_path: Path) -> None:
    stage = Stage(tmp_path, [PENS, EGGS])
    long = "a" * 1500 + "b" * 1500
    script = {
        "pens/tutor/reverse/0": long,
        **{n: s for n, s in REVERSE.items() if n.startswith("eggs/tutor/reverse/0")},
    }
    stage.run(Teacher(script), samples=1)
    (one,) = stage.rejected()
    assert one["text"] == "a" * 1000 + "\n[... 1000 characters ...]\n" + "b" * 1000


def test_what_is_counted_and_what_a_seed_really_was(tmp_path: Path) -> None:
    stage = Stage(tmp_path, [PENS, EGGS])
    names = [f"{one.id}/tutor/chain_of_thought/0" for one in (PENS, EGGS)]
    script = {names[0]: Completion(names[0], "6", "stop", 4, prompt_tokens=30, seed=11), names[1]: "7"}
    summary = stage.run(Teacher(script), "chain_of_thought", 1)
    assert summary.counts["prompt tokens"] == 30
    assert summary.tokens == 5
    assert stage.traces()[0].seed == 11
    assert stage.traces()[1].seed != 11


def test_a_limit_draws_problems_by_the_seed(tmp_path: Path) -> None:
    many = [problem(f"p{n}", f"What is {n}?", str(n)) for n in range(40)]
    ten = generate.limited(many, 10, 3)
    assert len(ten) == 10
    assert [int(one.id[1:]) for one in ten] == sorted(int(one.id[1:]) for one in ten)
    assert set(ten) < set(generate.limited(many, 20, 3))
    assert set(ten) == set(generate.limited(many[::-1], 10, 3))
    assert ten != generate.limited(many, 10, 4)
    assert generate.limited(many, None, 3) == generate.limited(many, 40, 3) == many
    stage = Stage(tmp_path, many)
    script = {f"{one.id}/tutor/chain_of_thought/0": "1" for one in ten}
    assert stage.run(Teacher(script), "chain_of_thought", 1, limit=10).rows == 10
