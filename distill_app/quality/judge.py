"""A language model as judge: a teacher is asked to rate each trace with one whole number.

Where the teacher's backend holds replies to a JSON Schema, every whole reply is a rating; where it does not, a strict
reading finds one or none, and never guesses. A reply that holds no rating is asked for once more, with another seed.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any, Literal

from distill_app.errors import StageError
from distill_app.recipe.model import Runtime, build
from distill_app.records import Completion, Problem, Quality, Request, Trace, Verdict
from distill_app.seeds import derive
from distill_app.thinking import split

VERSION = 1
MODEL = True

SECOND_TEMPERATURE = 0.6
"""Of the second reply of a greedy judge, which would else be the first one again."""

_PLACE = re.compile(r"\{(question|trace|answer|low|high)\}")
_PLAIN = re.compile(r"(?:rating\s*[:=]?\s*)?(-?\d+)(?:\s*/\s*(\d+))?\.?", re.IGNORECASE)
_FENCE = re.compile(r"```(?:json)?\s*\n(.*?)\n\s*```", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """The lowest and the highest rating."""

    low: int
    high: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Mirrors schemas/quality/judge.json. `teacher` is a teacher's map, as in the recipe's `teacher`."""

    teacher: Mapping[str, Any]
    scale: Scale
    prompt: str
    unrated: Literal["stop", "lowest"]


def score(
    rows: Sequence[tuple[Trace, Verdict]],
    options: Options,
    *,
    runtime: Runtime,
    done: AbstractSet[str] = frozenset(),
    say: Callable[[str], None],
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[list[Quality]]:
    """The judge's rating of each trace not in `done`, in batches as the replies come.

    `parts` hold `replies`, 1 or 2, and `rated`, 0 where neither held a rating and `unrated` is `lowest`. `StageError`
    where the scale is empty, the teacher is no language model, or (`stop`) a trace stays unrated; the ratings of the
    others have been yielded by then.
    """
    scale = options.scale
    if scale.low >= scale.high:
        raise StageError(
            f"The judge's scale goes from {scale.low} to {scale.high}.", "Write a low that is less than high."
        )
    teacher = importlib.import_module(f"distill_app.teachers.{options.teacher['backend']}")
    if not teacher.MODEL:
        raise StageError(
            f"A teacher of the backend {options.teacher['backend']} cannot judge: it is no language model.",
            "Give quality.teacher a backend that runs one, such as transformers.",
        )
    typed = build(teacher.Options, {key: options.teacher[key] for key in teacher.Options.__dataclass_fields__})
    asked = {trace.id: request(trace, options) for trace, _ in rows}
    rated = tokens = 0

    def replies(requests: Sequence[Request], skip: AbstractSet[str]) -> Iterator[list[Completion]]:
        before = tokens

        def tell(_rows: int, written: int) -> None:
            if progress is not None:
                progress(rated, before + written)

        answers: Iterator[list[Completion]] = teacher.complete(
            requests, typed, runtime=runtime, done=skip, say=say, progress=tell
        )
        return answers

    unread: dict[str, Completion] = {}
    for number in (1, 2):
        again = number == 2
        requests = [_again(asked[name], typed) for name in unread] if again else list(asked.values())
        if not requests:
            break
        if again:
            say(f"{len(unread)} replies hold no rating: they are asked for once more.")
        unread = {}
        for batch in replies(requests, frozenset() if again else done):
            ratings = [(answer, rating(answer.text, scale)) for answer in batch]
            unread |= {answer.id: answer for answer, found in ratings if found is None}
            rated += sum(found is not None for _, found in ratings)
            tokens += sum(answer.tokens or 0 for answer in batch)
            yield [_quality(answer.id, found, number) for answer, found in ratings if found is not None]
    if unread and options.unrated == "stop":
        raise _unrated(unread, len(rows))
    if unread:
        yield [Quality(name, float(scale.low), (("replies", 2.0), ("rated", 0.0))) for name in unread]


def survey(scores: Sequence[Quality]) -> dict[str, int]:
    """How many traces were rated at the second reply only, and how many not at all."""
    parts = [dict(row.parts) for row in scores]
    return {
        "rated at the second reply": sum(part["rated"] == 1 and part["replies"] == 2 for part in parts),
        "unrated": sum(part["rated"] == 0 for part in parts),
    }


def request(trace: Trace, options: Options) -> Request:
    """What the judge is asked about `trace`; the seed is made from the trace's own."""
    values = {
        "question": trace.question,
        "trace": trace.text,
        "answer": trace.answer,
        "low": str(options.scale.low),
        "high": str(options.scale.high),
    }
    # In one pass, so that braces inside a trace stay what they are.
    prompt = _PLACE.sub(lambda match: values[match[1]], options.prompt)
    problem = Problem(trace.problem_id, trace.question, trace.answer, "judge")
    seed = derive(trace.seed, "judge", trace.id)
    return Request(trace.id, problem, prompt, 0, seed, schema=json.dumps(schema(options.scale)))


def schema(scale: Scale) -> dict[str, Any]:
    """The JSON Schema of a reply: `{"rating": 7}`."""
    return {
        "type": "object",
        "properties": {"rating": {"type": "integer", "minimum": scale.low, "maximum": scale.high}},
        "required": ["rating"],
        "additionalProperties": False,
    }


def rating(reply: str, scale: Scale) -> int | None:
    """The rating in a reply, None where there is not exactly one on the scale.

    Read are, after the last think block: a JSON object with a whole `rating`, alone or in the reply's one code fence;
    and a number by itself, as `7`, `Rating: 7` or `7/10` (over the scale's highest).
    """
    text = split(reply).answer.strip()
    fences = _FENCE.findall(text)
    if len(fences) == 1:
        text = fences[0].strip()
    plain = _PLAIN.fullmatch(text)
    if plain:
        found: Any = int(plain[1]) if plain[2] in (None, str(scale.high)) else None
    else:
        try:
            read = json.loads(text)
        except json.JSONDecodeError:
            return None
        found = read.get("rating") if isinstance(read, dict) else None
    whole = isinstance(found, int) and not isinstance(found, bool)
    return found if whole and scale.low <= found <= scale.high else None


def _again(first: Request, options: Any) -> Request:
    greedy = getattr(options, "temperature", None) == 0
    seed = derive(first.seed, "again")
    return replace(first, seed=seed, temperature=SECOND_TEMPERATURE if greedy else first.temperature)


def _quality(name: str, found: int, replies: int) -> Quality:
    return Quality(name, float(found), (("replies", float(replies)), ("rated", 1.0)))


def _unrated(unread: Mapping[str, Completion], rows: int) -> StageError:
    answer = next(iter(unread.values()))
    text = answer.text if len(answer.text) <= 200 else f"{answer.text[:200]}..."
    cut = sum(answer.finish_reason == "length" for answer in unread.values())
    longer = f" {cut} of these replies were cut: raise quality.teacher.max_tokens." if cut else ""
    return StageError(
        f"The judge gave {len(unread)} of {rows} traces no rating in two replies, for example {answer.id}: {text!r}.",
        f"Set quality.unrated: lowest to give such traces the lowest rating, or take another judge.{longer}",
    )
