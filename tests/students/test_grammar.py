"""Answers kept to a JSON Schema: every finished one parses and validates, and nothing else changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from jsonschema import Draft202012Validator
from scipy import stats

from distill_app.errors import StageError
from distill_app.records import Completion
from distill_app.students import grammar, sampling
from distill_app.students.device import Device
from distill_app.students.grammar import Grammars, restrict
from distill_app.students.load import load
from distill_app.students.sampling import SamplingRequest, sample
from distill_app.students.template import ChatTemplate

SINGLE = Device("cpu", "float32", "test")
RATING = {
    "type": "object",
    "properties": {"rating": {"type": "integer", "minimum": 1, "maximum": 10}},
    "required": ["rating"],
    "additionalProperties": False,
}
SKILLS = {
    "type": "array",
    "items": {"enum": ["Algebra -> Linear equations", "Algebra -> Factors", 'Say "no" \\ , é', "π🙂", "Geometry"]},
    "minItems": 1,
    "maxItems": 3,
}
CARD = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 6},
        "ok": {"type": "boolean"},
        "score": {"type": "number", "minimum": 0, "maximum": 1},
    },
    "required": ["name", "ok", "score"],
    "additionalProperties": False,
}
SCHEMAS = (RATING, SKILLS, CARD)


@pytest.fixture(scope="module")
def tiny_model(tiny: Path) -> tuple[Any, Any]:
    model, tokenizer = load(tiny, SINGLE)
    # In double precision, so that another batch's other order of additions turns no token, on whatever processor.
    return model.double(), tokenizer


def _requests(tokenizer: Any, samples: int, schemas: tuple[dict[str, Any] | None, ...]) -> list[SamplingRequest]:
    prompt = ChatTemplate(tokenizer, "", "{question}").prompt_ids("Mara has 3 bags with 4 apples each. How many?")
    return [
        SamplingRequest(f"{place}/{k}", prompt, 100 * place + k, schema and json.dumps(schema))
        for place, schema in enumerate(schemas)
        for k in range(samples)
    ]


def _answers(loaded: tuple[Any, Any], requests: list[SamplingRequest], **changed: Any) -> dict[str, Completion]:
    settings = {"temperature": 1.0, "top_p": 1.0, "max_tokens": 40, "stop_ids": (2,), "rows": 16} | changed
    return {answer.id: answer for batch in sample(*loaded, requests, **settings) for answer in batch}


def _check(answers: dict[str, Completion], schemas: tuple[dict[str, Any], ...]) -> int:
    """Every finished answer is an instance of its schema, every other is no JSON; how many were finished."""
    finished = 0
    for id_, answer in answers.items():
        if answer.finish_reason == "stop":
            Draft202012Validator(schemas[int(id_.partition("/")[0])]).validate(json.loads(answer.text))
            finished += 1
        else:
            assert answer.finish_reason == "length"
            with pytest.raises(json.JSONDecodeError):
                json.loads(answer.text)
    return finished


@pytest.mark.parametrize(("temperature", "top_p"), [(0.0, 1.0), (1.0, 1.0), (0.7, 0.5)])
def test_finished_answers_of_a_random_model_are_instances(
    tiny_model: tuple[Any, Any], temperature: float, top_p: float
) -> None:
    answers = _answers(tiny_model, _requests(tiny_model[1], 8, SCHEMAS), temperature=temperature, top_p=top_p)
    assert _check(answers, SCHEMAS) >= 16
    assert len({answer.text for answer in answers.values()}) > (2 if temperature == 0 else 12)


def test_finished_answers_of_the_real_model_are_instances(smollm: Path) -> None:
    loaded = load(smollm, SINGLE)
    for temperature, top_p in ((0.0, 1.0), (0.8, 0.95)):
        answers = _answers(loaded, _requests(loaded[1], 4, SCHEMAS), temperature=temperature, top_p=top_p)
        assert _check(answers, SCHEMAS) == 12


@pytest.mark.parametrize(("temperature", "top_p"), [(0.0, 1.0), (1.0, 1.0), (1.0, 0.9)])
def test_rows_without_a_schema_are_as_if_there_were_none(
    tiny_model: tuple[Any, Any], temperature: float, top_p: float
) -> None:
    free = _requests(tiny_model[1], 6, (None,))
    held = _requests(tiny_model[1], 6, (None, *SCHEMAS))[6:]
    settings: dict[str, Any] = {"temperature": temperature, "top_p": top_p, "max_tokens": 12}
    alone = _answers(tiny_model, free, **settings)
    mixed = _answers(tiny_model, [*free, *held], **settings, rows=24)
    assert {id_: mixed[id_] for id_ in alone} == alone
    # And the held rows are no less themselves beside free ones, also in a call that is gone on with.
    assert {request.id: mixed[request.id] for request in held} == _answers(tiny_model, held, **settings)
    rest = _answers(tiny_model, [*free, *held], **settings, rows=24, done={"0/1", "1/2", "3/5"})
    assert rest == {id_: answer for id_, answer in mixed.items() if id_ not in {"0/1", "1/2", "3/5"}}


def test_draws_follow_the_models_own_odds_among_allowed_tokens(tiny_model: tuple[Any, Any]) -> None:
    """2000 draws of one of four digits against softmax(logits / T) over just those, by chi-square."""
    model, tokenizer = tiny_model
    prompt = _requests(tokenizer, 1, (None,))[0].prompt_ids
    digits = [tokenizer(digit, add_special_tokens=False)["input_ids"] for digit in "1357"]
    with torch.inference_mode():
        logits = model(torch.tensor([prompt])).logits[0, -1].double()[[ids[0] for ids in digits]]
    wanted = (logits / 0.2).softmax(-1).numpy()
    assert all(len(ids) == 1 for ids in digits)
    assert wanted.max() > 2 * wanted.min()
    schema = json.dumps({"enum": [1, 3, 5, 7]})
    requests = [SamplingRequest(str(i), prompt, i, schema) for i in range(2000)]
    answers = _answers(tiny_model, requests, temperature=0.2, rows=500)
    assert {(answer.tokens, answer.finish_reason) for answer in answers.values()} == {(1, "stop")}
    counts = numpy.array([sum(answer.text == digit for answer in answers.values()) for digit in "1357"])
    assert stats.chisquare(counts, wanted * 2000).pvalue > 0.001


def test_an_answer_is_cut_one_token_before_its_end_and_not_at_it(tiny_model: tuple[Any, Any]) -> None:
    requests = _requests(tiny_model[1], 1, (RATING,))
    whole = _answers(tiny_model, requests, temperature=0.0)["0/0"]
    assert whole.finish_reason == "stop"
    assert whole.tokens is not None
    assert _answers(tiny_model, requests, temperature=0.0, max_tokens=whole.tokens)["0/0"] == whole
    cut = _answers(tiny_model, requests, temperature=0.0, max_tokens=whole.tokens - 1)["0/0"]
    assert cut == Completion("0/0", whole.text[:-1], "length", whole.tokens - 1)


def test_where_the_text_may_end_or_go_on_the_model_decides(tiny_model: tuple[Any, Any]) -> None:
    """Of 1 and 10 to 19 the first is whole after a digit: a stop token or a second digit may follow."""
    schema = json.dumps({"type": "integer", "enum": [1, *range(10, 20)]})
    prompt = _requests(tiny_model[1], 1, (None,))[0].prompt_ids
    requests = [SamplingRequest(str(i), prompt, i, schema) for i in range(96)]
    answers = _answers(tiny_model, requests)
    assert {answer.finish_reason for answer in answers.values()} == {"stop"}
    assert {int(answer.text) for answer in answers.values()} == {1, *range(10, 20)}


def test_each_schema_is_made_once(tiny_model: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    compile_ = Grammars._compile
    monkeypatch.setattr(Grammars, "_compile", lambda self, schema: made.append(schema) or compile_(self, schema))
    _answers(tiny_model, _requests(tiny_model[1], 6, (RATING, SKILLS, None)), rows=4)
    assert sorted(made) == sorted([json.dumps(RATING), json.dumps(SKILLS)])


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ('{"type": "array", "items": {"enum": ["a"]}, "uniqueItems": true}', "uniqueItems"),
        ('{"type": "string", "pattern": "(?=a)b"}', "regex"),
        ("{", "JSON schema {: "),
        ("true", "object"),
    ],
)
def test_a_schema_that_cannot_be_kept_is_refused_before_any_work(
    tiny_model: tuple[Any, Any], schema: str, why: str
) -> None:
    request = SamplingRequest("r", [1, 2, 3], 0, schema)
    passes: list[int] = []
    hook = tiny_model[0].register_forward_pre_hook(lambda *_: passes.append(1))
    try:
        with pytest.raises(StageError, match="cannot be kept to the JSON schema") as caught:
            _answers(tiny_model, [request])
    finally:
        hook.remove()
    assert why in caught.value.message
    assert passes == []


def test_columns_beyond_the_tokenizer_are_forbidden_and_free_rows_untouched(tiny_model: tuple[Any, Any]) -> None:
    tokenizer = tiny_model[1]
    schema = json.dumps({"enum": [1, 2]})
    logits = torch.zeros(3, len(tokenizer) + 70)
    restrict(logits, [None, Grammars(tokenizer, (2,), [schema]).start(schema), None])
    assert logits[0].count_nonzero() == logits[2].count_nonzero() == 0
    allowed = torch.isfinite(logits[1]).nonzero()[:, 0].tolist()
    assert sorted(tokenizer.decode([token]) for token in allowed) == ["1", "2"]
    narrow = torch.zeros(1, 100)
    restrict(narrow, [Grammars(tokenizer, (2,), [schema]).start(schema)])
    assert not torch.isfinite(narrow[0, sorted(set(range(100)) - set(allowed))]).any()


def test_progress_counts_the_last_token_of_a_grammar(
    tiny_model: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "_PROGRESS_SECONDS", 0.0)
    told: list[tuple[int, int]] = []
    requests = _requests(tiny_model[1], 5, (RATING, None))
    answers = _answers(tiny_model, requests, max_tokens=15, progress=lambda rows, tokens: told.append((rows, tokens)))
    assert told[-1] == (10, sum(answer.tokens or 0 for answer in answers.values()))


def test_a_tokenizer_without_the_tokens_text_is_refused() -> None:
    with pytest.raises(StageError, match="tokenizer cannot keep an answer"):
        grammar.Grammars([], (2,), ["{}"])
