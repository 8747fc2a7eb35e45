from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from distill_app.errors import StageError
from distill_app.records import Completion, Request, Trace
from distill_app.skills import Unmatched
from distill_app.skills.attribution import Options, Wave, attribute
from distill_app.skills.tree import ARROW, Tree, load, split
from tests.runtime import runtime
from tests.skills.test_tree import shared

TREE = Tree(
    "Maths",
    (
        Tree("Number", (Tree("addition"), Tree("division"), Tree("Parts", (Tree("fractions"), Tree("decimals"))))),
        Tree("Shape", (Tree("area"), Tree("perimeter"))),
        Tree("logic"),
    ),
)
OPTIONS = Options(fan_out=2, temperature=0.3, seed=7)


def trace(name: str, text: str = "<think>secret thoughts</think>So 7.") -> Trace:
    return Trace(name, f"problem of {name}", f"Question {name}?", "7", text, "t", "chain_of_thought", 0, 0, "stop")


class Script:
    """Answers as a model would, from a table: (row, node) -> its replies, one an attempt."""

    def __init__(self, replies: dict[tuple[str, str], list[str]]) -> None:
        self.replies = replies
        self.waves: list[list[Request]] = []

    def __call__(self, requests: list[Request]) -> list[Completion]:
        self.waves.append(requests)
        return [Completion(request.id, self._reply(request), "stop") for request in reversed(requests)]

    def _reply(self, request: Request) -> str:
        node = request.prompt.split('kinds of "')[1].split('"')[0]
        return self.replies[request.id.split("/")[0], node][request.id.endswith("/again")]


def test_all_rows_go_down_together_in_waves() -> None:
    ask = Script(
        {
            ("a", "Maths"): ['["Shape", "logic"]'],
            ("a", "Shape"): ['["area"]'],
            ("b", "Maths"): ['["Number"]'],
            ("b", "Number"): ['["Parts", "division"]'],
            ("b", "Number -> Parts"): ['["decimals", "fractions"]'],
            ("c", "Maths"): ["[]"],
        }
    )
    waves: list[Wave] = []
    found = attribute([trace("a"), trace("b"), trace("c")], TREE, ask, OPTIONS, waves.append)
    assert [row.chains for row in found.rows] == [
        ("Shape -> area", "logic"),
        ("Number -> division", "Number -> Parts -> fractions", "Number -> Parts -> decimals"),
        (),
    ]
    assert [row.reason for row in found.rows] == [None, None, "the teacher chose none of the skills shown"]
    assert waves == [Wave(1, 3, 3), Wave(2, 2, 2), Wave(3, 1, 1)]
    assert [len(wave) for wave in ask.waves] == [3, 2, 1]
    assert found.counts == {
        "rows": 3, "rows without skills": 1, "waves": 3, "calls": 6, "retries": 0, "unreadable": 0, "missing": 0,
        "names matched loosely": 0, "names not in the tree": 0, "answers over the fan-out": 0,
        "cut at the deepest level": 0, "rows without a final answer": 0,
    }  # fmt: skip


def test_what_the_teacher_is_asked() -> None:
    ask = Script({("a", "Maths"): ['["Shape"]'], ("a", "Shape"): ['["area"]']})
    attribute([trace("a", "<think>secret thoughts</think>\nSo {7}." + "x" * 30_000)], TREE, ask, OPTIONS)
    first, second = ask.waves[0][0], ask.waves[1][0]
    assert "Question a?" in first.prompt
    assert "secret" not in first.prompt
    assert "So {7}." in first.prompt
    assert first.prompt.count("x" * (20_000 - len("So {7}."))) == 1
    assert "x" * (20_001 - len("So {7}.")) not in first.prompt
    assert "- Number\n- Shape\n- logic\n" in first.prompt
    assert json.loads(str(second.schema)) == {
        "type": "array", "items": {"type": "string", "enum": ["area", "perimeter"]}, "maxItems": 2
    }  # fmt: skip
    assert first.problem.id == "problem of a"
    assert (first.temperature, first.sample) == (0.3, 0)
    assert first.id != second.id
    assert first.id.startswith("a/skills/")


def test_requests_depend_on_the_row_and_the_node_alone() -> None:
    replies = {(row, node): ['["Shape"]'] for row in "abc" for node in ("Maths", "Shape")}
    replies |= {(row, "Shape"): ['["area"]'] for row in "abc"}
    one, two = Script(replies), Script(replies)
    attribute([trace("a"), trace("b")], TREE, one, OPTIONS)
    attribute([trace("c"), trace("b"), trace("a")], TREE, two, OPTIONS)
    before = {request.id: request for wave in one.waves for request in wave}
    after = {request.id: request for wave in two.waves for request in wave}
    assert before.items() <= after.items()
    assert len(before) == 4
    other = Script(replies)
    attribute([trace("a")], TREE, other, Options(fan_out=2, temperature=0.3, seed=8))
    assert other.waves[0][0].id in before
    assert other.waves[0][0].seed != before[other.waves[0][0].id].seed


