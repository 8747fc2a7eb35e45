"""What is sent to an OpenAI-compatible server for a request, and what its answer comes to."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from distill_app import thinking
from distill_app.records import Completion, Request

if TYPE_CHECKING:
    from distill_app.teachers.openai import Options

FINISH_WORDS = {
    **dict.fromkeys(("stop", "eos", "eos_token", "stop_sequence", "end_turn"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "max_length"), "length"),
}
"""What servers call the two usual ends. Any other word (`content_filter`) is kept as it is."""
SEED_BITS = 31
"""Servers differ in the seeds they take; all take this many bits."""


class NotAnAnswer(Exception):
    """A body that is no chat completion: `instead` tells what it is."""


def messages(prompt: str, options: Options) -> list[dict[str, str]]:
    """The conversation: a system turn where there is one, then the prompt as the user turn."""
    system = [{"role": "system", "content": options.system_prompt}] if options.system_prompt is not None else []
    return [*system, {"role": "user", "content": prompt}]


def fields(request: Request, options: Options) -> dict[str, Any]:
    """The body without `model` and `messages`. A request's own temperature goes before the options'."""
    body: dict[str, Any] = {options.max_tokens_key: options.max_tokens}
    temperature = options.temperature if request.temperature is None else request.temperature
    if temperature is not None:
        body["temperature"] = temperature
    if options.top_p is not None:
        body["top_p"] = options.top_p
    if options.seeds:
        body["seed"] = sent_seed(request)
    if request.schema is not None and options.structured is not None:
        schema = json.loads(request.schema)
        if options.structured == "json_schema":
            named = {"name": "answer", "schema": schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        else:
            body[options.structured] = schema
    body |= options.extra
    if options.thinking is not None:
        given = options.extra.get("chat_template_kwargs", {})
        body["chat_template_kwargs"] = {**given, "enable_thinking": options.thinking}
    return body


def sent_seed(request: Request) -> int:
    """The request's seed as a server gets it: its lowest `SEED_BITS` bits."""
    return request.seed & ((1 << SEED_BITS) - 1)


def prompt_bytes(request: Request, options: Options) -> int:
    """Bytes of all the text that enters a request's prompt."""
    return sum(len(text.encode()) for text in (options.system_prompt or "", request.prompt, request.schema or ""))


def read(request: Request, options: Options, body: str) -> Completion:
    """The completion that a server's answer holds. An answer without text is "missing", its tokens still counted.

    Reasoning that the server keeps apart (`reasoning_content` or `reasoning` of the message) is put back in front of
    the content as a think block, once, so that a trace is whole: left open where the limit cut it there. Raises
    `NotAnAnswer` for a body that is no chat completion.
    """
    answer = _json(body)
    choices = answer.get("choices") if isinstance(answer, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
        raise NotAnAnswer
    message, word = choice["message"], choice.get("finish_reason") or "unknown"
    finish = FINISH_WORDS.get(str(word), str(word))
    reasoning = _text(message.get("reasoning_content")) or _text(message.get("reasoning"))
    text = whole(reasoning, _text(message.get("content")), cut=finish == "length")
    usage = answer["usage"] if isinstance(answer.get("usage"), dict) else {}
    seed = sent_seed(request) if options.seeds else request.seed
    refusal = _text(message.get("refusal"))
    note = None
    if not text.strip():
        note = "empty answer" + (f": {refusal[:200]}" if refusal else "" if finish == "stop" else f" ({finish})")
        text, finish = "", "missing"
    return Completion(
        request.id,
        text,
        finish,
        tokens=_count(usage.get("completion_tokens")),
        note=note,
        prompt_tokens=_count(usage.get("prompt_tokens")),
        seed=None if seed == request.seed else seed,
    )


def whole(reasoning: str, content: str, *, cut: bool) -> str:
    """Reasoning and content as one text, the reasoning as its think block.

    Content that has a think block already stays as it is. `cut`: the limit ended it, so without content the block
    stays open.
    """
    if not reasoning or thinking.CLOSE in content or content.lstrip().startswith(thinking.OPEN):
        return content
    if cut and not content:
        return f"{thinking.OPEN}\n{reasoning.lstrip(chr(10))}"
    return f"{thinking.OPEN}\n{reasoning.strip(chr(10))}\n{thinking.CLOSE}\n\n{content.lstrip(chr(10))}"


def instead(body: str, clean: Callable[[str], str]) -> tuple[int | None, str]:
    """What a body is that is no chat completion, and the status that it names where it is an error sent as a 200.

    `clean` takes out of the server's words what must not be shown, before they are cut.
    """
    answer = _json(body)
    if not isinstance(answer, dict):
        return None, f"no JSON object: {clean(body)[:80]!r}"
    error = answer.get("error")
    if not error:
        return None, f"no choices: {clean(body)[:80]!r}"
    code = error.get("code") if isinstance(error, dict) else None
    return (code if isinstance(code, int) and 400 <= code < 600 else None), said_by(body, clean)


def said_by(body: str, clean: Callable[[str], str]) -> str:
    """What a server's error body says, in its own words: its code where that is a word, then its message. `clean` is
    as for `instead`.
    """
    inner = _json(body)
    code = ""
    while isinstance(inner, dict):
        code = f"{inner['code']}: " if isinstance(inner.get("code"), str) else code
        inner = next((inner[key] for key in ("error", "message", "detail", "msg") if inner.get(key)), str(inner))
    said = " ".join(clean(body if inner is None else str(inner)).split())
    return _whole_characters(clean(code)[:100] + said[:300]) or "no word about it"


def _json(body: str) -> Any:
    """The value that a body holds, None where it is no JSON."""
    try:
        return json.loads(body)
    except ValueError:
        return None


def _whole_characters(text: str) -> str:
    """`text` with halves of a character, which JSON can spell and no file can hold, replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _text(value: object) -> str:
    """Text as a server may give it: a string, parts with a `text` each, or nothing."""
    if isinstance(value, str):
        return _whole_characters(value)
    if isinstance(value, list):
        return "".join(_text(part.get("text")) for part in value if isinstance(part, dict))
    return ""


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
