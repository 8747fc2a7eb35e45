"""One replica of vLLM in a process of its own: reads asks, answers rows as they finish, ends when told nothing more.

Started by `students.vllm_replicas` as `python -m distill_app.students.vllm_worker ANSWER_FD PARENT_PID`. The first
line of standard input is the engine's configuration, every further one an ask, all as JSON. Answers go to the file
descriptor as JSON lines: `ready`, `rows` (rows that finished and the tokens written since the last line) and `fault`
(what went wrong, in vLLM's words; the process ends after it). What vLLM itself says goes to standard output and
error, which the stage's log takes.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import signal
import sys
import threading
import time
from typing import Any, TextIO

STREAM_TOKENS = 32
"""Tokens of a row between two signs of life: progress is as fine as this."""
TELL_SECONDS = 1.0
STEP_TOKENS = 4096
"""Tokens that one step of the engine reads at most on a CPU, unless the context is longer: vLLM's own value."""
_LORA = 1


def main(answer_fd: str, parent: str) -> int:
    """0: the input ended and all was answered. 1: a `fault` line says why not."""
    _end_with(int(parent))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the stage decides: it ends its replicas
    with os.fdopen(int(answer_fd), "w", encoding="utf-8", buffering=1) as answers:
        try:
            _serve(json.loads(sys.stdin.readline()), answers)
        except Exception as error:
            logging.getLogger("distill_app").exception("the replica failed")
            _tell(answers, type="fault", kind=type(error).__name__, text=_story(error))
            return 1
    return 0


def _serve(config: dict[str, Any], answers: TextIO) -> None:
    from vllm.model_executor.models.utils import logger

    # Every weight that is cast on loading has a warning of its own: hundreds of lines for a float32 checkpoint.
    logger.addFilter(lambda record: not record.getMessage().startswith("Attempted to load weight"))
    engine = _engine(config)
    scheduler = engine.vllm_config.scheduler_config
    _tell(answers, type="ready", seqs=scheduler.max_num_seqs, context=engine.model_config.max_model_len)
    inbox: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(inbox,), daemon=True).start()
    rows = _Rows(answers)
    more = True
    while more or engine.has_unfinished_requests():
        while more and (not engine.has_unfinished_requests() or not inbox.empty()):
            line = inbox.get()
            if line is None:
                more = False
            else:
                _add(engine, json.loads(line), config["adapter"])
        if engine.has_unfinished_requests():
            rows.take(engine.step())


def _read(inbox: queue.SimpleQueue[str | None]) -> None:
    """Move asks from the pipe to the queue, so that who writes them never waits for the engine."""
    for line in sys.stdin:
        inbox.put(line)
    inbox.put(None)


def _engine(config: dict[str, Any]) -> Any:
    from vllm.config import StructuredOutputsConfig
    from vllm.engine.arg_utils import EngineArgs
    from vllm.usage.usage_lib import UsageContext
    from vllm.v1.engine.llm_engine import LLMEngine

    lora = {} if config["adapter"] is None else {"enable_lora": True, "max_loras": 1, "max_lora_rank": config["rank"]}
    # On a CPU a seeded row whose prompt is read in two parts stops vLLM 0.32: it would set its generator back, which
    # CPU generators cannot do. So prompts are read whole there, and a step has room for the longest.
    whole = {"enable_chunked_prefill": False, "max_num_batched_tokens": max(config["context"], STEP_TOKENS)}
    arguments = EngineArgs(
        model=config["folder"],
        dtype=config["dtype"],
        max_model_len=config["context"],
        tensor_parallel_size=config["tensor_parallel"],
        gpu_memory_utilization=config["gpu_memory"],
        max_num_seqs=config["max_num_seqs"],
        enforce_eager=config["eager"],
        enable_prefix_caching=True,
        generation_config="vllm",  # the model's own sampling defaults are none of ours: every setting is explicit
        structured_outputs_config=StructuredOutputsConfig(backend="guidance", disable_any_whitespace=True),
        seed=0,
        disable_log_stats=True,
        use_tqdm_on_load=False,
        **lora,
        **(whole if config["cpu"] else {}),
    )
    return LLMEngine.from_engine_args(arguments, usage_context=UsageContext.LLM_CLASS)


def _add(engine: Any, ask: dict[str, Any], adapter: str | None) -> None:
    from vllm.inputs.engine import tokens_input
    from vllm.lora.request import LoRARequest
    from vllm.sampling_params import RequestOutputKind, SamplingParams, StructuredOutputsParams

    greedy = ask["temperature"] == 0
    parameters = SamplingParams(
        n=ask["samples"],
        seed=None if greedy else ask["seed"],
        temperature=ask["temperature"],
        top_p=1.0 if greedy else ask["top_p"],
        max_tokens=ask["max_tokens"],
        stop_token_ids=ask["stop_ids"],
        structured_outputs=None if ask["schema"] is None else StructuredOutputsParams(json=ask["schema"]),
        detokenize=False,
        # Samples of one request come back one by one as they finish; with FINAL_ONLY they would wait for the last.
        output_kind=RequestOutputKind.DELTA,
        stream_interval=STREAM_TOKENS,
    )
    lora = None if adapter is None else LoRARequest("adapter", _LORA, adapter)
    engine.add_request(str(ask["key"]), tokens_input(ask["prompt_ids"]), parameters, lora_request=lora)


class _Rows:
    """Gathers rows' tokens until they finish, and tells: finished rows at once, mere tokens now and then."""

    def __init__(self, answers: TextIO) -> None:
        self._answers = answers
        self._tokens: dict[tuple[int, int], list[int]] = {}
        self._new_tokens = 0
        self._told = time.monotonic()

    def take(self, outputs: list[Any]) -> None:
        finished = []
        for output in outputs:
            key = int(output.request_id)
            for part in output.outputs:
                tokens = self._tokens.setdefault((key, part.index), [])
                tokens.extend(part.token_ids)
                self._new_tokens += len(part.token_ids)
                if part.finish_reason is not None:
                    del self._tokens[key, part.index]
                    finished.append([key, part.index, tokens, part.finish_reason])
        if finished or time.monotonic() - self._told >= TELL_SECONDS:
            _tell(self._answers, type="rows", rows=finished, tokens=self._new_tokens)
            self._new_tokens, self._told = 0, time.monotonic()


def _tell(answers: TextIO, **message: object) -> None:
    answers.write(json.dumps(message) + "\n")


def _story(error: BaseException) -> str:
    """The error's text and those of what caused it: vLLM wraps the telling one."""
    texts: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        if (text := str(cause).strip()) and text not in texts:
            texts.append(text)
        cause = cause.__cause__ or cause.__context__
    return "\n".join(texts) or type(error).__name__


def _end_with(parent: int) -> None:
    """Have this process and those vLLM starts killed when the stage that started it dies."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
