from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from scipy import stats

from distill_app.errors import StageError
from distill_app.records import Completion
from distill_app.students import attention, sampling
from distill_app.students.device import Device
from distill_app.students.drawing import NUCLEUS, draw
from distill_app.students.load import load
from distill_app.students.sampling import SamplingRequest, sample
from distill_app.students.template import ChatTemplate

SINGLE = Device("cpu", "float32", "test")
QUESTIONS = (
    "What is the capital of France?",
    "Mara has 3 bags with 4 apples each. How many apples does Mara have in all the bags together?",
    "Say hello.",
    "2 + 2",
)


@pytest.fixture(scope="module")
def tiny_model(tiny: Path) -> tuple[Any, Any]:
    return load(tiny, SINGLE)


def _requests(tokenizer: Any, samples: int) -> list[SamplingRequest]:
    template = ChatTemplate(tokenizer, "", "{question}")
    return [
        SamplingRequest(f"q{i}/{k}", template.prompt_ids(question), 1000 * i + k)
        for i, question in enumerate(QUESTIONS)
        for k in range(samples)
    ]


def _answers(loaded: tuple[Any, Any], requests: list[SamplingRequest], **changed: Any) -> dict[str, Completion]:
    settings = {"temperature": 1.0, "top_p": 1.0, "max_tokens": 12, "stop_ids": (2,), "rows": 8} | changed
    batches = list(sample(*loaded, requests, **settings))
    assert all(batches)
    answers = [answer for batch in batches for answer in batch]
    assert len({answer.id for answer in answers}) == len(answers)
    return {answer.id: answer for answer in answers}


def test_greedy_output_is_that_of_generate(smollm: Path) -> None:
    model, tokenizer = load(smollm, SINGLE)
    template = ChatTemplate(tokenizer, "", "{question}")
    requests = [SamplingRequest(question, template.prompt_ids(question), 0) for question in QUESTIONS]
    ours = _answers((model, tokenizer), requests, temperature=0.0, max_tokens=20, rows=3)
    for request in requests:
        ids = torch.tensor([request.prompt_ids])
        with torch.inference_mode():
            out = model.generate(
                ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=20, pad_token_id=0
            )
        new = out[0, ids.shape[1] :].tolist()
        stopped = 2 in new
        text = tokenizer.decode(new, skip_special_tokens=True)
        expected = Completion(request.id, text, "stop" if stopped else "length", len(new) - stopped)
        assert ours[request.id] == expected
    assert {answer.finish_reason for answer in ours.values()} == {"stop", "length"}


@pytest.mark.parametrize("top_p", [1.0, 0.7])
def test_first_tokens_follow_the_softmax(top_p: float) -> None:
    """4000 draws of a random 64-token model against its own softmax(logits / 0.8), by chi-square."""
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(vocab_size=64, num_key_value_heads=2, initializer_range=0.2, **shape)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = LlamaForCausalLM(config).eval()
    prompt = [5, 17, 40]
    with torch.inference_mode():
        wanted = (model(torch.tensor([prompt])).logits[0, -1].double() / 0.8).softmax(-1).numpy()
    order = numpy.argsort(-wanted)
    size = int(numpy.searchsorted(numpy.cumsum(wanted[order]), top_p)) + 1 if top_p < 1 else 64
    outside = order[size:]
    wanted[outside] = 0
    wanted /= wanted.sum()

    class Digits:
        def decode(self, ids: list[int], **_how: bool) -> str:
            return " ".join(map(str, ids))

    requests = [SamplingRequest(str(i), prompt, i) for i in range(4000)]
    answers = _answers((model, Digits()), requests, temperature=0.8, top_p=top_p, max_tokens=1, stop_ids=(), rows=500)
    counts = numpy.bincount([int(answer.text) for answer in answers.values()], minlength=64)
    assert counts[outside].sum() == 0
    likely = wanted * 4000 >= 5
    observed = [*counts[likely], counts[~likely].sum()]
    expected = [*(wanted[likely] * 4000), wanted[~likely].sum() * 4000]
    if expected[-1] == 0:
        observed, expected = observed[:-1], expected[:-1]
    assert len(expected) > 5
    assert stats.chisquare(observed, expected).pvalue > 0.001


