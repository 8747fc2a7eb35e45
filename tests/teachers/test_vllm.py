from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest

from distill_app import resources
from distill_app.errors import StageError
from distill_app.records import Completion, Problem, Request
from distill_app.students import vllm_machine
from distill_app.students.locate import locate
from distill_app.teachers.vllm import FOLLOWS, LOCAL, MODEL, Options, complete, content
from tests.students.adapters import RUNTIME

SCHEMA = {
    "type": "object", "properties": {"answer": {"type": "integer"}}, "required": ["answer"],
    "additionalProperties": False,
}  # fmt: skip


def _options(folder: Path, **changed: object) -> Options:
    values = {
        "model": str(folder), "revision": None, "dtype": "float32", "system_prompt": "", "thinking": None,
        "temperature": 0.8, "top_p": 0.95, "max_tokens": 32,
    }  # fmt: skip
    return Options(**(values | changed))  # type: ignore[arg-type]


def _requests(samples: int = 4) -> list[Request]:
    problem = Problem("p", "What is 2 + 2?", "4", "test")
    prompts = ("What is 2 + 2?", "Name {one} colour.")
    return [
        Request(f"{i}/{k}", problem, prompt, k, 1000 * i + 7 * k)
        for i, prompt in enumerate(prompts)
        for k in range(samples)
    ]


def _answers(requests: list[Request], options: Options, done: frozenset[str] = frozenset()) -> dict[str, Completion]:
    batches = complete(requests, options, runtime=RUNTIME, done=done, say=print, problems=[])
    return {answer.id: answer for batch in batches for answer in batch}


def test_options_mirror_the_schema() -> None:
    schema = json.loads((resources.folder("schemas") / "teachers" / "vllm.json").read_text())
    assert {field.name for field in fields(Options)} == set(schema["properties"]) - {
        "name", "backend", "weight", "limit",
    }  # fmt: skip
    assert (MODEL, FOLLOWS) == (True, "instructions")
    assert {field.name for field in fields(Options)} >= LOCAL


def test_the_model_stands_in_the_fingerprint_by_its_content(tiny_folder: Path) -> None:
    assert content(_options(tiny_folder)) == {"model_content": locate(str(tiny_folder), None).content_id}


@pytest.mark.skipif(vllm_machine.installed() is not None, reason="vLLM is installed here")
def test_without_vllm_the_command_to_install_it_is_told(tiny_folder: Path) -> None:
    with pytest.raises(StageError, match=r"vLLM is not installed.*pip install 'distill-app\[vllm\]'"):
        _answers(_requests(), _options(tiny_folder))


@pytest.mark.slow
def test_the_real_model_answers_with_seeds_that_can_be_drawn_again(smollm: Path) -> None:
    if (what := vllm_machine.lack(vllm_machine.installed())) is not None:
        pytest.skip(f"{what} {vllm_machine.INSTALL}")
    options = _options(smollm)
    whole = _answers(_requests(), options)
    assert whole.keys() == {request.id for request in _requests()}
    # Own seeds are 1000 i + 7 k; vLLM's are 1000 i + k.
    assert [whole[f"1/{k}"].seed for k in range(4)] == [None, 1001, 1002, 1003]
    assert len({whole[f"1/{k}"].text for k in range(4)}) > 1
    assert all(answer.tokens and answer.tokens <= 32 for answer in whole.values())
    assert {answer.finish_reason for answer in whole.values()} <= {"stop", "length"}
    assert whole["0/0"].prompt_tokens == whole["0/3"].prompt_tokens

    done = frozenset({"0/1", "1/0", "1/3"})
    rest = _answers(_requests(), options, done)
    assert rest == {id_: answer for id_, answer in whole.items() if id_ not in done}

    # A request for one sample with the seed recorded draws the same.
    alone = replace(_requests()[6], id="alone", seed=1002)
    assert _answers([alone], options)["alone"].text == whole["1/2"].text

    held = [replace(request, schema=json.dumps(SCHEMA), temperature=0.0) for request in _requests(1)]
    for answer in _answers(held, options).values():
        assert answer.finish_reason == "length" or set(json.loads(answer.text)) == {"answer"}

    # Longer prompts than the engine has room for start it again; more of them than one step of it reads (4096 tokens)
    # are no trouble; what does not fit the model is refused.
    asked = _requests(1)[0]
    longer = [replace(asked, id=f"long/{i}", prompt=f"{i}. " + "How many? " * 130) for i in range(12)]
    answers = _answers(longer, replace(options, max_tokens=4))
    assert answers.keys() == {request.id for request in longer}
    assert sum(answer.prompt_tokens or 0 for answer in answers.values()) > 4096
    with pytest.raises(StageError, match="context of 8192 tokens"):
        _answers(longer, replace(options, max_tokens=8190))