def test_a_caller_that_keeps_completions_goes_on_where_it_was() -> None:
    replies = {("a", "Maths"): ["no list", '["Number", "Shape"]'], ("a", "Number"): ['["addition"]'],
               ("a", "Shape"): ['["perimeter"]']}  # fmt: skip
    log: dict[str, Completion] = {}

    def keeping(ask: Callable[[list[Request]], list[Completion]], most: int) -> Callable[..., list[Completion]]:
        def answer(requests: list[Request]) -> list[Completion]:
            fresh = [request for request in requests if request.id not in log]
            log.update((completion.id, completion) for completion in ask(fresh[:most]))
            return [log[request.id] for request in requests if request.id in log]

        return answer

    with pytest.raises(StageError, match="no answer to 1 of 2 questions"):
        attribute([trace("a")], TREE, keeping(Script(replies), 1), OPTIONS)
    again = Script(replies)
    found = attribute([trace("a")], TREE, keeping(again, 9), OPTIONS)
    assert sum(len(wave) for wave in again.waves) == 1
    assert found.rows[0].chains == ("Number -> addition", "Shape -> perimeter")


def test_slips_are_mended_and_counted() -> None:
    ask = Script(
        {
            ("a", "Maths"): ['["nuumber", "SHAPE."]'],
            ("a", "Number"): ['["divison", "cookery", "division"]'],
            ("a", "Shape"): ["area, I think", 'Here: ["area"]'],
        }
    )
    found = attribute([trace("a")], TREE, ask, OPTIONS)
    assert found.rows[0].chains == ("Number -> division", "Shape -> area")
    assert found.counts["names matched loosely"] == 2
    assert found.counts["names not in the tree"] == 1
    assert found.unmatched == {"cookery": Unmatched(1, None)}
    assert (found.counts["retries"], found.counts["unreadable"], found.counts["calls"]) == (1, 0, 4)
    again = ask.waves[2][0]
    assert again.id == next(r.id for r in ask.waves[1] if "perimeter" in r.prompt) + "/again"
    assert "could not be read" in again.prompt
    assert again.seed != next(r.seed for r in ask.waves[1] if "perimeter" in r.prompt)


def test_unreadable_twice_drops_the_branch_and_says_so() -> None:
    ask = Script(
        {
            ("a", "Maths"): ['["Shape", "Number"]'],
            ("a", "Shape"): ["I do not know", "really not"],
            ("a", "Number"): ['["addition"]'],
            ("b", "Maths"): ['["Cooking"]', '["Baking"]'],
        }
    )
    found = attribute([trace("a"), trace("b")], TREE, ask, OPTIONS)
    assert found.rows[0].chains == ("Number -> addition",)
    assert found.rows[1].reason == "the teacher's answer could not be read"
    assert (found.counts["retries"], found.counts["unreadable"]) == (2, 2)
    assert found.counts["rows without skills"] == 1
    assert found.unmatched.keys() == {"Cooking", "Baking"}


def test_a_name_that_could_be_two_is_neither() -> None:
    tree = Tree("All", (Tree("sums of series A"), Tree("sums of series B")))
    replies = {("a", "All"): ['["sums of series C"]'] * 2, ("b", "All"): ['["sums of series b"]']}
    found = attribute([trace("a"), trace("b")], tree, Script(replies), OPTIONS)
    assert [row.chains for row in found.rows] == [(), ("sums of series B",)]
    assert found.unmatched["sums of series C"].nearest in {"sums of series A", "sums of series B"}


def test_too_many_are_cut_at_the_fan_out() -> None:
    ask = Script({("a", "Maths"): ['["logic", "logic", "Shape", "Number"]'], ("a", "Shape"): ['["area"]']})
    found = attribute([trace("a")], TREE, ask, OPTIONS)
    assert found.rows[0].chains == ("Shape -> area", "logic")
    assert found.counts["answers over the fan-out"] == 1
    assert found.counts["calls"] == 2


