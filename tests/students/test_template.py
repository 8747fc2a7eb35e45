from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from distill_app.errors import StageError
from distill_app.students.load import load_tokenizer
from distill_app.students.template import ChatTemplate

QUESTION = "Mara has {3} bags with 4 apples each. How many apples?"
TRACE = "3 * 4 = 12\nAnswer: 12"
SMOLLM_DEFAULT = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"


@pytest.fixture
def tokenizer(tiny: Path) -> Any:
    return load_tokenizer(tiny)


def test_the_prompt_is_what_the_model_was_made_for(tokenizer: Any) -> None:
    assert ChatTemplate(tokenizer, None, "{question}").prompt_text(QUESTION) == (
        f"<|im_start|>system\n{SMOLLM_DEFAULT}<|im_end|>\n"
        f"<|im_start|>user\n{QUESTION}<|im_end|>\n<|im_start|>assistant\n"
    )


def test_an_empty_system_prompt_drops_the_templates_default(tokenizer: Any) -> None:
    empty = ChatTemplate(tokenizer, "", "{question}")
    assert empty.prompt_text(QUESTION) == (
        f"<|im_start|>system\n<|im_end|>\n<|im_start|>user\n{QUESTION}<|im_end|>\n<|im_start|>assistant\n"
    )
    default = ChatTemplate(tokenizer, None, "{question}")
    saved = len(default.prompt_ids(QUESTION)) - len(empty.prompt_ids(QUESTION))
    assert saved == len(tokenizer(SMOLLM_DEFAULT)["input_ids"]) == 16


def test_the_question_is_put_in_as_it_is(tokenizer: Any) -> None:
    text = ChatTemplate(tokenizer, None, "Q: {question} {0}").prompt_text("{question} {} %s \\1")
    assert "user\nQ: {question} {} %s \\1 {0}<|im_end|>" in text


def test_prompt_and_target_make_the_whole_conversation(tokenizer: Any) -> None:
    template = ChatTemplate(tokenizer, None, "{question}")
    ids = template.prompt_ids(QUESTION) + template.target_ids(TRACE)
    messages = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": TRACE}]
    whole = tokenizer.apply_chat_template(messages, tokenize=False)
    assert tokenizer.decode(ids) + "\n" == whole
    assert ids[-1] == template.end_id == 2
    assert tokenizer.decode(template.target_ids(TRACE)[:-1]) == TRACE
    assert template.stop_ids == (2,)
    assert template.pad_id == 0, "pad = eos = 2 in this tokenizer: a distinct token is taken"


def test_stop_ids_come_from_the_generation_config_too(tiny: Path, tmp_path: Path) -> None:
    import json
    import shutil

    folder = shutil.copytree(tiny, tmp_path / "model")
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [0, 2]}))
    template = ChatTemplate(load_tokenizer(folder), None, "{question}")
    assert template.stop_ids == (0, 2)
    assert template.pad_id == 2


def test_the_hash_holds_all_that_shapes_the_text(tokenizer: Any, tiny: Path) -> None:
    base = ChatTemplate(tokenizer, None, "{question}").hash
    assert ChatTemplate(load_tokenizer(tiny), None, "{question}").hash == base
    others = {
        ChatTemplate(tokenizer, "", "{question}").hash,
        ChatTemplate(tokenizer, "Be brief.", "{question}").hash,
        ChatTemplate(tokenizer, None, "{question} ").hash,
    }
    tokenizer.chat_template = tokenizer.chat_template.replace("SmolLM", "Small")
    others.add(ChatTemplate(tokenizer, None, "{question}").hash)
    assert len(others | {base}) == 5


def test_the_check_passes_and_counts_merged_boundaries(tokenizer: Any) -> None:
    found = ChatTemplate(tokenizer, None, "{question}").check()
    assert (found.probes, found.merged, found.notes) == (6, 0, ())
    # After a space, "<think>" and "Skills" would begin with a token that holds the space.
    spaced = tokenizer.chat_template.replace("assistant\n'", "assistant '")
    assert spaced != tokenizer.chat_template
    assert _changed(tokenizer, spaced).check().merged == 2


