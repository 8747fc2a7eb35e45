"""Several paths a problem, each kept once."""

from __future__ import annotations

from distill_app.augmentations import resample
from distill_app.records import Problem
from tests.augmentations.scripted import grade, play

OPTIONS = resample.Options(prompt="{question}", samples=3, temperature=0.9)
PROBLEMS = [Problem("a", "Why?", "4", "s"), Problem("b", "How?", "4", "s"), Problem("c", "When?", "4", "s")]
SAID = {
    "a/tutor/resample/0": "2 + 2 = 4\nAnswer: 4",
    "a/tutor/resample/1": " 2 + 2 =  4 Answer: 4",
    "a/tutor/resample/2": "2 + 2 = 4\nanswer: 4",
    "b/tutor/resample/0": "2 + 2 = 4\nAnswer: 4",
    "b/tutor/resample/1": "4",
    "b/tutor/resample/2": "4",
    "c/tutor/resample/0": "",
    "c/tutor/resample/1": " ",
    "c/tutor/resample/2": "4",
}


def test_requests_follow_the_options_not_the_pool() -> None:
    _, (asked,) = play(resample.make(PROBLEMS, OPTIONS, samples=1, seed=0, teacher="tutor", grade=grade), SAID)
    assert [(r.id, r.temperature) for r in asked] == [(name, 0.9) for name in SAID]
    assert len({r.seed for r in asked}) == 9


def test_word_for_word_repeats_of_a_problem_are_rejected() -> None:
    for problems in (PROBLEMS, PROBLEMS[::-1]):
        made, _ = play(resample.make(problems, OPTIONS, samples=1, seed=0, teacher="tutor", grade=grade), SAID)
        repeats = {"a/tutor/resample/1", "b/tutor/resample/2"}
        assert {trace.id for trace in made.kept} == set(SAID) - repeats
        assert {(one.id, one.why, one.reason, one.text) for one in made.rejected} == {
            ("a/tutor/resample/1", "repeat", "repeats a/tutor/resample/0 word for word", " 2 + 2 =  4 Answer: 4"),
            ("b/tutor/resample/2", "repeat", "repeats b/tutor/resample/1 word for word", "4"),
        }