def test_the_published_tree_is_walked_in_spite_of_slips() -> None:
    """A teacher that knows each row's three chains and drops one character of every name it writes."""
    tree = load(shared("evaltree_math_tree.json")).tree
    rng = random.Random(0)
    wanted = {f"r{row}": set(rng.sample(tree.chains(), 3)) for row in range(25)}

    def ask(requests: list[Request]) -> list[Completion]:
        said = []
        for request in requests:
            node = request.prompt.split('kinds of "')[1].split('":\n')[0]
            above = "" if node == tree.name else node + ARROW
            through = [chain for chain in wanted[request.id.split("/")[0]] if chain.startswith(above)]
            names = sorted({chain.removeprefix(above).split(ARROW)[0] for chain in through})
            drop = rng.randrange(10)
            said.append(json.dumps([name[:drop] + name[drop + 1 :] for name in names]))
        return [Completion(request.id, text, "stop") for request, text in zip(requests, said, strict=True)]

    found = attribute([trace(name) for name in wanted], tree, ask, Options(fan_out=4, temperature=0.3, seed=0))
    assert all(set(row.chains) <= wanted[row.id] for row in found.rows)
    recovered = sum(len(row.chains) for row in found.rows)
    assert recovered >= 73
    assert found.counts["names matched loosely"] > 350
    assert found.counts["waves"] == max(len(split(chain)) for chains in wanted.values() for chain in chains)


def test_no_chain_goes_below_twenty_levels() -> None:
    node = Tree("n25")
    for level in range(24, 0, -1):
        node = Tree(f"n{level}", (node,))

    def ask(requests: list[Request]) -> list[Completion]:
        names = [json.loads(str(request.schema))["items"]["enum"] for request in requests]
        return [Completion(r.id, json.dumps(shown), "stop") for r, shown in zip(requests, names, strict=True)]

    found = attribute([trace("a")], Tree("top", (node,)), ask, OPTIONS)
    assert found.rows[0].chains == (" -> ".join(f"n{level}" for level in range(1, 21)),)
    assert found.counts["cut at the deepest level"] == 1


def test_no_skill_for_any_row_is_an_error_that_says_why() -> None:
    replies = {("a", "Maths"): ["[]"], ("b", "Maths"): ['["Cooking"]', "?"], ("c", "Maths"): ["[]"]}
    with pytest.raises(StageError) as caught:
        attribute([trace("a"), trace("b"), trace("c")], TREE, Script(replies), OPTIONS)
    assert "'Maths' in none of the 3 traces" in caught.value.message
    assert "chose none of the skills shown (2)" in caught.value.message
    assert "could not be read (1)" in caught.value.message
    assert "'Cooking'" in caught.value.message
    assert "`skills.teacher`" in caught.value.hint
    assert attribute([], TREE, Script({}), OPTIONS).rows == []


def test_what_the_teacher_lacks_is_counted() -> None:
    def ask(requests: list[Request]) -> list[Completion]:
        return [
            Completion(r.id, '["logic"]', "stop") if r.id.startswith("b") else Completion(r.id, "", "missing")
            for r in requests
        ]

    found = attribute([trace("a", "<think>cut"), trace("b")], TREE, ask, OPTIONS)
    assert found.rows[0].reason == "the teacher has no answer"
    assert (found.counts["missing"], found.counts["retries"], found.counts["rows without a final answer"]) == (1, 0, 1)


RUNTIME = runtime(sample_rows=8)


@pytest.mark.parametrize("constrained", [True, False])
def test_a_real_teacher(tiny_folder: Path, constrained: bool) -> None:
    """A model of random weights: held to the schema it names skills, without it nothing it says can be read."""
    from distill_app.teachers import transformers

    teacher = transformers.Options(
        model=str(tiny_folder), revision=None, dtype="float32", system_prompt=None, thinking=None,
        temperature=1.0, top_p=1.0, max_tokens=48,
    )  # fmt: skip

    def ask(requests: list[Request]) -> list[Completion]:
        return [answer for batch in transformers.complete(requests, teacher, runtime=RUNTIME, say=lambda _: None)
                for answer in batch]  # fmt: skip

    rows = [trace(f"row {index}") for index in range(6)]
    options = Options(fan_out=2, temperature=1.0, seed=1, constrained=constrained)
    if not constrained:
        with pytest.raises(StageError, match=r"could not be read \(6\)\. 12 questions, 6 of them asked again"):
            attribute(rows, TREE, ask, options)
        return
    found = attribute(rows, TREE, ask, options)
    assert {chain for row in found.rows for chain in row.chains} <= set(TREE.chains())
    assert any(row.chains for row in found.rows)
    for name in ("names not in the tree", "names matched loosely", "unreadable"):
        assert found.counts[name] == 0
    assert found == attribute(rows, TREE, ask, options)
