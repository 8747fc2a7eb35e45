"""Masks worked out by hand with the real SmolLM2 tokenizer, and every fault `check` is there to catch."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from distill_app.errors import StageError
from distill_app.students.template import ChatTemplate
from distill_app.training.rows import IGNORED, Encoded, Example, LeftOut, TrainingRow, check, encode, render

THINK = TrainingRow("t", "2 + 2?", "Skills:\nAddition\n<think>\n2 + 2 = 4\n</think>\nAnswer: 4")

# Read off tokenizer.json by hand: <|im_start|> 1, <|im_end|> 2, "\n" 198, digit d is 32 + d, " +" 1232.
PROMPT = [1, 9690, 198, 2, 198, 1, 4093, 198, 34, 1232, 216, 34, 47, 2, 198, 1, 520, 9531, 198]
TARGET = [34, 1232, 216, 34, 446, 216, 36, 2]


def one(row: TrainingRow, template: Any) -> Example:
    encoded = encode([row], template, 1000)
    assert encoded.left_out == ()
    return encoded.examples[0]


def test_loss_is_on_the_trace_and_its_end_token_alone(template: ChatTemplate) -> None:
    example = one(TrainingRow("a", "2 + 2?", "2 + 2 = 4"), template)
    assert example.input_ids == (*PROMPT, *TARGET)
    assert example.labels == (*([-100] * 19), *TARGET)
    assert (example.prompt_tokens, example.target_tokens) == (19, 8)


def test_rows_too_long_and_empty_rows_are_left_out_whole_and_told(template: ChatTemplate) -> None:
    rows = [
        TrainingRow("fits", "2 + 2?", "2 + 2 = 4"),
        TrainingRow("long", "2 + 2?", "2 + 2 = 44"),
        TrainingRow("blank", "2 + 2?", " \n"),
        TrainingRow("empty", "2 + 2?", ""),
    ]
    encoded = encode(rows, template, 27)
    assert [example.id for example in encoded.examples] == ["fits"]
    assert encoded.left_out == (
        LeftOut("long", "too_long", 28),
        LeftOut("blank", "empty", 21),
        LeftOut("empty", "empty", 20),
    )
    assert encode([], template, 27) == Encoded((), ())


@pytest.mark.parametrize(
    "text",
    [
        THINK.text,
        "<think>\nhm\n</think>\n\n\\boxed{4}",
        " leading and trailing blanks \n",
        "Skills:\na -> b\n" * 2,
        "Ünïcode 漢字 ½ \t tab",
    ],
)
def test_check_passes_whole_traces(text: str, template: ChatTemplate, tokenizer: Any) -> None:
    row = dataclasses.replace(THINK, text=text)
    check(one(row, template), row, template, tokenizer)


class RenderedByTheChatTemplate(ChatTemplate):
    """What this program does not do, and most programs do: the chat template renders the assistant's text."""

    def target_ids(self, text: str) -> list[int]:
        asked = [{"role": "user", "content": "q"}]
        whole = self.tokenizer.apply_chat_template([*asked, {"role": "assistant", "content": text}], tokenize=False)
        prompt = self.tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
        return self._tokens(whole.removeprefix(prompt).removesuffix("\n"))


def with_answer(tokenizer: Any, expression: str) -> RenderedByTheChatTemplate:
    tokenizer.chat_template = (
        "{%- for m in messages -%}{%- if m.role == 'assistant' -%}"
        "{{ '<|im_start|>assistant\n' + " + expression + " + '<|im_end|>' }}"
        "{%- else -%}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{%- endif -%}{%- endfor -%}"
        "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"
    )
    return RenderedByTheChatTemplate(tokenizer, None, "{question}")


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        # Qwen3's template keeps what follows the first <think>: the skills before it vanish without a word.
        ("'<think>' + m.content.split('<think>')[-1]", "does not hold the whole trace; the beginning of it is gone"),
        # DeepSeek-R1's template drops the reasoning of an assistant turn altogether.
        ("m.content.split('</think>')[-1]", "does not hold the whole trace; the beginning of it is gone"),
        ("m.content.split('</think>')[0]", "does not hold the whole trace; it differs after 35 characters"),
        ("m.content * (2 if 'think' in m.content else 1)", "holds the trace 2 times"),
        ("'<think>\n\n</think>\n\n' + m.content", "holds more than the trace: '<think>"),
        ("m.content + '<|im_end|>'", "stands inside the trace"),
    ],
)
def test_check_catches_templates_that_bend_the_trace(expression: str, told: str, tokenizer: Any) -> None:
    template = with_answer(tokenizer, expression)
    with pytest.raises(StageError) as caught:
        check(one(THINK, template), THINK, template, tokenizer)
    assert told in caught.value.message
    assert caught.value.hint


