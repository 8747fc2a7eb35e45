"""The judge: what is asked, what counts as a rating, and what happens to a trace without one."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from distill_app import resources
from distill_app.errors import RecipeError, StageError
from distill_app.quality import judge
from distill_app.quality.judge import Options, Scale, rating
from distill_app.recipe.model import build
from distill_app.recipe.resolve import load_arms
from distill_app.records import Completion, Quality, Request, Trace, Verdict
from tests.runtime import runtime

RUNTIME = runtime(sample_rows=8)
BASE = Path(__file__).parents[1] / "recipe" / "base.yaml"
PROMPT = json.loads((resources.folder("schemas") / "quality" / "judge.json").read_text())["properties"]["prompt"]


def _rows(count: int) -> list[tuple[Trace, Verdict]]:
    return [
        (
            Trace(f"t{n}", "p", f"What is {n} + 4?", str(n + 4), f"{n} + 4 = {n + 4}", "t", "a", n, 70 + n, "stop"),
            Verdict(f"t{n}", "wrong", None, None),
        )
        for n in range(count)
    ]


def _options(teacher: dict[str, Any], low: int = 1, high: int = 10, unrated: Any = "stop") -> Options:
    return Options(teacher=teacher, scale=Scale(low=low, high=high), prompt=PROMPT["default"], unrated=unrated)


def _scores(
    options: Options, rows: list[tuple[Trace, Verdict]], done: frozenset[str] = frozenset()
) -> dict[str, Quality]:
    batches = judge.score(rows, options, runtime=RUNTIME, done=done, say=lambda _: None)
    return {row.id: row for batch in batches for row in batch}


def _tiny(folder: Path, **changed: Any) -> dict[str, Any]:
    values = {
        "thinking": None,
        "name": "j", "backend": "transformers", "model": str(folder), "revision": None, "dtype": "float32",
        "system_prompt": None, "temperature": 1.0, "top_p": 1.0, "max_tokens": 12,
    }  # fmt: skip
    return {**values, **changed}


def test_every_reply_of_a_local_model_is_a_rating_on_the_scale(tiny_folder: Path) -> None:
    scores = _scores(_options(_tiny(tiny_folder), 2, 5), _rows(24))
    assert scores.keys() == {f"t{n}" for n in range(24)}
    assert {row.quality for row in scores.values()} == {2.0, 3.0, 4.0, 5.0}
    assert {row.parts for row in scores.values()} == {(("replies", 1.0), ("rated", 1.0))}
    assert judge.survey(list(scores.values())) == {"rated at the second reply": 0, "unrated": 0}
    rest = _scores(_options(_tiny(tiny_folder), 2, 5), _rows(24), frozenset({"t3", "t7", "t20"}))
    assert rest == {name: row for name, row in scores.items() if name not in {"t3", "t7", "t20"}}


def test_a_reply_that_is_cut_is_asked_for_again(tiny_folder: Path) -> None:
    """`{"rating": 7}` is six tokens of this tokenizer and `{"rating": 10}` seven: six cut the tens."""
    long = _scores(_options(_tiny(tiny_folder)), _rows(60))
    tens = {name for name, row in long.items() if row.quality == 10}
    assert tens
    short = _options(_tiny(tiny_folder, max_tokens=6), unrated="lowest")
    scores = _scores(short, _rows(60))
    assert {name for name, row in scores.items() if dict(row.parts)["replies"] == 2} == tens
    for name, row in scores.items():
        assert row.quality == long[name].quality if name not in tens else 1 <= row.quality <= 9
    # Three tokens are a rating for nobody.
    none = _scores(_options(_tiny(tiny_folder, max_tokens=3), -2, 4, "lowest"), _rows(5))
    assert {(row.quality, row.parts) for row in none.values()} == {(-2.0, (("replies", 2.0), ("rated", 0.0)))}
    assert judge.survey(list(none.values())) == {"rated at the second reply": 0, "unrated": 5}
    with pytest.raises(
        StageError, match=r"gave 5 of 5 traces no rating in two replies, for example t0: '\{\"rating"
    ) as caught:
        _scores(_options(_tiny(tiny_folder, max_tokens=3)), _rows(5))
    assert "5 of these replies were cut: raise quality.teacher.max_tokens." in caught.value.hint


@dataclass(frozen=True, slots=True, kw_only=True)
class _Free:
    temperature: float


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> tuple[list[Request], dict[str, list[str]]]:
    """A backend that is not held to a form and says what it is told to: here is none that is not held to it."""
    asked: list[Request] = []
    replies: dict[str, list[str]] = {}
    module: Any = ModuleType("distill_app.teachers.scripted")

    def complete(requests: list[Request], _options: _Free, *, done: Any, **_: Any) -> Iterator[list[Completion]]:
        for request in requests:
            if request.id not in done:
                asked.append(request)
                yield [Completion(request.id, replies[request.id].pop(0), "stop", 3)]

    module.MODEL, module.Options, module.complete = True, _Free, complete
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return asked, replies


def test_a_free_reply_without_a_rating_is_asked_for_once_more(
    scripted: tuple[list[Request], dict[str, list[str]]],
) -> None:
    asked, replies = scripted
    teacher = {"name": "s", "backend": "scripted", "temperature": 0.0}
    replies |= {"t0": ["Rating: 7"], "t1": ["I like it", '{"rating": 3}'], "t2": ["eleven", "11"]}
    told: list[tuple[int, int]] = []
    said: list[str] = []
    batches = judge.score(
        _rows(3), _options(teacher), runtime=RUNTIME, say=said.append, progress=lambda *counts: told.append(counts)
    )
    scores: list[Quality] = []
    with pytest.raises(StageError, match=r"gave 1 of 3 traces no rating in two replies, for example t2: '11'\."):
        scores.extend(row for batch in batches for row in batch)
    batches = judge.score(_rows(2), _options(teacher), runtime=RUNTIME, say=said.append)
    replies |= {"t0": ["7"], "t1": ["I like it", '{"rating": 3}']}
    scores = [row for batch in batches for row in batch]
    assert scores == [
        Quality("t0", 7.0, (("replies", 1.0), ("rated", 1.0))),
        Quality("t1", 3.0, (("replies", 2.0), ("rated", 1.0))),
    ]
    assert said == [
        "2 replies hold no rating: they are asked for once more.",
        "1 replies hold no rating: they are asked for once more.",
    ]
    assert judge.survey(scores) == {"rated at the second reply": 1, "unrated": 0}
    first, again = (next(r for r in asked if r.id == "t1" and r.temperature == t) for t in (None, 0.6))
    assert again.seed != first.seed
    assert replace(again, seed=first.seed, temperature=None) == first
    assert len({request.seed for request in asked}) == 5


def test_what_is_asked(scripted: tuple[list[Request], dict[str, list[str]]]) -> None:
    asked, replies = scripted
    replies["t5"] = ["4"]
    trace = replace(_rows(6)[5][0], text="uses {question} and {answer}")
    options = replace(
        _options({"backend": "scripted", "temperature": 0.5}, 1, 5),
        prompt='Q {question} A {answer} T {trace} {low}-{high} {"rating": N} {other}',
    )
    list(judge.score([(trace, Verdict("t5", "wrong", None, None))], options, runtime=RUNTIME, say=print))
    (request,) = asked
    assert request.prompt == 'Q What is 5 + 4? A 9 T uses {question} and {answer} 1-5 {"rating": N} {other}'
    assert json.loads(request.schema or "")["properties"]["rating"] == {"type": "integer", "minimum": 1, "maximum": 5}


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ('{"rating": 7}', 7),
        (' {"rating": 10, "why": "good"}\n', 10),
        ('```json\n{"rating": 7}\n```', 7),
        ('Here you are:\n```\n{"rating": 7}\n```\nBye', 7),
        ('<think>5 or 6?</think>\n{"rating": 6}', 6),
        ("7", 7),
        ("7.", 7),
        ("Rating: 7", 7),
        ("rating = 7/10", 7),
        ("7/5", None),
        ("7 out of 10", None),
        ("7.5", None),
        ('{"rating": 7.0}', None),
        ('{"rating": true}', None),
        ('{"rating": "7"}', None),
        ('{"rating": 11}', None),
        ('{"rating": 0}', None),
        ("-3", None),
        ('{"score": 7}', None),
        ('{"rating": 7', None),
        ("[7]", None),
        ('```\n{"rating": 7}\n```\n```\n{"rating": 8}\n```', None),
        ("I would say 7", None),
        ("", None),
    ],
)
def test_ratings_read_from_free_text(reply: str, expected: int | None) -> None:
    assert rating(reply, Scale(low=1, high=10)) == expected


@pytest.mark.parametrize("backend", ["worked", "traces"])
def test_what_is_no_language_model_cannot_judge(backend: str) -> None:
    with pytest.raises(StageError, match=f"backend {backend} cannot judge"):
        _scores(_options({"name": "x", "backend": backend}), _rows(1))
    with pytest.raises(StageError, match="scale goes from 5 to 5"):
        _scores(_options({"name": "x", "backend": "transformers"}, 5, 5), _rows(1))


def test_in_a_recipe_the_judge_is_a_teacher_with_a_teachers_defaults() -> None:
    chosen = "quality={scorer: judge, teacher: {name: j, backend: transformers, model: m/m, temperature: 0}}"
    (arm,) = load_arms(BASE, [chosen])
    options = build(Options, dict(arm.recipe.quality.options))
    assert (options.scale, options.unrated, options.prompt) == (Scale(low=1, high=10), "stop", PROMPT["default"])
    given = {"name": "j", "backend": "transformers", "model": "m/m", "temperature": 0.0}
    rest = {"revision": None, "dtype": "auto", "system_prompt": None, "thinking": None, "top_p": 0.95}
    rest |= {"max_tokens": 4096, "weight": None, "limit": None}
    assert dict(options.teacher) == {**given, **rest}
    with pytest.raises(RecipeError, match=r"quality\.teacher\.temperature: must be at least 0, got -1"):
        load_arms(BASE, [chosen.replace("temperature: 0", "temperature: -1")])
    with pytest.raises(RecipeError, match=r"quality\.teacher"):
        load_arms(BASE, ["quality={scorer: judge}"])
    with pytest.raises(RecipeError, match=r"quality\.prompt"):
        load_arms(BASE, [chosen.replace("judge,", "judge, prompt: How good?,")])
