"""A teacher that is any model vLLM serves, on this machine's GPUs or its CPU, in processes of its own.

The prompt of a request is the user turn, rendered by the model's own chat template (the program's template object:
vLLM is handed tokens). The samples of one prompt go to vLLM as one request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from distill_app.recipe.model import Runtime
from distill_app.records import Completion, Problem, Request
from distill_app.students import vllm_machine

if TYPE_CHECKING:
    from distill_app.students.vllm_engine import Engine

VERSION = 1
MODEL = True
FOLLOWS = "instructions"
LOCAL = frozenset({"model", "revision"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Mirrors schemas/teachers/vllm.json."""

    model: str
    revision: str | None
    dtype: str
    system_prompt: str | None
    thinking: bool | None
    temperature: float
    top_p: float
    max_tokens: int


def lacking(options: Options) -> list[tuple[str, str, str]]:  # noqa: ARG001 - the teachers' contract
    """What this machine lacks: vLLM, or its right version."""
    what = vllm_machine.lack(vllm_machine.installed())
    return [] if what is None else [("backend", what, vllm_machine.INSTALL)]


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
    """Answer every request whose id is not in `done`; rows are yielded as they finish.

    `requests` is the full list also when resuming: the samples of one prompt get consecutive seeds from the first
    one's on (see `students.vllm_groups`), and each completion's `seed` is the one it was drawn with. A request's own
    temperature goes before the options'; its schema holds for every completion that is not cut. `say` hears what takes
    time; `progress` gets answers and tokens so far, of this call. `StageError` where vLLM is not installed, the model
    cannot be had or has no usable chat template, a prompt does not fit, or the engine fails.
    """
    from distill_app.students import device as devices
    from distill_app.students.decoding import SamplingRequest
    from distill_app.students.load import load_tokenizer
    from distill_app.students.locate import fetch, locate
    from distill_app.students.template import ChatTemplate

    vllm_machine.require()
    folder = fetch(locate(options.model, options.revision), say)
    template = ChatTemplate(load_tokenizer(folder), options.system_prompt, "{question}", options.thinking)
    for note in template.check().notes:
        say(note)
    devices.set_threads(runtime.threads)
    device = devices.pick(runtime.device, options.dtype)
    prompts = {prompt: template.prompt_ids(prompt) for prompt in {request.prompt for request in requests}}
    yield from _engine(folder, device.dtype, runtime).sample(
        template,
        [SamplingRequest(asked.id, prompts[asked.prompt], asked.seed, asked.schema) for asked in requests],
        temperature=options.temperature,
        top_p=options.top_p,
        max_tokens=options.max_tokens,
        say=say,
        done=done,
        progress=progress,
        own_temperature={asked.id: asked.temperature for asked in requests if asked.temperature is not None},
    )


@lru_cache(maxsize=1)
def _engine(folder: Path, dtype: str, runtime: Runtime) -> Engine:
    """The engine, kept: who attributes skills or judges asks several times in one process."""
    from distill_app.students.vllm_engine import Engine

    return Engine(folder, dtype=dtype, runtime=runtime)


def survey(problems: Sequence[Problem], options: Options) -> dict[str, int]:  # noqa: ARG001 - the teachers' contract
    """Nothing to tell beyond the completions themselves."""
    return {}


def content(options: Options) -> dict[str, str]:
    """The model by content. Raises `UsageError` where it cannot be identified (see `students.locate`)."""
    from distill_app.students.locate import locate

    return {"model_content": locate(options.model, options.revision).content_id}
