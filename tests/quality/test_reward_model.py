"""Reward models: the batch scores what a plain call scores, and what cannot be scored is refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from distill_app.errors import StageError
from distill_app.quality import reward_model
from distill_app.quality.reward_model import Options, Read, part_of
from distill_app.recipe.model import Runtime
from distill_app.records import Quality, Trace, Verdict
from distill_app.students import quiet
from distill_app.students.load import load_tokenizer
from tests.runtime import runtime
from tests.tiny import TOKENIZER_FILES

RUNTIME = runtime(sample_rows=4, score_tokens=400)
CONTEXT = 256


def tiny_reward(folder: Path, source: Path, *, labels: int = 1, pad: int | None = None, seed: int = 0) -> Path:
    """A random two-layer Llama classifier with the built-in student's tokenizer, whose scores differ visibly."""
    quiet.libraries()
    from transformers import LlamaConfig, LlamaForSequenceClassification

    config = LlamaConfig(
        vocab_size=49152, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=CONTEXT, bos_token_id=1, eos_token_id=2, pad_token_id=pad,
        num_labels=labels, initializer_range=0.2,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        LlamaForSequenceClassification(config).save_pretrained(folder)
    for name in TOKENIZER_FILES:
        shutil.copyfile(source / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def folder(smollm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_reward(tmp_path_factory.mktemp("reward") / "tiny", smollm)


def _options(folder: Path, **changed: Any) -> Options:
    values = {
        "model": str(folder),
        "revision": None,
        "dtype": "float32",
        "part": "trace",
        "max_tokens": None,
        "long": "stop",
    }
    return Options(**{**values, **changed})


def _rows(*texts: str) -> list[tuple[Trace, Verdict]]:
    return [
        (
            Trace(f"t{place}", "p", f"What is {place} + 4?", "?", text, "t", "a", 0, 0, "stop"),
            Verdict(f"t{place}", "wrong", None, None),
        )
        for place, text in enumerate(texts)
    ]


TEXTS = ("4", "3 + 4 = 7\nAnswer: 7", "We add {4} to it. " * 12, "é π 🙂", "", "Answer: 8", "so " * 60)


def _scores(
    folder: Path,
    rows: list[tuple[Trace, Verdict]],
    done: frozenset[str] = frozenset(),
    runtime: Runtime = RUNTIME,
    **changed: Any,
) -> dict[str, Quality]:
    found: dict[str, Quality] = {}
    for batch in reward_model.score(rows, _options(folder, **changed), runtime=runtime, done=done, say=lambda _: None):
        assert batch
        found |= {row.id: row for row in batch}
    return found


def _plain(folder: Path, question: str, text: str) -> tuple[float, int]:
    """transformers alone, one row: the score and the number of tokens."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": text}]
    ids = tokenizer.apply_chat_template(turns, tokenize=True, return_dict=True, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        return float(model(ids).logits[0, 0]), ids.shape[1]


@pytest.mark.parametrize("pad", [None, 2, 198])
def test_scores_are_those_of_one_row_at_a_time(smollm: Path, tmp_path: Path, pad: int | None) -> None:
    """Also where the padding token ends every row: 2 ends a turn, 198 is the line break after it."""
    folder = tiny_reward(tmp_path / "m", smollm, pad=pad)
    rows = _rows(*TEXTS)
    scores = _scores(folder, rows)
    assert set(scores) == {trace.id for trace, _ in rows}
    for trace, _ in rows:
        value, tokens = _plain(folder, trace.question, trace.text)
        assert scores[trace.id].quality == pytest.approx(value, abs=1e-5)
        assert scores[trace.id].parts == (("tokens", float(tokens)), ("cut", 0.0))
    values = sorted(row.quality for row in scores.values())
    assert min(b - a for a, b in pairwise(values)) > 1e-3
    assert reward_model.survey(list(scores.values())) == {"cut": 0}


def test_neither_order_nor_batches_matter(folder: Path) -> None:
    whole = _scores(folder, _rows(*TEXTS))
    for tokens in (64, 150, 10_000):
        again = _scores(folder, _rows(*TEXTS)[::-1], runtime=replace(RUNTIME, score_tokens=tokens))
        assert again.keys() == whole.keys()
        for name, row in again.items():
            assert row.quality == pytest.approx(whole[name].quality, abs=1e-5)


def test_a_resumed_call_scores_the_rest_exactly_the_same(folder: Path) -> None:
    whole = _scores(folder, _rows(*TEXTS))
    for done in (frozenset({"t0"}), frozenset({"t1", "t2", "t6"}), frozenset(whole)):
        rest = _scores(folder, _rows(*TEXTS), done)
        assert rest == {name: row for name, row in whole.items() if name not in done}


def test_progress_counts_rows_and_tokens_of_this_call(folder: Path) -> None:
    told: list[tuple[int, int]] = []
    batches = reward_model.score(
        _rows(*TEXTS), _options(folder), runtime=RUNTIME, done=frozenset({"t3"}), say=lambda _: None,
        progress=lambda rows, tokens: told.append((rows, tokens)),
    )  # fmt: skip
    scores = [row for batch in batches for row in batch]
    assert told == sorted(told)
    assert told[-1] == (6, sum(int(dict(row.parts)["tokens"]) for row in scores))


def test_batches_are_longest_first_and_within_their_tokens() -> None:
    reads = [Read(f"r{length}", (5,) * length, False) for length in (3, 10, 4, 50, 5)]
    found = [[len(read.tokens) for read in batch] for batch in reward_model.batches(reads, 12)]
    assert found == [[50], [10], [5, 4], [3]]


def test_long_traces_stop_the_run_or_lose_their_beginning(folder: Path) -> None:
    text = " ".join(f"{n} + 1 = {n + 1}." for n in range(100, 160)) + "\nAnswer: 160"
    rows = _rows("Answer: 4", text)
    with pytest.raises(StageError, match=r"1 of 2 traces are longer than the 256 tokens .* example t1\.") as caught:
        _scores(folder, rows)
    assert "quality.part: answer" in caught.value.hint
    assert "quality.long: left" in caught.value.hint
    said: list[str] = []
    options = _options(folder, long="left")
    scored = {
        row.id: row
        for batch in reward_model.score(rows, options, runtime=RUNTIME, say=said.append)
        for row in batch
    }  # fmt: skip
    assert dict(scored["t0"].parts)["cut"] == 0.0
    parts = dict(scored["t1"].parts)
    assert parts["cut"] == 1.0
    assert 250 <= parts["tokens"] <= 256
    assert reward_model.survey(list(scored.values())) == {"cut": 1}
    assert "1 of 2 traces are cut on the left to the 256 tokens that the reward model reads." in said
    # What is scored is an end of the trace, by the plain call's reckoning too.
    tokenizer, question = load_tokenizer(folder), rows[1][0].question
    fits = [n for n in range(len(text)) if _plain_length(tokenizer, question, text[n:]) == parts["tokens"]]
    values = [_plain(folder, question, text[start:])[0] for start in fits]
    assert 1 <= len(values) < 10
    assert any(scored["t1"].quality == pytest.approx(value, abs=1e-5) for value in values)
    assert scored["t0"] == _scores(folder, rows[:1])["t0"]


def _plain_length(tokenizer: Any, question: str, text: str) -> int:
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": text}]
    return len(tokenizer.apply_chat_template(turns, tokenize=True, return_dict=True)["input_ids"])


def test_the_answer_part_is_scored_alone_for_every_row(folder: Path) -> None:
    thought = "<think>\n" + "hm " * 400 + "\n</think>\n\nAnswer: 5"
    unclosed = "<think>\nhm"
    rows = _rows(thought, "3 + 4 = 7\nAnswer: 7", unclosed, "opened by the template\n</think>\n\n6")
    said: list[str] = []
    batches = reward_model.score(rows, _options(folder, part="answer"), runtime=RUNTIME, say=said.append)
    scores = {row.id: row for batch in batches for row in batch}
    for name, text in (("t0", "Answer: 5"), ("t1", "3 + 4 = 7\nAnswer: 7"), ("t2", ""), ("t3", "6")):
        place = int(name[1:])
        assert scores[name].quality == pytest.approx(_plain(folder, rows[place][0].question, text)[0], abs=1e-5)
    assert "1 of 4 traces have no answer after their think block: they are scored as empty." in said
    assert reward_model.survey(list(scores.values())) == {"cut": 0}


def test_parts_by_hand() -> None:
    assert part_of("<think>a</think>b", "trace") == "<think>a</think>b"
    assert part_of("<think>a</think>\n\nb", "answer") == "b"
    assert part_of("a</think>b</think> c", "answer") == "c"
    assert part_of("</think>", "answer") == ""
    assert part_of("no thought", "answer") == "no thought"


def test_a_question_that_leaves_no_room_is_named(folder: Path) -> None:
    with pytest.raises(StageError, match=r"The question of t0 takes \d+ of the 20 tokens"):
        _scores(folder, _rows("4 apples"), max_tokens=20, long="left")
    with pytest.raises(StageError, match=r"quality\.max_tokens is 300, and the reward model reads 256 tokens"):
        _scores(folder, _rows("4"), max_tokens=300)


def test_one_bos_where_template_and_tokenizer_both_write_it(folder: Path) -> None:
    from tokenizers.processors import TemplateProcessing

    tokenizer = load_tokenizer(folder)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)]
    )
    tokenizer.chat_template = "<|endoftext|>{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    assert tokenizer("hello")["input_ids"][0] == 0
    read = reward_model.read_of(tokenizer, _rows("4")[0][0], "trace", None)
    assert read.tokens[0] == 0
    assert read.tokens.count(0) == 1
    assert tokenizer.decode(read.tokens) == "<|endoftext|>user: What is 0 + 4?\nassistant: 4\n"


def test_a_template_that_drops_text_is_said(smollm: Path, tmp_path: Path) -> None:
    folder = tiny_reward(tmp_path / "m", smollm)
    template = "{% for m in messages %}{{ m.content.split('</think>')[-1] }}\n{% endfor %}"
    (folder / "chat_template.jinja").write_text(template)
    said: list[str] = []
    rows = _rows("<think>a</think>b", "c")
    list(reward_model.score(rows, _options(folder), runtime=RUNTIME, say=said.append))
    assert said[0] == "The reward model's chat template leaves out or changes text of 1 of 2 traces."


def test_in_bfloat16_scores_are_finer_than_its_eight_bits(folder: Path) -> None:
    rows = _rows(*TEXTS)
    exact, half = (_scores(folder, rows, dtype=dtype) for dtype in ("float32", "bfloat16"))
    rounded = [float(torch.tensor(row.quality).bfloat16()) for row in half.values()]
    assert [row.quality for row in half.values()] != rounded
    for name, row in half.items():
        assert row.quality == pytest.approx(exact[name].quality, abs=0.15)


def test_other_models_are_refused(smollm: Path, tiny_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(StageError, match="gives 3 numbers for each text"):
        _scores(tiny_reward(tmp_path / "three", smollm, labels=3), _rows("4"))
    with pytest.raises(
        StageError, match="gives 2 numbers for each text"
    ):  # a language model, whose labels default to 2
        _scores(tiny_folder, _rows("4"))
    headless = tmp_path / "headless"
    shutil.copytree(tiny_folder, headless)
    config = (headless / "config.json").read_text()
    (headless / "config.json").write_text(config.replace("{", '{"id2label": {"0": "LABEL_0"},', 1))
    with pytest.raises(StageError, match=r"is no reward model: it has no weights for score\.weight\."):
        _scores(headless, _rows("4"))


def test_no_chat_template_is_refused(smollm: Path, tmp_path: Path) -> None:
    folder = tiny_reward(tmp_path / "m", smollm)
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(StageError, match="The reward model has no chat template"):
        _scores(folder, _rows("4"))
