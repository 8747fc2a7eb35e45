"""Chains of skills at the start of what a teacher writes: the form they get, and what is turned down."""

from __future__ import annotations

from dataclasses import replace

import pytest

from distill_app.augmentations import skill_chain
from distill_app.records import Completion, Problem
from distill_app.skills.prefix import prefix
from tests.augmentations.scripted import Said, defaults, grade, play, problem

OPTIONS = skill_chain.Options(**defaults("skill_chain"))
NAME = "pens/tutor/skill_chain/0"
PENS = problem("pens", "Tom buys 3 pens for 2 dollars each. How much does he pay?", "6")
SKILLED = replace(PENS, skills=("finding a total", "units of money"))
CHAINS = ("Arithmetic -> Multiplication", "Arithmetic -> Money -> Dollars")
WRITTEN = prefix(CHAINS)


def one(said: Said, pens: Problem = PENS, **changes: object) -> str | tuple[str, str]:
    """The text of the one trace, or (why, reason)."""
    options = replace(OPTIONS, **changes)  # type: ignore[arg-type]
    made, _ = play(skill_chain.make([pens], options, samples=1, seed=3, teacher="tutor", grade=grade), {NAME: said})
    if made.kept:
        (trace,) = made.kept
        assert (trace.id, trace.question, trace.task) == (NAME, PENS.question, "solve")
        return trace.text
    (row,) = made.rejected
    assert (row.id, row.step) == (NAME, "answer")
    return row.why, row.reason


@pytest.mark.parametrize(
    "said",
    [
        f"{WRITTEN}\n3 * 2 = 6\nAnswer: 6",
        f"\n{WRITTEN}\n\n\n3 * 2 = 6\nAnswer: 6\n",
        "Skills: \n- Arithmetic->Multiplication\n- Arithmetic  →  Money -> Dollars \n\n3 * 2 = 6\nAnswer: 6",
        "Skills:\n1. Arithmetic -> Multiplication\n2) Arithmetic -> Money -> Dollars\n\n3 * 2 = 6\nAnswer: 6",
        f"{WRITTEN}{CHAINS[0]}\n\n3 * 2 = 6\nAnswer: 6",
    ],
)
def test_the_block_gets_the_form_of_skill_aware_training(said: str) -> None:
    assert one(said) == "Skills:\nArithmetic -> Multiplication\nArithmetic -> Money -> Dollars\n3 * 2 = 6\nAnswer: 6"


def test_the_block_stands_before_the_think_block() -> None:
    thought = "<think>\nWell -> well.\n\nYes.\n</think>\n\n"
    assert one(f"{thought}{WRITTEN}\nAnswer: 6") == f"{WRITTEN}{thought}Answer: 6"


def test_reasoning_may_hold_arrows() -> None:
    assert one(f"{WRITTEN}\n3 pens -> 6 dollars\nAnswer: 6") == f"{WRITTEN}3 pens -> 6 dollars\nAnswer: 6"


@pytest.mark.parametrize(
    ("said", "why", "reason"),
    [
        ("", "empty", "the teacher wrote nothing, or nothing after thinking"),
        ("<think>Skills:\nA -> B\n\n6", "empty", "the teacher wrote nothing, or nothing after thinking"),
        ("3 * 2 = 6", "no skills", "does not begin with a line 'Skills:'"),
        (f"Sure!\n{WRITTEN}\n6", "no skills", "does not begin with a line 'Skills:'"),
        ("Skills: Arithmetic -> Money\n\n6", "no skills", "does not begin with a line 'Skills:'"),
        ("Skills:\n\nArithmetic -> Money\n\n6", "no skills", "names no chain of skills"),
        ("Skills:\nArithmetic\n\n6", "no chain", "'Arithmetic' stands among the chains and has no arrow"),
        (f"{WRITTEN}3 * 2 = 6", "no chain", "'3 * 2 = 6' stands among the chains and has no arrow"),
        ("Skills:\nArithmetic ->\n\n6", "no chain", "'Arithmetic ->' has an arrow with nothing beside it"),
        ("Skills:\nArithmetic -> " + "so " * 40 + "\n\n6", "no chain", "'Arithmetic -> so so"),
        ("Skills:\nA -> B\nA -> C\nA -> D\n\n6", "too many chains", "names 3 chains, more than 2"),
        (WRITTEN, "no reasoning", "stops after its skills"),
        (Completion(NAME, "", "missing", note="refused"), "missing", "refused"),
    ],
)
def test_what_is_not_in_the_form_is_rejected(said: Said, why: str, reason: str) -> None:
    found = one(said, max_chains=2)
    assert isinstance(found, tuple)
    assert found[0] == why
    assert found[1].startswith(reason)


def test_known_skills_are_shown_and_held_to() -> None:
    rounds = skill_chain.make(
        [SKILLED, replace(PENS, id="other")], OPTIONS, samples=1, seed=3, teacher="tutor", grade=grade
    )
    with_skills, without = next(rounds)
    assert "\n- finding a total\n- units of money\n" in with_skills.prompt
    assert "at most 5 lines" in with_skills.prompt
    assert "known to take" not in without.prompt
    assert "at most 5 lines" in without.prompt
    assert one("Skills:\nArithmetic -> Finding a Total\n\n6", SKILLED) == "Skills:\nArithmetic -> Finding a Total\n6"
    assert one(f"{WRITTEN}\n6", SKILLED) == (
        "other skills",
        "'Arithmetic -> Multiplication' ends in none of the problem's skills (finding a total, units of money)",
    )


def test_a_cut_answer_stays_and_says_so() -> None:
    cut = Completion(NAME, f"{WRITTEN}\n3 * 2", "length", 20)
    made, _ = play(skill_chain.make([PENS], OPTIONS, samples=1, seed=3, teacher="tutor", grade=grade), {NAME: cut})
    assert [(trace.finish_reason, trace.tokens) for trace in made.kept] == [("length", 20)]


def test_prompts_that_lack_a_part_are_named() -> None:
    assert skill_chain.check(OPTIONS) == []
    (fault,) = skill_chain.check(replace(OPTIONS, skills_prompt="{question}"))
    assert fault == ("skills_prompt", "{skills} is lacking in this prompt.", "Write {skills} where it is to stand.")


def test_the_examples_of_the_default_prompts_are_in_the_form() -> None:
    for prompt in (OPTIONS.prompt, OPTIONS.skills_prompt):
        shown = prompt[prompt.index("\nSkills:\n") : prompt.index("The problem:")]
        assert skill_chain._in_form(shown, (), OPTIONS.max_chains).count(" -> ") == 4