def test_draws_by_hand() -> None:
    """Probabilities 0.5, 0.3, 0.2 in the order 0.3, 0.5, 0.2; the nucleus of 0.7 is the first two of the former."""
    logits = torch.tensor([0.3, 0.5, 0.2]).log().repeat(6, 1)
    uniforms = torch.tensor([0.0, 0.29, 0.31, 0.79, 0.81, 0.99999999], dtype=torch.float64)
    assert draw(logits, uniforms, 1.0, 1.0).tolist() == [0, 0, 1, 1, 2, 2]
    # Ordered 0.5, 0.3 and scaled: token 1 up to 0.625, then token 0.
    uniforms = torch.tensor([0.0, 0.62, 0.63, 0.81, 0.99, 0.99999999], dtype=torch.float64)
    assert draw(logits, uniforms, 1.0, 0.7).tolist() == [1, 1, 0, 0, 0, 0]
    # Temperature 0.5 squares: 0.25, 0.09, 0.04 of 0.38, so in the order of the tokens 0.237, 0.895, 1.
    uniforms = torch.tensor([0.23, 0.24, 0.89, 0.90, 0.99, 0.5], dtype=torch.float64)
    assert draw(logits, uniforms, 0.5, 1.0).tolist() == [0, 1, 1, 2, 2, 1]
    assert draw(logits, uniforms, 0.0, 1.0).tolist() == [1] * 6


def test_a_token_without_probability_is_never_drawn() -> None:
    logits = torch.full((2, 5), float("-inf"))
    logits[:, 2] = 0.0
    uniforms = torch.tensor([0.0, 0.99999999], dtype=torch.float64)
    assert draw(logits, uniforms, 1.0, 1.0).tolist() == [2, 2]
    assert draw(logits, uniforms, 1.0, 0.5).tolist() == [2, 2]


def test_a_uniform_that_rounds_up_to_one_draws_the_last_token() -> None:
    """The float32 below 1 times a total of 1.5 rounds to 1.5: no column passes that."""
    logits = torch.log(torch.tensor([[1.0, 0.25, 0.25]]))
    for uniform in (1.0, 1 - 2.0**-24, 1 - 1e-12):
        for top_p, last in ((1.0, 2), (0.5, 0)):
            assert draw(logits, torch.tensor([uniform], dtype=torch.float64), 1.0, top_p).tolist() == [last]


def test_a_nucleus_wider_than_the_first_look_is_exact() -> None:
    """Row 0 is flat over 400 tokens (nucleus of 0.5: 200 of them), row 1 holds nearly all in one token."""
    logits = torch.zeros(2, 400)
    logits[1, 7] = 20.0
    draws = [draw(logits, torch.full((2,), u), 1.0, 0.5).tolist() for u in numpy.linspace(0, 0.9999, 1000)]
    assert {row[1] for row in draws} == {7}
    assert NUCLEUS < len({row[0] for row in draws}) == 200


def test_output_that_is_no_number_is_an_error() -> None:
    with pytest.raises(StageError, match="not numbers"):
        draw(torch.tensor([[0.0, float("nan")]]), torch.tensor([0.5]), 1.0, 1.0)


def test_a_resumed_call_gives_the_same_rows(tiny_model: tuple[Any, Any]) -> None:
    requests = _requests(tiny_model[1], 6)
    # Several stop tokens, so that rows end at different times.
    stops = tuple(range(0, 49152, 9))
    whole = _answers(tiny_model, requests, rows=4, stop_ids=stops)
    assert whole.keys() == {request.id for request in requests}
    assert len({answer.tokens for answer in whole.values()}) > 4
    for cut in (1, 8, 11, 23):
        done = set(list(whole)[:cut])
        rest = _answers(tiny_model, requests, rows=4, stop_ids=stops, done=done)
        assert rest == {id_: answer for id_, answer in whole.items() if id_ not in done}
    assert _answers(tiny_model, requests, rows=4, stop_ids=stops, done=set(whole)) == {}


def test_finished_batches_are_not_computed_again(tiny_model: tuple[Any, Any]) -> None:
    requests = _requests(tiny_model[1], 6)
    whole = _answers(tiny_model, requests, rows=4)
    passes: list[int] = []
    hook = tiny_model[0].register_forward_pre_hook(
        lambda _module, _args, kwargs: passes.append(kwargs["input_ids"].shape[0]), with_kwargs=True
    )
    try:
        _answers(tiny_model, requests, rows=4, done=set(list(whole)[:18]))
    finally:
        hook.remove()
    # Of 24 rows, 6 a prompt, 18 are done. Left: rows 16 to 19 of two prompts, half done, and 20 to 23 of one;
    # for each batch the prompts are read once, then 11 steps of 4 rows.
    assert passes == [2, *[4] * 11, 1, *[4] * 11]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_neighbours_do_not_change_an_answer(tiny_model: tuple[Any, Any], temperature: float) -> None:
    requests = _requests(tiny_model[1], 4)
    stops = tuple(range(0, 49152, 9))
    whole = _answers(tiny_model, requests, temperature=temperature, stop_ids=stops, rows=16)
    for rows in (1, 3, 5):
        assert _answers(tiny_model, requests, temperature=temperature, stop_ids=stops, rows=rows) == whole
    few = _answers(tiny_model, requests[5:9][::-1], temperature=temperature, stop_ids=stops)
    assert few == {request.id: whole[request.id] for request in requests[5:9]}


