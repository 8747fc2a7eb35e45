from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest

from distill_app import resources
from distill_app.errors import StageError
from distill_app.records import Completion, Problem, Request
from distill_app.students.device import Device
from distill_app.students.load import load
from distill_app.teachers.transformers import MODEL, Options, complete
from tests.runtime import runtime

RUNTIME = runtime(sample_rows=4)

CLOSED = {"additionalProperties": False}


@pytest.fixture(scope="module")
def folder(tiny_folder: Path) -> Path:
    return tiny_folder


def _options(folder: Path, **changed: object) -> Options:
    values = {
        "model": str(folder), "revision": None, "dtype": "float32", "system_prompt": None, "thinking": None,
        "temperature": 1.0, "top_p": 1.0, "max_tokens": 8,
    }  # fmt: skip
    return Options(**(values | changed))  # type: ignore[arg-type]


def _requests(temperature: float | None = None) -> list[Request]:
    problem = Problem("p", "What is 2 + 2?", "4", "test")
    prompts = ("What is 2 + 2?", "Write {this} again: What is 2 + 2?")
    return [
        Request(f"{i}/{k}", problem, prompt, k, 10 * i + k, temperature)
        for i, prompt in enumerate(prompts)
        for k in range(3)
    ]


def _answers(requests: list[Request], options: Options, done: frozenset[str] = frozenset()) -> dict[str, Completion]:
    batches = complete(requests, options, runtime=RUNTIME, done=done, say=print, problems=[])
    return {answer.id: answer for batch in batches for answer in batch}


def test_options_mirror_the_schema() -> None:
    schema = json.loads((resources.folder("schemas") / "teachers" / "transformers.json").read_text())
    assert {field.name for field in fields(Options)} == set(schema["properties"]) - {
        "name",
        "backend",
        "weight",
        "limit",
    }
    assert MODEL


def test_the_prompt_is_the_user_turn_of_the_models_own_template(folder: Path) -> None:
    import torch

    answers = _answers(_requests(), _options(folder, temperature=0.0))
    model, tokenizer = load(folder, Device("cpu", "float32", "test"))
    for request in _requests():
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": request.prompt}], tokenize=False, add_generation_prompt=True
        )
        ids = torch.tensor([tokenizer(text, add_special_tokens=False)["input_ids"]])
        with torch.inference_mode():
            out = model.generate(
                ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=8, pad_token_id=0
            )
        assert answers[request.id].text == tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)


def test_a_requests_own_temperature_goes_first(folder: Path) -> None:
    greedy = _answers(_requests(), _options(folder, temperature=0.0))
    assert _answers(_requests(temperature=0.0), _options(folder, temperature=1.0)) == greedy
    mixed = _answers([*_requests()[:2], *_requests(temperature=0.0)[2:]], _options(folder))
    assert {id_: mixed[id_] for id_ in list(greedy)[2:]} == {id_: greedy[id_] for id_ in list(greedy)[2:]}
    assert mixed["0/0"].text != greedy["0/0"].text
    assert mixed.keys() == greedy.keys()


def test_a_resumed_call_answers_the_rest_the_same(folder: Path) -> None:
    whole = _answers(_requests(), _options(folder))
    rest = _answers(_requests(), _options(folder), done=frozenset({"0/1", "1/0"}))
    assert rest == {id_: answer for id_, answer in whole.items() if id_ not in {"0/1", "1/0"}}


def test_what_it_runs_on_is_said(folder: Path) -> None:
    said: list[str] = []
    list(complete(_requests()[:1], _options(folder), runtime=RUNTIME, say=said.append))
    assert said == [f"{folder} runs on cpu in float32 (set in the recipe)."]


def test_a_prompt_that_does_not_fit_names_the_request(folder: Path) -> None:
    with pytest.raises(StageError, match=r"Row 1/0: .* 1024 tokens"):
        _answers(_requests(), _options(folder, max_tokens=1020))


def test_a_requests_schema_holds_for_its_own_completion(folder: Path) -> None:
    schema = json.dumps({"type": "object", "properties": {"a": {"enum": ["x", "y"]}}, "required": ["a"], **CLOSED})
    free = _requests()
    held = [replace(request, schema=schema) if request.sample == 1 else request for request in free]
    plain, mixed = (_answers(asked, _options(folder, max_tokens=20)) for asked in (free, held))
    for request in held:
        if request.schema is None:
            assert mixed[request.id] == plain[request.id]
        else:
            assert mixed[request.id].text in ('{"a": "x"}', '{"a": "y"}')
            assert mixed[request.id].finish_reason == "stop"