def test_the_same_trace_survives_such_a_template_rendered_our_way(tokenizer: Any) -> None:
    with_answer(tokenizer, "m.content.split('</think>')[-1]")
    template = ChatTemplate(tokenizer, None, "{question}")
    check(one(THINK, template), THINK, template, tokenizer)


def test_check_catches_a_missing_end_token(template: ChatTemplate, tokenizer: Any) -> None:
    example = one(THINK, template)
    cut = dataclasses.replace(example, input_ids=example.input_ids[:-1], labels=example.labels[:-1])
    with pytest.raises(StageError, match="does not finish with the end token") as caught:
        check(cut, THINK, template, tokenizer)
    assert "'<|im_end|>'" in str(caught.value)


def test_check_catches_an_end_token_without_loss(template: ChatTemplate, tokenizer: Any) -> None:
    example = one(THINK, template)
    deaf = dataclasses.replace(example, labels=(*example.labels[:-1], IGNORED))
    with pytest.raises(StageError, match=r"mask does not cover the target: token .*im_end"):
        check(deaf, THINK, template, tokenizer)


def test_check_catches_an_end_token_inside_the_trace(template: ChatTemplate, tokenizer: Any) -> None:
    row = dataclasses.replace(THINK, text="2 + 2<|im_end|> = 4")
    with pytest.raises(StageError, match="inside the trace"):
        check(one(row, template), row, template, tokenizer)


@pytest.mark.parametrize("shift", [-1, 1])
def test_check_catches_a_mask_that_is_off_by_one(shift: int, template: ChatTemplate, tokenizer: Any) -> None:
    example = one(THINK, template)
    start = example.prompt_tokens + shift
    shifted = dataclasses.replace(example, labels=(*([IGNORED] * start), *example.input_ids[start:]))
    with pytest.raises(StageError, match="are not the prompt"):
        check(shifted, THINK, template, tokenizer)


def test_check_catches_a_row_without_loss(template: ChatTemplate, tokenizer: Any) -> None:
    example = one(THINK, template)
    deaf = dataclasses.replace(example, labels=(IGNORED,) * len(example.labels))
    with pytest.raises(StageError, match="no token of it carries loss"):
        check(deaf, THINK, template, tokenizer)


def test_check_catches_the_trace_of_another_row(template: ChatTemplate, tokenizer: Any) -> None:
    with pytest.raises(StageError, match="does not hold the whole trace"):
        check(one(THINK, template), dataclasses.replace(THINK, text="2 + 2 = 5"), template, tokenizer)


def test_render_shows_the_mask_token_by_token(template: ChatTemplate, tokenizer: Any) -> None:
    lines = render(one(TrainingRow("a", "2 + 2?", "2 + 2 = 4"), template), tokenizer).splitlines()
    assert lines[0] == "row a: 27 tokens, loss on 8 of them"
    assert len(lines) == 2 + 27
    assert lines[2 + 18].split() == ["prompt", "18", "198", "'\\n'"]
    assert lines[2 + 19].split() == ["TARGET", "19", "34", "'2'"]
    assert lines[-1].split() == ["TARGET", "26", "2", "'<|im_end|>'"]


def test_padding_with_the_end_token_still_trains_the_end_token(template: ChatTemplate) -> None:
    """TRL's collator masks by length: where pad and end are one id, the end keeps its loss, padding has none."""
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    rows = [TrainingRow("a", "2 + 2?", "2 + 2 = 4"), TrainingRow("b", "2 + 2?", "4")]
    encoded = encode(rows, template, 100)
    assert template.end_id == 2
    batch = DataCollatorForLanguageModeling(pad_token_id=2)(
        [{"input_ids": list(e.input_ids), "labels": list(e.labels)} for e in encoded.examples]
    )
    assert batch["input_ids"][1].tolist() == [*PROMPT, 36, 2, 2, 2, 2, 2, 2, 2]
    assert batch["labels"][1].tolist() == [-100] * 19 + [36, 2] + [-100] * 6
    assert batch["attention_mask"][1].tolist() == [1] * 21 + [0] * 6
