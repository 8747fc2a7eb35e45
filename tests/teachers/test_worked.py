"""The worked teacher: styles and mistakes at their rates, and no mistake that is right."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import replace

import pytest

from distill_app.augmentations import ask
from distill_app.errors import StageError
from distill_app.problems import word_problems
from distill_app.quality import _equations
from distill_app.recipe.model import build
from distill_app.records import Completion, Problem, Request, Step
from distill_app.teachers import worked

NO_MISTAKE = {"wrong_arithmetic": 0.0, "wrong_operation": 0.0, "off_topic": 0.0, "guess": 0.0}
STYLES = {"clean": 2, "verbose": 1, "chatty": 1}


def options(styles: dict[str, float] | None = None, **mistakes: float) -> worked.Options:
    return build(worked.Options, {"styles": styles or STYLES, "mistakes": {**NO_MISTAKE, **mistakes}})


def requests(count: int, samples: int = 1, difficulty: str = "small") -> list[Request]:
    problems = word_problems.generate("train", count, None, {}, difficulty, 0)
    return ask(problems, "{question}", samples=samples, seed=5, teacher="worked", augmentation="chain_of_thought")


def completions(asked: list[Request], chosen: worked.Options) -> list[Completion]:
    return [done for batch in worked.complete(asked, chosen) for done in batch]


def answer(text: str) -> str:
    lines = re.findall(r"^Answer: (\S+)$", text, re.MULTILINE)
    assert len(lines) == 1, text
    return str(lines[0])


def test_clean_is_the_worked_solution() -> None:
    asked = requests(60)
    for request, done in zip(asked, completions(asked, options({"clean": 1, "verbose": 0, "chatty": 0})), strict=True):
        assert done == Completion(request.id, request.problem.solution or "", "stop", None, "clean")


def test_every_style_holds_all_steps_and_the_answer() -> None:
    asked = requests(300)
    done = completions(asked, options())
    assert {c.note for c in done} == {"clean", "verbose", "chatty"}
    for request, completion in zip(asked, done, strict=True):
        equations = _equations.find(completion.text)
        assert [e.result for e in equations] == [s.result for s in request.problem.steps]
        assert all(e.holds for e in equations)
        assert answer(completion.text) == request.problem.answer
        ends = completion.text.splitlines()[-1].startswith("Answer:")
        assert ends == (completion.note != "chatty")
        if completion.note == "verbose":
            assert all(step.label in completion.text for step in request.problem.steps)


@pytest.mark.parametrize("difficulty", ["small", "medium", "large"])
@pytest.mark.parametrize("mistake", ["wrong_arithmetic", "wrong_operation", "off_topic"])
def test_mistakes_are_never_right(mistake: str, difficulty: str) -> None:
    asked = requests(420, difficulty=difficulty)
    for request, done in zip(asked, completions(asked, options(**{mistake: 1.0})), strict=True):
        assert done.note is not None
        assert done.note.endswith(f"+{mistake}")
        assert answer(done.text) != request.problem.answer
        equations = _equations.find(done.text)
        wrong = [e for e in equations if not e.holds]
        if mistake == "wrong_arithmetic":
            assert len(equations) == len(request.problem.steps)
            assert len(wrong) == 1
        else:
            assert wrong == []
        # No more than two decimals are ever written, and the last result is the answer given.
        assert not re.search(r"\.\d{3}", done.text)
        assert equations[-1].text.endswith(f"={answer(done.text)}")


def test_an_error_is_carried_through() -> None:
    """Worked by hand: 3 * 5 = 15, 15 + 4 = 19; every wrong form keeps the later step consistent with the earlier."""
    steps = (Step(3, "*", 5, 15, "packed"), Step(15, "+", 4, 19, "total"))
    problem = Problem("p", "3 bags of 5 and 4 more?", "19", "builtin:word_problems", steps=steps)
    seen = set()
    for seed in range(200):
        request = Request("r", problem, "", 0, seed)
        (done,) = completions([request], options({"clean": 1, "verbose": 0, "chatty": 0}, wrong_arithmetic=1))
        first, second, _ = done.text.splitlines()
        result = first.removeprefix("3 * 5 = ")
        assert second.startswith(f"{result} + 4 = ")
        seen.add((result == "15", second.endswith(f"= {int(result) + 4}")))
    # Either the first step is off and the second follows from it, or the second is off.
    assert seen == {(False, True), (True, False)}


def test_off_topic_solves_another_problem_of_the_list() -> None:
    asked = requests(100)
    solutions = {request.problem.solution for request in asked}
    for request, done in zip(asked, completions(asked, options(off_topic=1.0)), strict=True):
        assert done.note == "clean+off_topic"
        assert done.text in solutions
        assert done.text != request.problem.solution


def test_a_guess_has_no_step_and_is_usually_wrong() -> None:
    asked = requests(400)
    done = completions(asked, options(guess=1.0))
    assert all(re.fullmatch(r"Answer: \d+", c.text) for c in done)
    right = sum(answer(c.text) == r.problem.answer for r, c in zip(asked, done, strict=True))
    # One of at most 11 numbers: 9 % for most; 20 % would be 7 standard errors away.
    assert 0 < right < 80


def test_rates_are_the_stated_ones() -> None:
    asked = requests(500, samples=4)
    done = completions(asked, options(wrong_arithmetic=0.18, wrong_operation=0.15, off_topic=0.08, guess=0.06))
    kinds = Counter((c.note or "").rpartition("+")[2] for c in done)
    # The standard error of a share near 0.2 in 2,000 draws is 0.009.
    assert kinds["wrong_arithmetic"] / 2000 == pytest.approx(0.18, abs=0.03)
    assert kinds["wrong_operation"] / 2000 == pytest.approx(0.15, abs=0.03)
    assert kinds["off_topic"] / 2000 == pytest.approx(0.08, abs=0.025)
    assert kinds["guess"] / 2000 == pytest.approx(0.06, abs=0.025)
    styles = Counter(c.note for c in done if c.note in STYLES)
    assert styles["clean"] / sum(styles.values()) == pytest.approx(0.5, abs=0.06)


def test_a_part_of_the_requests_in_another_order_gets_the_same_answers() -> None:
    asked = requests(200)
    chosen = options(wrong_arithmetic=0.3, wrong_operation=0.2, off_topic=0.3, guess=0.1)
    whole = {c.id: c for c in completions(asked, chosen)}
    part = asked[150:20:-1]
    random.Random(0).shuffle(part)
    problems = [request.problem for request in asked]
    again = [c for batch in worked.complete(part, chosen, problems=problems) for c in batch]
    assert [c.id for c in again] == [r.id for r in part]
    assert all(whole[c.id] == c for c in again)
    other = [replace(request, seed=request.seed + 1) for request in asked]
    assert completions(other, chosen) != list(whole.values())


def test_what_cannot_be_written_is_a_plain_error() -> None:
    plain = Problem("row-1", "Why?", "4", "jsonl")
    with pytest.raises(StageError, match="'row-1' has none"):
        completions([Request("r", plain, "", 0, 0)], options())
    with pytest.raises(StageError, match="no other problem"):
        completions(requests(1), options(off_topic=1.0))
    with pytest.raises(StageError, match=r"add up to 1\.2"):
        completions(requests(1), options(off_topic=0.6, guess=0.6))
    with pytest.raises(StageError, match="weigh 0"):
        completions(requests(1), options({"clean": 0, "verbose": 0, "chatty": 0}))
