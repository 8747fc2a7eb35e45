"""Many answers at once from vLLM: for the teacher and for evaluation, with or without a trained adapter.

The prompts are tokens made by the program's own template; vLLM renders nothing and its text is not used. Rows come
back as they finish. The engine runs in processes of its own (`students.vllm_replicas`), so that its memory comes back
when it ends and this process never imports vLLM. Nothing but this machine is contacted.
"""

from __future__ import annotations

import json
import os
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

from distill_app.errors import StageError
from distill_app.recipe.model import Runtime
from distill_app.records import Completion
from distill_app.students import adapter_limits
from distill_app.students.decoding import SamplingRequest
from distill_app.students.template import ChatTemplate
from distill_app.students.vllm_groups import Ask, asks, context_tokens
from distill_app.students.vllm_machine import environment, gpus, require
from distill_app.students.vllm_replicas import Answer, News, Replicas

Progress = Callable[[int, int], None]
"""Called about once a second with rows finished and tokens written, of the rows this call yields."""

_PROGRESS_SECONDS = 1.0


def model_context(folder: Path) -> int | None:
    """Tokens that a model's context holds by its config.json; None where that does not say."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    found = {**config, **config.get("text_config", {})}.get("max_position_embeddings")
    return None if found is None else int(found)


def check_room(requests: Sequence[SamplingRequest], max_tokens: int, limit: int | None) -> int:
    """Tokens of the longest prompt. `StageError` where it and an answer of `max_tokens` exceed the model's `limit`."""
    longest = max(requests, key=lambda request: len(request.prompt_ids))
    prompt = len(longest.prompt_ids)
    if limit is not None and prompt + max_tokens > limit:
        raise StageError(
            f"Row {longest.id}: its prompt of {prompt} tokens, the longest, and an answer of up to {max_tokens} exceed "
            f"the model's context of {limit} tokens.",
            f"Lower max_tokens to {limit - prompt} or less." if prompt < limit else "Leave this problem out.",
        )
    return prompt