def test_samples_of_a_prompt_differ_by_their_seed_alone(tiny_model: tuple[Any, Any]) -> None:
    answers = _answers(tiny_model, _requests(tiny_model[1], 4))
    assert len({answers[f"q0/{k}"].text for k in range(4)}) == 4
    prompt = _requests(tiny_model[1], 1)[0].prompt_ids
    twins = _answers(tiny_model, [SamplingRequest(name, prompt, 2) for name in ("a", "b")])
    assert twins["a"].text == twins["b"].text == answers["q0/2"].text


def test_stop_and_length(tiny_model: tuple[Any, Any]) -> None:
    """Cutting at the 5th token of an answer, and stopping at it, give its first 4 or 5 tokens and the reason."""
    model, tokenizer = tiny_model
    request = _requests(tokenizer, 1)[0]
    with torch.inference_mode():
        ids = torch.tensor([request.prompt_ids])
        out = model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=5, pad_token_id=0
        )
    new = out[0, ids.shape[1] :].tolist()
    cut = _answers(tiny_model, [request], temperature=0.0, max_tokens=5)[request.id]
    assert cut == Completion(request.id, tokenizer.decode(new, skip_special_tokens=True), "length", 5)
    first = new.index(new[-1])
    stopped = _answers(tiny_model, [request], temperature=0.0, max_tokens=9, stop_ids=(2, new[-1]))[request.id]
    text = tokenizer.decode(new[:first], skip_special_tokens=True)
    assert stopped == Completion(request.id, text, "stop", first)


def test_a_prompt_that_does_not_fit_is_named_before_any_work(tiny_model: tuple[Any, Any]) -> None:
    requests = [*_requests(tiny_model[1], 1), SamplingRequest("long", [5] * 1000, 0)]
    with pytest.raises(StageError, match=r"Row long: its prompt of 1000 tokens .* 25 .* 1024 tokens") as caught:
        next(sample(*tiny_model, requests, temperature=1.0, top_p=1.0, max_tokens=25, stop_ids=(2,), rows=8))
    assert "24 or less" in caught.value.hint
    assert _answers(tiny_model, [requests[-1]], max_tokens=24, rows=1)["long"].tokens == 24


def test_progress_counts_rows_and_tokens(tiny_model: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "_PROGRESS_SECONDS", 0.0)
    told: list[tuple[int, int]] = []
    stops = tuple(range(0, 49152, 9))
    requests = _requests(tiny_model[1], 4)
    done = {"q0/0", "q3/1"}
    answers = _answers(
        tiny_model, requests, stop_ids=stops, done=done, progress=lambda rows, tokens: told.append((rows, tokens))
    )
    assert told == sorted(told)
    assert told[-1] == (14, sum(answer.tokens or 0 for answer in answers.values()))
    assert len(told) > 12


def test_grouped_attention_gives_sdpas_logits_and_is_taken_back(tiny_model: tuple[Any, Any]) -> None:
    from transformers.cache_utils import DynamicCache

    model = tiny_model[0]
    ids = torch.tensor([[0, 0, 1, 504, 2365], [1, 338, 260, 6330, 3]])
    mask = (torch.arange(5) >= torch.tensor([[2], [0]])).long()

    def logits() -> torch.Tensor:
        cache = DynamicCache(config=model.config)
        with torch.inference_mode():
            model(ids[:, :-1], attention_mask=mask[:, :-1], past_key_values=cache, use_cache=True)
            return model(ids[:, -1:], attention_mask=mask, past_key_values=cache, use_cache=True).logits  # type: ignore[no-any-return]

    plain = logits()
    with attention.grouped(model):
        assert model.config._attn_implementation == attention.NAME
        torch.testing.assert_close(logits(), plain, atol=1e-5, rtol=1e-5)
    assert model.config._attn_implementation == "sdpa"
