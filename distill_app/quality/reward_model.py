"""A reward model's score: any sequence classifier of one logit that transformers loads, run on this machine.

The question is the user turn and the trace the assistant turn of the model's own chat template, which writes all
special tokens; the score is the raw logit, which has no bounds. This is the quality of DMC (arXiv 2605.29229): the
score of the record by itself; that its models are Skywork-Reward ones is our inference from what it cites.

Reward models read less than long traces hold. What is scored is the same part of every trace, so that scores can be
ranked against each other; a trace that does not fit ends the run unless the recipe says to cut it, and each row
records whether it was cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from distill_app import stopping
from distill_app.errors import StageError
from distill_app.quality._conversation import Read, conversation_text, part_of, read_of
from distill_app.recipe.model import Runtime
from distill_app.records import Quality, Trace, Verdict

VERSION = 2
MODEL = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Mirrors schemas/quality/reward_model.json."""

    model: str
    revision: str | None
    dtype: Literal["auto", "bfloat16", "float32"]
    part: Literal["trace", "answer"]
    max_tokens: int | None
    long: Literal["stop", "left"]


def score(
    rows: Sequence[tuple[Trace, Verdict]],
    options: Options,
    *,
    runtime: Runtime,
    done: AbstractSet[str] = frozenset(),
    say: Callable[[str], None],
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[list[Quality]]:
    """The model's logit for each trace not in `done`, in batches, the longest first.

    `parts` hold `tokens`, the length of what was read with the template, and `cut`, 1 where the trace's beginning was
    left out. `StageError` where the model cannot be had, is no classifier of one logit, has no chat template, or a
    trace does not fit and `long` is `stop`: all traces are looked at before any is scored.
    """
    from distill_app.students import device as devices
    from distill_app.students.load import load_tokenizer
    from distill_app.students.locate import fetch, locate

    devices.set_threads(runtime.threads)
    device = devices.pick(runtime.device, options.dtype)
    folder = fetch(locate(options.model, options.revision), say)
    limit = _limit(folder, options)
    tokenizer = load_tokenizer(folder)
    reads = _all(tokenizer, [trace for trace, _ in rows], options, limit, say)
    say(f"{options.model} runs on {device.name} in {device.dtype} ({device.why}).")
    model = load(folder, device.dtype).to(device.name)
    scored = tokens = 0
    for batch in batches(reads, runtime.score_tokens):
        if all(read.id in done for read in batch):
            continue
        # Rows of the batch that are done are run again: beside the same neighbours the others score the same.
        with stopping.held():
            values = logits(model, batch)
            yield [
                Quality(read.id, value, (("tokens", float(len(read.tokens))), ("cut", float(read.cut))))
                for read, value in zip(batch, values, strict=True)
                if read.id not in done
            ]
        scored += sum(read.id not in done for read in batch)
        tokens += sum(len(read.tokens) for read in batch if read.id not in done)
        if progress is not None:
            progress(scored, tokens)


def survey(scores: Sequence[Quality]) -> dict[str, int]:
    """How many traces were cut to what the model reads."""
    return {"cut": sum(int(dict(row.parts)["cut"]) for row in scores)}


def load(folder: Path, dtype: str) -> Any:
    """The sequence classifier in `folder`, in evaluation mode, on the CPU.

    `StageError` where transformers has no such classifier, it gives more than one number, or the folder holds no
    weights for its head (a plain language model's head would be random).
    """
    import torch
    from transformers import AutoModelForSequenceClassification

    config = _config(folder)
    if config.num_labels != 1:
        raise StageError(
            f"{folder} gives {config.num_labels} numbers for each text, and a reward model gives one.", _OTHER_MODEL
        )
    # Only eager attention caps its logits, as Gemma 2 was trained to do.
    capped = getattr(config.get_text_config(), "attn_logit_softcapping", None) is not None
    try:
        model, report = AutoModelForSequenceClassification.from_pretrained(
            folder,
            config=config,
            dtype={"float32": torch.float32, "bfloat16": torch.bfloat16}[dtype],
            attn_implementation="eager" if capped else None,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    except ValueError as error:
        raise _not_a_classifier(folder, error) from error
    if absent := sorted(report["missing_keys"]):
        more = f" and {len(absent) - 3} more" if len(absent) > 3 else ""
        raise StageError(
            f"{folder} is no reward model: it has no weights for {', '.join(absent[:3])}{more}.", _OTHER_MODEL
        )
    if isinstance(getattr(model, "score", None), torch.nn.Linear):
        # In bfloat16 a score has 8 bits: many traces of a pool would tie.
        model.score.float()
        model.score.register_forward_pre_hook(lambda _module, given: (given[0].float(),))
    return model.eval()


def _config(folder: Path) -> Any:
    from distill_app.students import quiet

    quiet.libraries()
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except ValueError as error:
        raise _not_a_classifier(folder, error) from error


def _not_a_classifier(folder: Path, error: Exception) -> StageError:
    why = str(error).strip().splitlines()[0]
    return StageError(f"{folder} cannot be loaded as a sequence classifier: {why}", _OTHER_MODEL)


def batches(reads: Sequence[Read], pack_tokens: int) -> Iterator[list[Read]]:
    """The rows, longest first, in batches of at most `pack_tokens` tokens with their padding, and at least one row."""
    ordered = sorted(reads, key=lambda read: (-len(read.tokens), read.id))
    while ordered:
        count = max(1, pack_tokens // max(1, len(ordered[0].tokens)))
        yield ordered[:count]
        ordered = ordered[count:]


def logits(model: Any, batch: Sequence[Read]) -> list[float]:
    """The model's one number for each row. Short rows are filled up on the right with a token that is none of theirs.

    transformers takes the score at the last token that is not the padding token of the configuration; where the
    configuration has none (many reward models), it is told ours for this call.
    """
    import torch

    config = model.config.get_text_config()
    own = config.pad_token_id
    used = {token for read in batch for token in read.tokens}
    free = next(token for token in range(len(used) + 1) if token not in used)
    padding = free if own is None or own < 0 else own
    longest = max(len(read.tokens) for read in batch)
    ids = torch.full((len(batch), longest), padding)
    mask = torch.zeros(len(batch), longest, dtype=torch.long)
    for row, read in enumerate(batch):
        ids[row, : len(read.tokens)] = torch.tensor(read.tokens)
        mask[row, : len(read.tokens)] = 1
    config.pad_token_id = padding
    try:
        with torch.inference_mode():
            out = model(input_ids=ids.to(model.device), attention_mask=mask.to(model.device)).logits
    finally:
        config.pad_token_id = own
    if not bool(torch.isfinite(out).all()):
        raise StageError(
            "The reward model gives scores that are not numbers.",
            "Set quality.dtype to float32, or check the model's weights.",
        )
    values: list[float] = out.float()[:, 0].tolist()
    return values


_OTHER_MODEL = "Name a model saved as ...ForSequenceClassification with one label, such as a Skywork-Reward model."


def _limit(folder: Path, options: Options) -> int | None:
    """Tokens that the model is to read at most; None where neither recipe nor model sets a limit."""
    room: int | None = getattr(_config(folder).get_text_config(), "max_position_embeddings", None)
    if options.max_tokens is None or room is None:
        return options.max_tokens or room
    if options.max_tokens > room:
        raise StageError(
            f"quality.max_tokens is {options.max_tokens}, and the reward model reads {room} tokens.",
            f"Write {room} or less, or null for all it reads.",
        )
    return options.max_tokens


def _all(
    tokenizer: Any, traces: Sequence[Trace], options: Options, limit: int | None, say: Callable[[str], None]
) -> list[Read]:
    """What is read of every trace; what the template or a limit keeps from the model is refused or said."""
    reads = [read_of(tokenizer, trace, options.part, limit) for trace in traces]
    cut = [read.id for read in reads if read.cut]
    if cut and options.long == "stop":
        other = "quality.part: answer to score what follows the think block, or " if options.part == "trace" else ""
        raise StageError(
            f"{len(cut)} of {len(reads)} traces are longer than the {limit} tokens that the reward model reads, "
            f"for example {cut[0]}.",
            f"Set {other}quality.long: left to leave out their beginning.",
        )
    if cut:
        say(f"{len(cut)} of {len(reads)} traces are cut on the left to the {limit} tokens that the reward model reads.")
    if options.part == "answer":
        none = sum(not part_of(trace.text, "answer").strip() for trace in traces)
        if none:
            say(f"{none} of {len(reads)} traces have no answer after their think block: they are scored as empty.")
    changed = sum(
        part_of(trace.text, options.part).strip()
        not in conversation_text(tokenizer, trace.question, part_of(trace.text, options.part))
        for trace in traces
    )
    if changed:
        say(f"The reward model's chat template leaves out or changes text of {changed} of {len(reads)} traces.")
    return reads