def _changed(tokenizer: Any, template: str | None) -> ChatTemplate:
    tokenizer.chat_template = template
    return ChatTemplate(tokenizer, None, "{question}")


def test_no_chat_template_says_what_to_choose(tokenizer: Any) -> None:
    with pytest.raises(StageError, match="no chat template") as caught:
        _changed(tokenizer, None).check()
    assert "instruct model" in caught.value.hint


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{% for m in messages %}<|im_start|>{{ m.content[:9] }}<|im_end|>{% endfor %}", "drops or changes"),
        ("{% for m in messages %}{{ m.content }}{{ m.content }}<|im_end|>{% endfor %}", "repeats"),
        ("{% for m in messages %}{{ m.content }}\n{% endfor %}", "writes no end token"),
        ("{{ raise_exception('only one turn') }}", "refuses the conversation: only one turn"),
    ],
)
def test_a_template_that_loses_something_is_refused(tokenizer: Any, source: str, message: str) -> None:
    with pytest.raises(StageError, match=message):
        _changed(tokenizer, source).check()


def test_a_template_without_a_system_turn_names_the_setting(tokenizer: Any) -> None:
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
        "{{ m.content }}<|im_end|>{% endfor %}"
    )
    ChatTemplate(tokenizer, None, "{question}").check()
    with pytest.raises(StageError, match="no system role") as caught:
        ChatTemplate(tokenizer, "", "{question}").check()
    assert "Set system_prompt to null" in caught.value.hint


def test_a_dropped_system_prompt_is_noticed(tokenizer: Any) -> None:
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m.role != 'system' %}{{ m.content }}<|im_end|>{% endif %}{% endfor %}"
    )
    with pytest.raises(StageError, match="drops the system prompt"):
        ChatTemplate(tokenizer, "Be brief.", "{question}").check()


def test_notes_tell_of_dates_and_opened_thinking(tokenizer: Any) -> None:
    template = _changed(
        tokenizer,
        "{{ strftime_now('%Y') }}{% for m in messages %}{{ m.content }}<|im_end|>{% endfor %}"
        "{% if add_generation_prompt %}<think>\n{% endif %}",
    )
    notes = template.check().notes
    assert len(notes) == 2
    assert "date" in notes[0]
    assert "<think>" in notes[1]


OPENS = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% if enable_thinking is defined and not enable_thinking %}"
    "<think>\n\n</think>\n\n{% else %}<think>\n{% endif %}{% endif %}"
)


def test_a_think_block_that_the_prompt_opens_is_not_opened_twice(tokenizer: Any) -> None:
    template = _changed(tokenizer, OPENS)
    template.check()
    assert template.opening == "<think>\n"
    assert template.continued("<think>\nadd\n</think>\n\n7") == "add\n</think>\n\n7"
    assert template.continued("<think>add</think>7") == "add</think>7"
    assert template.continued("add</think>7") == "add</think>7"
    assert template.continued("7") == "\n</think>\n\n7"
    assert template.whole("add\n</think>\n\n7") == "<think>\nadd\n</think>\n\n7"
    assert template.whole("<think>add</think>7") == "<think>add</think>7"
    assert tokenizer.decode(template.target_ids("<think>\nadd\n</think>\n\n7")) == "add\n</think>\n\n7<|im_end|>"


def test_thinking_is_a_switch_of_the_template(tokenizer: Any) -> None:
    tokenizer.chat_template = OPENS
    off, on = (ChatTemplate(tokenizer, None, "{question}", thinking) for thinking in (False, True))
    assert off.prompt_text("Hi").endswith("<think>\n\n</think>\n\n")
    assert on.prompt_text("Hi").endswith("assistant\n<think>\n")
    assert off.opening == ""
    assert off.whole("7") == off.continued("7") == "7"
    assert off.hash != on.hash
    assert not any("no switch" in note for note in off.check().notes)


def test_a_switch_that_the_template_lacks_is_noted(tokenizer: Any) -> None:
    notes = ChatTemplate(tokenizer, None, "{question}", thinking=True).check().notes
    assert any("no switch for thinking" in note for note in notes)
