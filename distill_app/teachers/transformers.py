"""A teacher that is any causal language model transformers loads, sampled on this machine.

The prompt of a request is the user turn, rendered by the model's own chat template.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill_app.recipe.model import Runtime
from distill_app.records import Completion, Problem, Request

if TYPE_CHECKING:
    from distill_app.students.device import Device

VERSION = 1
MODEL = True
FOLLOWS = "instructions"
LOCAL = frozenset({"model", "revision"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Mirrors schemas/teachers/transformers.json."""

    model: str
    revision: str | None
    dtype: str
    system_prompt: str | None
    thinking: bool | None
    temperature: float
    top_p: float
    max_tokens: int


def complete(
    requests: Sequence[Request],
    options: Options,
    *,
    runtime: Runtime,
    done: AbstractSet[str] = frozenset(),
    say: Callable[[str], None],
    progress: Callable[[int, int], None] | None = None,
    **_unused: object,
) -> Iterator[list[Completion]]:
    """Answer every request whose id is not in `done`, in batches as they are finished.

    `requests` is the full list also when resuming (see `students.sampling.sample`). A request's own temperature
    goes before the options'; its schema holds for every completion that is not cut, from the first token on.
    `say` hears what takes time; `progress` gets answers and tokens so far, of this call. `StageError` where the
    model cannot be had, has no usable chat template, or a prompt does not fit.
    """
    from distill_app.students import device as devices
    from distill_app.students.locate import fetch, locate
    from distill_app.students.sampling import SamplingRequest, sample
    from distill_app.students.template import ChatTemplate

    devices.set_threads(runtime.threads)
    device = devices.pick(runtime.device, options.dtype)
    folder = fetch(locate(options.model, options.revision), say)
    say(f"{options.model} runs on {device.name} in {device.dtype} ({device.why}).")
    model, tokenizer = _loaded(folder, device)
    template = ChatTemplate(tokenizer, options.system_prompt, "{question}", options.thinking)
    for note in template.check().notes:
        say(note)
    by_temperature: dict[float, list[SamplingRequest]] = {}
    for request in requests:
        temperature = options.temperature if request.temperature is None else request.temperature
        row = SamplingRequest(request.id, template.prompt_ids(request.prompt), request.seed, request.schema)
        by_temperature.setdefault(temperature, []).append(row)
    held = {request.id for request in requests if request.schema is not None}
    rows = tokens = 0

    def tell(group_rows: int, group_tokens: int) -> None:
        if progress is not None:
            progress(rows + group_rows, tokens + group_tokens)

    for temperature, group in sorted(by_temperature.items()):
        answered = written = 0
        for batch in sample(
            model,
            tokenizer,
            group,
            temperature=temperature,
            top_p=options.top_p,
            max_tokens=options.max_tokens,
            stop_ids=template.stop_ids,
            rows=runtime.sample_rows,
            done=done,
            progress=tell,
        ):
            answered += len(batch)
            written += sum(answer.tokens or 0 for answer in batch)
            yield [
                answer if answer.id in held else replace(answer, text=template.whole(answer.text)) for answer in batch
            ]
        rows, tokens = rows + answered, tokens + written


@lru_cache(maxsize=1)
def _loaded(folder: Path, device: Device) -> tuple[Any, Any]:
    """The model and its tokenizer, kept: who attributes skills or judges is asked several times by one process."""
    from distill_app.students.load import load

    return load(folder, device)


def survey(problems: Sequence[Problem], options: Options) -> dict[str, int]:  # noqa: ARG001 - the teachers' contract
    """Nothing to tell beyond the completions themselves."""
    return {}


def content(options: Options) -> dict[str, str]:
    """The model by content. Raises `UsageError` where it cannot be identified (see `students.locate`)."""
    from distill_app.students.locate import locate

    return {"model_content": locate(options.model, options.revision).content_id}