class Engine:
    """vLLM with one model, started when it is first asked, and again where a later call needs a longer context.

    `dtype` is "bfloat16" or "float32". With `adapter` every row is answered with that LoRA adapter applied.
    `StageError` where vLLM is missing or of another version, and where the adapter
    is not whole, does not fit the model or is beyond what vLLM serves (see `adapter_limits`).
    """

    def __init__(self, folder: Path, *, dtype: str, runtime: Runtime, adapter: Path | None = None) -> None:
        self._build = require()
        self._folder = folder
        self._dtype = dtype
        self._runtime = runtime
        self._adapter = adapter
        self._rank = None if adapter is None else _served_rank(adapter, folder)
        self._limit = model_context(folder)
        self._context = 0
        self._replicas: Replicas | None = None

    def sample(
        self,
        template: ChatTemplate,
        requests: Sequence[SamplingRequest],
        *,
        temperature: float,
        top_p: float,
        max_tokens: int,
        say: Callable[[str], None],
        done: AbstractSet[str] = frozenset(),
        progress: Progress | None = None,
        own_temperature: Mapping[str, float] | None = None,
    ) -> Iterator[list[Completion]]:
        """Answer every request whose id is not in `done`; yield rows as they finish, those that came at once together.

        `requests` is the full list also when resuming: it decides the seeds (see `vllm_groups`), and a completion's
        `seed` is the one really used. `own_temperature` holds temperatures of single rows by id. A completion's text
        and `tokens` are without the stop token; finish_reason is "stop" or "length" (after `max_tokens`). Where a
        request has a schema, the text of a completion that was not cut is an instance of it. `say` hears in a line
        what is started.

        Raises `StageError` before any work where a prompt and `max_tokens` exceed the model's context, and where an
        engine cannot start or fails; rows that finished were yielded before.
        """
        left = asks(requests, done, temperature, own_temperature or {})
        stops = frozenset(template.stop_ids)
        rows = tokens = 0
        told = time.monotonic()
        for news in self.answers(left, requests, top_p=top_p, max_tokens=max_tokens, stop_ids=stops, say=say):
            rows, tokens = rows + len(news.answers), tokens + news.tokens
            if progress is not None and time.monotonic() - told >= _PROGRESS_SECONDS:
                told = time.monotonic()
                progress(rows, tokens)
            if news.answers:
                yield [completion(left[answer.ask], answer, template, stops) for answer in news.answers]

    def answers(
        self,
        left: Sequence[Ask],
        requests: Sequence[SamplingRequest],
        *,
        top_p: float,
        max_tokens: int,
        stop_ids: AbstractSet[int],
        say: Callable[[str], None],
    ) -> Iterator[News]:
        """What vLLM answers to the asks in `left`, as tokens; `requests` are all that the context must have room for.

        Raises as `sample` does.
        """
        if not left:
            return
        prompt = check_room(requests, max_tokens, self._limit)
        replicas = self._start(context_tokens(prompt, max_tokens, self._limit), say)
        shared = {"top_p": top_p, "max_tokens": max_tokens, "stop_ids": sorted(stop_ids)}
        yield from replicas.work([_message(ask, shared) for ask in left])

    def _start(self, context: int, say: Callable[[str], None]) -> Replicas:
        """The running replicas, started anew where they hold less than `context` tokens."""
        if self._replicas is not None and context > self._context:
            self.close()
            # Prompts grow from call to call where a judge or a teacher is asked in rounds: leave them room.
            context = context_tokens(0, 2 * context, self._limit)
        if self._replicas is None:
            settings, started = self._runtime.vllm, time.monotonic()
            copies = f", {settings.data_parallel} copies" if settings.data_parallel > 1 else ""
            say(f"vLLM {self._build.version} starts: {self._dtype}, context of {context} tokens{copies}.")
            self._context = context
            self._replicas = Replicas(self._config(context), self._environments())
            weakref.finalize(self, self._replicas.stop)
            self._replicas.wait_until_ready()
            say(f"vLLM was ready after {time.monotonic() - started:.0f} s.")
        return self._replicas

    def _config(self, context: int) -> dict[str, Any]:
        settings, cpu = self._runtime.vllm, self._build.kind == "cpu"
        return {
            "folder": str(self._folder),
            "dtype": self._dtype,
            "context": context,
            "tensor_parallel": settings.tensor_parallel,
            "gpu_memory": settings.gpu_memory,
            "max_num_seqs": settings.max_num_seqs,
            "eager": cpu if settings.eager is None else settings.eager,
            "adapter": None if self._adapter is None else str(self._adapter),
            "rank": self._rank,
            "cpu": cpu,
        }

    def _environments(self) -> list[dict[str, str]]:
        from distill_app.students.device import physical_cores

        settings = self._runtime.vllm
        cpu = self._build.kind == "cpu"
        threads = self._runtime.threads or max(1, physical_cores() // settings.data_parallel)
        devices = None if cpu else gpus(os.environ, settings.data_parallel * settings.tensor_parallel)
        found = []
        for copy in range(settings.data_parallel):
            own = environment(threads, settings.kv_cache_gib) if cpu else environment()
            if devices is not None:
                mine = devices[copy * settings.tensor_parallel : (copy + 1) * settings.tensor_parallel]
                own["CUDA_VISIBLE_DEVICES"] = ",".join(mine)
            found.append(own)
        return found

    def close(self) -> None:
        """End the engine; its memory is back when this returns. The next `sample` starts it again."""
        if self._replicas is not None:
            self._replicas.stop()
            self._replicas = None


def sample(
    folder: Path,
    template: ChatTemplate,
    requests: Sequence[SamplingRequest],
    *,
    dtype: str,
    runtime: Runtime,
    say: Callable[[str], None],
    adapter: Path | None = None,
    temperature: float,
    top_p: float,
    max_tokens: int,
    done: AbstractSet[str] = frozenset(),
    progress: Progress | None = None,
) -> Iterator[list[Completion]]:
    """`Engine.sample` by an engine that ends with this call: how evaluation asks the student."""
    engine = Engine(folder, dtype=dtype, runtime=runtime, adapter=adapter)
    try:
        yield from engine.sample(
            template,
            requests,
            temperature=temperature,
            top_p=top_p,
            max_tokens=max_tokens,
            say=say,
            done=done,
            progress=progress,
        )
    finally:
        engine.close()


def completion(ask: Ask, answer: Answer, template: ChatTemplate, stops: AbstractSet[int]) -> Completion:
    """The row that vLLM answered. `StageError` for an ending other than a stop or the token limit."""
    request = ask.rows[answer.sample]
    if answer.reason not in ("stop", "length"):
        raise StageError(
            f"Row {request.id}: vLLM ended the answer with {answer.reason!r}.",
            "The run's out.log may say why. Finished rows are kept: issue the command again to go on.",
        )
    tokens = answer.tokens
    if answer.reason == "stop" and tokens and tokens[-1] in stops:
        tokens = tokens[:-1]
    # Some tokenizers take out spaces before punctuation on decoding: inside JSON they belong to the text.
    cleaning = {} if request.schema is None else {"clean_up_tokenization_spaces": False}
    text = template.tokenizer.decode(tokens, skip_special_tokens=True, **cleaning)
    return Completion(
        id=request.id,
        text=text if request.schema is not None else template.whole(text),
        finish_reason=answer.reason,
        tokens=len(tokens),
        prompt_tokens=len(request.prompt_ids),
        seed=ask.recorded_seed(answer.sample),
    )


def _served_rank(adapter: Path, folder: Path) -> int:
    """What `max_lora_rank` is to be, after making sure that vLLM can take the adapter: a wrong one kills the engine."""
    problem = adapter_limits.trouble_of(adapter)
    if problem is not None:
        raise StageError(
            f"vLLM cannot serve the adapter in {adapter}: {problem}.", "Set evaluation.adapter to merged, or auto."
        )
    if (what := adapter_limits.misfit(adapter, folder)) is not None:
        raise StageError(
            f"The adapter in {adapter} does not fit the model: {what}.", "Use it with the model it was trained on."
        )
    rank = adapter_limits.engine_rank(adapter_limits.highest_rank(adapter_limits.read_config(adapter)))
    assert rank is not None
    return rank


def _message(ask: Ask, shared: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **shared,
        "prompt_ids": list(ask.prompt_ids),
        "samples": len(ask.rows),
        "seed": ask.seed,
        "temperature": ask.temperature,
        "schema": ask.rows[0].schema,
    }
