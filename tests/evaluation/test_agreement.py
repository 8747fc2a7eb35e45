from __future__ import annotations

from pathlib import Path

import pytest

from distill_app.evaluation.agreement import END, compare


def test_answers_are_compared_up_to_the_first_difference() -> None:
    left = [[5, 6, 7, END], [1, 2, 3, 4], [1, 2], [END], [1, 2, 3]]
    right = [[5, 6, 7, END], [1, 2, 9, 4], [1, 2, 3, END], [4, END], [1, 2, 3]]
    identical, in_common, partings = compare(left, right)
    assert identical == pytest.approx(2 / 5)
    # 1, then 2 of 4, 2 of 4 (one was used up), 0 of 2, and 1.
    assert in_common == pytest.approx((1 + 0.5 + 0.5 + 0 + 1) / 5)
    assert partings == {1: 2, 2: 2, 3: 0}


def test_two_empty_answers_are_the_same_and_no_answers_are_refused() -> None:
    assert compare([[]], [[]]) == (1.0, 1.0, {})
    with pytest.raises(ValueError, match="no answers"):
        compare([], [])
    with pytest.raises(ValueError, match="argument 2"):
        compare([[1]], [])


def test_ways_agree_and_a_lost_adapter_shows(tiny_folder: Path, tmp_path: Path) -> None:
    from distill_app.evaluation import agreement
    from distill_app.students.device import Device
    from distill_app.students.load import load, load_tokenizer
    from distill_app.students.template import ChatTemplate
    from tests.students.adapters import RUNTIME, lora_adapter

    adapter = lora_adapter(tiny_folder, tmp_path / "adapter", scale=0.2)
    device = Device("cpu", "float32", "test")
    template = ChatTemplate(load_tokenizer(tiny_folder), "", "{question}")
    questions = ["What is 2 + 2?", "Name a colour.", "How many legs has a spider?"]
    (pair,) = agreement.measure(
        tiny_folder, adapter, template, questions, tokens=12, device=device, runtime=RUNTIME, say=print, vllm=None
    )
    assert pair.ways == ("transformers", "merged")
    assert (pair.prompts, pair.identical, pair.in_common, pair.partings) == (3, 1.0, 1.0, ())

    # The same with an adapter that one way does not apply: told apart from a near tie by how far apart the tokens are.
    prompts = [template.prompt_ids(question) for question in questions]
    with_it, without = (load(tiny_folder, device, adapter=part)[0] for part in (adapter, None))
    answers = {
        "transformers": agreement._by_transformers(with_it, prompts, template, 12, 8),
        "merged": agreement._by_transformers(without, prompts, template, 12, 8),
    }
    (pair,) = agreement._pairs(answers, with_it, prompts, template.stop_ids)
    assert pair.identical == 0
    assert pair.in_common < 0.5
    assert all(parting.gap >= parting.margin >= 0 for parting in pair.partings)
