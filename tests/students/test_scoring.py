"""Scores beside a plain computation: one row a pass, all logits, log_softmax in float32."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from distill_app.errors import StageError
from distill_app.students import backbone, packed_attention, packing, scoring
from distill_app.students.device import Device, set_threads
from distill_app.students.load import load
from distill_app.students.scoring import HEAD_POSITIONS, Score, ScoreRequest, score, start_token
from distill_app.students.template import ChatTemplate

START = 1


def plain(model: Any, context: Sequence[int], target: Sequence[int]) -> tuple[float, int]:
    """Mean NLL and clipped rank sum of `target` after `context`, the way a textbook has it."""
    import torch

    with torch.no_grad():
        logits = model(torch.tensor([[*context, *target]])).logits[0].float()
    total, ranks = 0.0, 0
    for place, token in enumerate(target):
        row = logits[len(context) - 1 + place]
        total -= float(torch.log_softmax(row, 0)[token])
        ranks += min(100, 1 + int((row > row[token]).sum()))
    return total / len(target), ranks


def scores(model: Any, requests: Sequence[ScoreRequest], **changed: Any) -> dict[str, Score]:
    settings: dict[str, Any] = {"start_id": START, "alone": True, "max_tokens": None, "pack_tokens": 256}
    return {one.id: one for pack in score(model, requests, **settings | changed) for one in pack}


def made_up(prompts: int = 5, each: int = 2, vocabulary: int = 1000, longest: int = 40) -> list[ScoreRequest]:
    """Prompts with one beginning, several answers to each, two of which begin alike."""
    draw = random.Random(7)

    def tokens(count: int) -> list[int]:
        return [draw.randrange(3, vocabulary) for _ in range(count)]

    head, made = [START, *tokens(3)], []
    for number in range(prompts):
        prompt, first = head + tokens(draw.randrange(2, longest)), tokens(3)
        for answer in range(each):
            target = first + tokens(draw.randrange(1, longest)) if answer < 2 else tokens(1 + draw.randrange(longest))
            made.append(ScoreRequest(f"{number}/{answer}", prompt, target))
    return made


def tiny_model(kind: str, **settings: Any) -> Any:
    """A random two-layer model of an architecture, with weights large enough for attention to matter."""
    import torch
    import transformers

    shape: dict[str, Any] = {
        "vocab_size": 1000, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 128,
        "initializer_range": 0.3, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    config = getattr(transformers, f"{kind}Config")(**shape | settings)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return getattr(transformers, f"{kind}ForCausalLM")._from_config(config, attn_implementation="eager").eval()


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    set_threads(1)


@pytest.fixture(scope="module")
def student(tiny_folder: Path) -> Any:
    return load(tiny_folder, Device("cpu", "float32", "a test"))[0]


def assert_plain(model: Any, requests: Sequence[ScoreRequest], got: dict[str, Score], near: float = 1e-5) -> None:
    assert got.keys() == {request.id for request in requests}
    for request in requests:
        nll, ranks = plain(model, request.prompt_ids, request.target_ids)
        alone, _ = plain(model, [START], request.target_ids)
        one = got[request.id]
        assert one.nll == pytest.approx(nll, rel=near)
        assert one.nll_alone == pytest.approx(alone, rel=near)
        assert (one.tokens, one.rank_sum, one.cut) == (len(request.target_ids), ranks, False)


def test_real_student_scores_as_one_row_at_a_time(smollm: Path) -> None:
    model, tokenizer = load(smollm, Device("cpu", "float32", "a test"))
    template = ChatTemplate(tokenizer, "", "{question}")
    questions = ["Ann has 3 bags of 5 apples. How many apples is that?", "What is 12 + 30?"]
    answers = ["3 * 5 = 15\nAnswer: 15", "3 + 5 = 8\nAnswer: 8", "The moon is made of green cheese.", "42"]
    requests = [
        ScoreRequest(f"{i}/{k}", template.prompt_ids(question), template.target_ids(answer)[:-1])
        for i, question in enumerate(questions)
        for k, answer in enumerate(answers)
    ]
    got = scores(model, requests, start_id=start_token(tokenizer), pack_tokens=150)
    assert start_token(tokenizer) == START
    assert_plain(model, requests, got)


@pytest.mark.parametrize(
    ("kind", "settings", "packs"),
    [
        ("Llama", {}, True),
        ("Mistral", {"sliding_window": 7}, True),
        ("Qwen3", {"use_sliding_window": True, "sliding_window": 6, "max_window_layers": 1}, True),
        (
            "Gemma2",
            {
                "sliding_window": 6, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0,
                "query_pre_attn_scalar": 8,
            },
            True,
        ),
        ("Granite", {"logits_scaling": 4.0, "attention_multiplier": 0.3, "residual_multiplier": 0.5}, True),
        ("Cohere", {"logit_scale": 0.25}, True),
        ("GptOss", {"sliding_window": 6, "num_local_experts": 2, "num_experts_per_tok": 1}, False),
        ("Mamba", {"state_size": 4}, False),
    ],
)  # fmt: skip
def test_architectures_score_as_one_row_at_a_time(kind: str, settings: dict[str, Any], packs: bool) -> None:
    model = tiny_model(kind, **settings)
    requests = made_up(each=3)
    assert backbone.can_pack(model, packing.rows(requests, None, None), START) is packs
    assert_plain(model, requests, scores(model, requests))


def test_padded_way_gives_what_the_packed_way_gives(student: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = made_up()
    packed = scores(student, requests)
    calls = []
    run = backbone.padded
    monkeypatch.setattr(backbone, "can_pack", lambda *_: False)
    monkeypatch.setattr(backbone, "padded", lambda *given: calls.append(1) or run(*given))
    padded = scores(student, requests)
    assert calls
    assert_plain(student, requests, packed)
    assert_plain(student, requests, padded)


def test_softcapping_is_kept_where_the_padded_way_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model("Gemma2", sliding_window=6, attn_logit_softcapping=2.0, query_pre_attn_scalar=8)
    requests = made_up(prompts=2)
    monkeypatch.setattr(backbone, "can_pack", lambda *_: False)
    model.set_attn_implementation("sdpa")
    got = scores(model, requests)
    assert model.config._attn_implementation == "sdpa"
    model.set_attn_implementation("eager")
    assert_plain(model, requests, got)


def test_long_rotary_scaling_sees_each_row_by_its_own_length() -> None:
    rope = {
        "rope_type": "longrope", "rope_theta": 10000.0, "original_max_position_embeddings": 32,
        "short_factor": [1.0] * 4, "long_factor": [4.0] * 4, "partial_rotary_factor": 1.0,
    }  # fmt: skip
    model = tiny_model("Phi3", rope_parameters=rope, original_max_position_embeddings=32)
    requests = made_up()
    lengths = {len(r.prompt_ids) + len(r.target_ids) > 33 for r in requests}
    assert lengths == {True, False}
    # The plain pass reads the last token too: one more than is needed, so rows just at the bend are left out.
    requests = [r for r in requests if len(r.prompt_ids) + len(r.target_ids) != 33 and len(r.target_ids) != 32]
    assert_plain(model, requests, scores(model, requests))


def test_large_masks_are_taken_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model("Gemma2", sliding_window=6, attn_logit_softcapping=2.0, query_pre_attn_scalar=8)
    monkeypatch.setattr(packed_attention, "MASK_CELLS", 100)
    requests = made_up(prompts=3)
    assert_plain(model, requests, scores(model, requests))


def test_order_of_rows_and_size_of_packs_change_nothing(student: Any) -> None:
    requests = made_up(prompts=6)
    whole = scores(student, requests)
    shuffled = random.Random(1).sample(requests, len(requests))
    assert scores(student, shuffled) == whole
    for pack_tokens in (1, 100, 5000):
        got = scores(student, requests, pack_tokens=pack_tokens)
        assert got.keys() == whole.keys()
        for key, one in got.items():
            assert one.nll == pytest.approx(whole[key].nll, rel=1e-5)
            assert one.nll_alone == pytest.approx(whole[key].nll_alone, rel=1e-5)
            assert one.rank_sum == whole[key].rank_sum


def test_resumed_scoring_gives_the_same_numbers_and_skips_finished_packs(student: Any) -> None:
    requests = made_up(prompts=8)
    parts = list(score(student, requests, start_id=START, alone=True, max_tokens=None, pack_tokens=150))
    assert len(parts) > 3
    done = {one.id for one in [*parts[0], *parts[1], parts[2][0]]}
    rest = list(score(student, requests, start_id=START, alone=True, max_tokens=None, pack_tokens=150, done=done))
    # To the last bit: the half-finished pack is formed of the same rows again.
    assert rest == [[one for one in part if one.id not in done] for part in parts[2:] if set(_ids(part)) - done]
    assert list(score(student, requests, start_id=START, alone=True, max_tokens=None, pack_tokens=150,
                      done={request.id for request in requests})) == []  # fmt: skip


def _ids(part: Sequence[Score]) -> list[str]:
    return [one.id for one in part]


def test_equal_prefixes_are_computed_once() -> None:
    import numpy as np

    tree = packing.merge([np.array(s) for s in ([1, 2, 3, 4], [1, 2, 5], [1, 2, 3, 4], [1, 7], [1, 2, 3, 4, 5])])
    assert len(tree.tokens) == 7
    for sequence, path in zip(([1, 2, 3, 4], [1, 2, 5]), tree.paths, strict=False):
        assert tree.tokens[path].tolist() == sequence
        assert tree.depths[path].tolist() == list(range(len(sequence)))


def test_the_model_runs_once_a_pack_without_padding(student: Any) -> None:
    requests = made_up(prompts=4, each=3)
    seen = []
    hook = student.model.embed_tokens.register_forward_hook(lambda _m, given, _o: seen.append(given[0].shape))
    scores(student, requests, pack_tokens=10_000)
    hook.remove()
    rows = packing.rows(requests, None, None)
    import numpy as np

    prefixes = {
        tuple(read[: end + 1].tolist())
        for row in rows
        for read in (row.after(row.prompt), row.after(np.array([START])))
        for end in range(len(read))
    }
    assert seen[-1] == (1, len(prefixes))


def test_head_sees_a_chunk_of_answer_positions_at_most(student: Any) -> None:
    requests = made_up(prompts=12, each=3)
    seen: list[int] = []
    hook = student.lm_head.register_forward_pre_hook(lambda _m, given: seen.append(given[0].shape[:-1].numel()))
    scores(student, requests, pack_tokens=10_000)
    hook.remove()
    positions = sum(len(request.target_ids) for request in requests)
    assert positions > HEAD_POSITIONS
    assert max(seen) == HEAD_POSITIONS
    assert sum(seen) <= 2 * positions


def test_cut_applies_to_both_conditionings(student: Any) -> None:
    requests = made_up(prompts=3)
    got = scores(student, requests, max_tokens=5)
    short = [ScoreRequest(r.id, r.prompt_ids, r.target_ids[:5]) for r in requests]
    assert {r.id for r in requests if len(r.target_ids) > 5} == {key for key, one in got.items() if one.cut}
    for request in short:
        one = got[request.id]
        assert one.tokens == len(request.target_ids)
        assert one.nll == pytest.approx(plain(student, request.prompt_ids, request.target_ids)[0], rel=1e-5)
        assert one.nll_alone == pytest.approx(plain(student, [START], request.target_ids)[0], rel=1e-5)


def test_cut_at_the_context_and_alone_left_out(student: Any) -> None:
    draw = random.Random(2)
    prompt, target = [START] * 1000, [draw.randrange(3, 1000) for _ in range(60)]
    one = scores(student, [ScoreRequest("long", prompt, target)], alone=False)["long"]
    assert (one.tokens, one.cut, one.nll_alone) == (24, True, None)
    assert one.nll == pytest.approx(plain(student, prompt, target[:24])[0], rel=1e-5)
    with pytest.raises(StageError, match=r"Row full.*context of 1024"):
        scores(student, [ScoreRequest("full", [START] * 1024, target)])


def test_ranks_are_clipped_and_equal_logits_share_the_better_rank() -> None:
    import torch

    model = tiny_model("Llama", tie_word_embeddings=False)
    with torch.no_grad():
        # The LM head repeats itself: every logit comes twice, so ranks are odd numbers.
        model.lm_head.weight[500:] = model.lm_head.weight[:500]
    requests = [ScoreRequest(str(token), [START, 5], [token]) for token in range(3, 1000, 90)]
    got = scores(model, requests)
    ranks = {one.rank_sum for one in got.values()}
    assert max(ranks) == 100
    assert all(rank % 2 == 1 for rank in ranks - {100})
    assert_plain(model, requests, got)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_model_in_training_is_scored_without_dropout_and_left_as_it_was(tiny_folder: Path, dtype: str) -> None:
    import torch
    from peft import LoraConfig, get_peft_model

    def living() -> Any:
        torch.manual_seed(11)
        base = load(tiny_folder, Device("cpu", dtype, "a test"), attention="eager")[0]
        model = get_peft_model(base, LoraConfig(r=4, lora_alpha=64, lora_dropout=0.5, target_modules="all-linear"))
        for name, weight in model.named_parameters():
            if "lora_" in name:
                torch.nn.init.normal_(weight, std=0.05)
        model.train()
        model.base_model.model.model.layers[0].mlp.eval()
        return model

    def step(model: Any) -> list[torch.Tensor]:
        torch.manual_seed(5)
        ids = torch.arange(3, 40)[None]
        model(input_ids=ids, labels=ids).loss.backward()
        return [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]

    untouched, model = living(), living()
    requests = made_up(prompts=3)
    modes = [module.training for module in model.modules()]
    found = score(model, requests, start_id=START, alone=True, max_tokens=None, pack_tokens=100)
    got = {}
    for pack in found:
        got |= {one.id: one for one in pack}
        # Also between two packs.
        assert [module.training for module in model.modules()] == modes
        assert model.config._attn_implementation == "eager"
        assert torch.is_grad_enabled()
        assert {weight.dtype for weight in model.parameters() if weight.requires_grad} == {torch.float32}
    expected, actual = step(untouched), step(model)
    assert len(actual) > 10
    assert all(torch.equal(a, b) for a, b in zip(actual, expected, strict=True))
    with model.disable_adapter():
        bare = plain(model.eval(), requests[0].prompt_ids, requests[0].target_ids)[0]
    assert got["0/0"].nll != pytest.approx(bare, rel=1e-3)
    if dtype == "float32":
        assert_plain(model, requests, got)
    else:
        one = plain(model, requests[0].prompt_ids, requests[0].target_ids)[0]
        assert got["0/0"].nll == pytest.approx(one, rel=2e-2)


def test_a_failing_model_is_left_as_it_was(tiny_folder: Path) -> None:
    import torch

    model = load(tiny_folder, Device("cpu", "float32", "a test"))[0].train()
    with torch.no_grad():
        model.model.layers[1].mlp.down_proj.weight[0, 0] = float("nan")
    with pytest.raises(StageError, match=r"Row \d/\d: .* not a finite number"):
        scores(model, made_up())
    assert all(module.training for module in model.modules())
    assert model.config._attn_implementation == "sdpa"
    assert "forward" not in vars(model.model)


def test_an_empty_answer_is_named(student: Any) -> None:
    with pytest.raises(StageError, match="Row b has no answer tokens"):
        scores(student, [ScoreRequest("a", [1, 2], [3]), ScoreRequest("b", [1, 2], [])])


def test_progress_counts_the_rows_that_are_yielded(student: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "_PROGRESS_SECONDS", 0.0)
    requests, told = made_up(), []
    done = {requests[0].id}
    got = scores(student, requests, done=done, progress=lambda rows, tokens: told.append((rows, tokens)))
    assert told == sorted(told)
    assert told[-1] == (len(requests) - 1, sum(len(r.target_ids) for r in requests[1:]))
    assert got.keys() == {r.id for r in requests[1:]}


def test_start_token_is_bos_else_end_of_text_else_eos() -> None:
    def tokenizer(bos: int | None, eos: int | None, added: dict[int, str]) -> Any:
        entries = {key: SimpleNamespace(content=text) for key, text in added.items()}
        return SimpleNamespace(bos_token_id=bos, eos_token_id=eos, added_tokens_decoder=entries)

    assert start_token(tokenizer(5, 9, {7: "<|endoftext|>"})) == 5
    assert start_token(tokenizer(None, 9, {7: "<|endoftext|>", 9: "<|im_end|>"})) == 7
    assert start_token(tokenizer(None, 9, {9: "</s>"})) == 9
    with pytest.raises(StageError, match="neither a BOS nor an eos"):
        start_token(tokenizer(None, None, {}))
