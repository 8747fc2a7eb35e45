"""Several paths a problem, each kept once."""

from __future__ import annotations

from distill_app.augmentations import resample
from distill_app.records import Problem, Trace


def trace(name: str, problem: str, text: str, sample: int) -> Trace:
    return Trace(name, problem, "q", "1", text, "tutor", "resample", sample, 0, "stop")


def test_requests_follow_the_options_not_the_pool() -> None:
    options = resample.Options(prompt="{question}", samples=3, temperature=0.9)
    asked = resample.requests([Problem("p", "Why?", "1", "s")], options, samples=1, seed=0, teacher="tutor")
    assert [(r.id, r.temperature) for r in asked] == [(f"p/tutor/resample/{n}", 0.9) for n in range(3)]
    assert len({r.seed for r in asked}) == 3


def test_word_for_word_repeats_of_a_problem_are_dropped() -> None:
    one = trace("a0", "a", "2 + 2 = 4\nAnswer: 4", 0)
    again = trace("a1", "a", " 2 + 2 =  4 Answer: 4", 1)
    case = trace("a2", "a", "2 + 2 = 4\nanswer: 4", 2)
    elsewhere = trace("b0", "b", "2 + 2 = 4\nAnswer: 4", 0)
    missing = [trace("c0", "c", "", 0), trace("c1", "c", "", 1)]
    for order in ([one, again, case, elsewhere, *missing], [*missing, elsewhere, case, again, one]):
        finished = resample.finish(order)
        assert {t.id for t in finished.kept} == {"a0", "a2", "b0", "c0", "c1"}
        assert finished.rejected == [(again, "repeats a0 word for word")]
