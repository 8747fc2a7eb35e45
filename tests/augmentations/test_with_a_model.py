"""Augmentations with a real model that is held to their JSON Schemas. It is a random one: what it writes is noise, in
the form asked for."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from distill_app.augmentations import Rounds, rephrase, reverse
from distill_app.records import Completion, Request
from distill_app.students import quiet
from distill_app.teachers import transformers as teacher
from tests.augmentations.scripted import defaults, grade, problem
from tests.augmentations.test_generate import RUNTIME
from tests.tiny import TOKENIZER_FILES

PENS = problem("pens", "Tom buys 3 pens for 2 dollars each. How much does he pay?", "6")


@pytest.fixture(scope="module")
def quoting(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny student with large weights on quotation marks: about every third token is one, so that strings end."""
    quiet.libraries()
    import torch
    from transformers import AutoTokenizer, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("quoting")
    model = LlamaForCausalLM.from_pretrained(tiny_folder)
    mark = AutoTokenizer.from_pretrained(tiny_folder).encode('"', add_special_tokens=False)
    assert len(mark) == 1
    with torch.no_grad():
        model.get_input_embeddings().weight[mark[0]] *= 60
    model.save_pretrained(folder)
    for name in TOKENIZER_FILES:
        (folder / name).write_bytes((tiny_folder / name).read_bytes())
    return folder


def answered(requests: list[Request], model: Path) -> dict[str, Completion]:
    options = teacher.Options(
        model=str(model), revision=None, dtype="float32", system_prompt=None, thinking=None, temperature=1.0, top_p=1.0,
        max_tokens=48,
    )  # fmt: skip
    batches = teacher.complete(requests, options, runtime=RUNTIME, say=print)
    return {answer.id: answer for batch in batches for answer in batch}


def json_of(answers: dict[str, Completion]) -> list[dict[str, object]]:
    """The replies that were not cut, read by a reader that takes no fence and no words around them."""
    return [json.loads(answer.text) for answer in answers.values() if answer.finish_reason == "stop"]


def test_new_wordings_are_json_and_every_one_has_its_reason(quoting: Path) -> None:
    options = rephrase.Options(**{**defaults("rephrase"), "max_length_ratio": 100.0, "same_numbers": False})
    rounds = rephrase.make([PENS], options, samples=16, seed=3, teacher="tiny", grade=grade)
    wordings = answered(next(rounds), quoting)
    replies = json_of(wordings)
    assert len(replies) >= 8
    assert all(list(reply) == ["question"] for reply in replies)
    asked = rounds.send(wordings)
    with pytest.raises(StopIteration) as end:
        rounds.send({request.id: Completion(request.id, "Answer: 6", "stop") for request in asked})
    made = end.value.value
    why = Counter(row.why for row in made.rejected)
    assert len(made.kept) == len(asked) == made.counts["wordings answered"]
    assert len(made.kept) + len(made.rejected) == 16
    assert why["unreadable"] == 0
    assert why["cut"] == 16 - len(replies)


def test_backward_questions_and_judgements_are_json(quoting: Path) -> None:
    options = reverse.Options(**{**defaults("reverse"), "answer_given": False, "backward_correct": False})
    rounds: Rounds = reverse.make([PENS], options, samples=16, seed=3, teacher="tiny", grade=grade)
    right = {request.id: Completion(request.id, "Answer: 6", "stop") for request in next(rounds)}
    turned = answered(rounds.send(right), quoting)
    replies = json_of(turned)
    assert len(replies) >= 8
    assert all(list(reply) == ["question", "answer"] for reply in replies)
    asked = rounds.send(turned)
    judged = answered(rounds.send({request.id: Completion(request.id, "So.", "stop") for request in asked}), quoting)
    judgements = json_of(judged)
    assert judgements
    assert all(list(reply) == ["why", "consistent"] for reply in judgements)
    with pytest.raises(StopIteration) as end:
        rounds.send(judged)
    made = end.value.value
    why = Counter(row.why for row in made.rejected)
    assert why["unreadable"] == 0
    assert len(made.kept) == 3 * sum(reply["consistent"] is True for reply in judgements)
    assert made.counts["groups kept"] + len(made.rejected) == 16
