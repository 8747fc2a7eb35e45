from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from distill_app.errors import StageError
from distill_app.skills.prefix import lines, prefix, put, verify
from distill_app.students.load import load_tokenizer
from distill_app.students.template import ChatTemplate
from distill_app.training.rows import TrainingRow, check, encode

CHAINS = ("Algebra -> Equations -> Solving linear equations", "Algebra -> Equations -> Factoring", "Logic")


@pytest.mark.parametrize(
    ("depth", "drop_short", "shown"),
    [
        (None, False, list(CHAINS)),
        (None, True, list(CHAINS)),
        (2, False, ["Algebra -> Equations", "Logic"]),
        (2, True, ["Algebra -> Equations"]),
        (1, True, ["Algebra", "Logic"]),
        (4, True, []),
        (4, False, list(CHAINS)),
    ],
)
def test_chains_are_cut_and_shown_once(depth: int | None, drop_short: bool, shown: list[str]) -> None:
    assert lines(CHAINS, depth=depth, drop_short=drop_short) == shown


def test_short_labels_take_the_place_of_names() -> None:
    labels = {"Solving linear equations": "Linear", "Factoring": "Linear", "Algebra": "Alg"}
    assert lines(CHAINS, depth=None, drop_short=False, labels=labels) == ["Alg -> Equations -> Linear", "Logic"]


WRITTEN = "Skills:\nA -> b\nC\n"


def test_the_prefix_is_a_head_and_a_chain_a_line() -> None:
    assert prefix(["A -> b", "C"]) == WRITTEN
    assert prefix([]) == ""


@pytest.mark.parametrize(
    ("text", "place", "written"),
    [
        ("3 + 4 = 7", "before", WRITTEN + "3 + 4 = 7"),
        ("<think>\nHm.\n</think>\n7", "before", WRITTEN + "<think>\nHm.\n</think>\n7"),
        ("<think>\nHm.\n</think>\n7", "inside_think", "<think>\n" + WRITTEN + "Hm.\n</think>\n7"),
        ("\n<think>Hm.</think>7", "inside_think", "\n<think>\n" + WRITTEN + "Hm.</think>7"),
        ("3 + 4 = 7", "inside_think", WRITTEN + "3 + 4 = 7"),
        ("Hm.</think>7", "inside_think", WRITTEN + "Hm.</think>7"),
        ("Look: <think>", "inside_think", WRITTEN + "Look: <think>"),
    ],
)
def test_the_trace_stays_as_it_is_behind_the_prefix(text: str, place: str, written: str) -> None:
    assert put(text, WRITTEN, place) == written
    assert put(text, "", place) == text


@pytest.fixture(scope="module")
def tokenizer(tiny_folder: Path) -> Any:
    return load_tokenizer(tiny_folder)


@pytest.mark.parametrize("place", ["before", "inside_think"])
@pytest.mark.parametrize("trace", ["<think>\nHm.\n</think>\n\n7", "3 + 4 = 7\nAnswer: 7"])
def test_what_is_trained_begins_with_the_skills(tokenizer: Any, place: str, trace: str) -> None:
    template = ChatTemplate(tokenizer, None, "{question}")
    written = prefix(["Number -> addition", "Data -> averages"])
    row = TrainingRow("r", "What is 3 + 4?", put(trace, written, place))
    (example,) = encode([row], template, 512).examples
    check(example, row, template, tokenizer)
    target = [label for label in example.labels if label != -100]
    verify("r", target, row.text, written, tokenizer)

    without = template.target_ids(trace)
    with pytest.raises(StageError, match=r"row r: .* 'Skills:.* is not in it"):
        verify("r", without, row.text, written, tokenizer)
    with pytest.raises(StageError, match="stands there twice"):
        verify("r", template.target_ids(put(row.text, written, place)), row.text, written, tokenizer)
    late = template.target_ids(trace + "\n" + written)
    with pytest.raises(StageError, match="is not its beginning"):
        verify("r", late, row.text, written, tokenizer)
    verify("r", without, trace, "", tokenizer)


def test_a_template_that_drops_it_is_found_out(tokenizer: Any) -> None:
    """As public templates do: only what stands from <think> on is kept of an assistant turn."""
    written = prefix(["Number -> addition"])
    text = put("<think>\nHm.\n</think>\n7", written, "before")
    rendered = text[text.index("<think>") :]
    with pytest.raises(StageError, match="lost on the way to tokens"):
        verify("r", tokenizer.encode(rendered, add_special_tokens=False), text, written, tokenizer)
