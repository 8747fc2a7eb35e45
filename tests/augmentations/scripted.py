"""Teachers for these tests: completions by request id, for a generator and as a backend of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from distill_app import resources
from distill_app.augmentations import Answerable, Made, Rounds
from distill_app.evaluation import grading
from distill_app.records import Completion, Problem, Request, Verdict

Said = str | Completion


def grade(answers: list[Answerable]) -> dict[str, Verdict]:
    """The program's own grading of answers whose kind does not matter."""
    plain = [(name, text, gold) for name, text, gold, _, _ in answers]
    return {verdict.id: verdict for verdict in grading.grade(plain, workers=1, limit_seconds=5)}


def play(rounds: Rounds, script: Mapping[str, Said]) -> tuple[Made, list[list[Request]]]:
    """What comes of the rounds when every request is answered from the script, and the rounds that were asked."""
    asked: list[list[Request]] = []
    answers: dict[str, Completion] | None = None
    while True:
        try:
            wanted = next(rounds) if answers is None else rounds.send(answers)
        except StopIteration as end:
            return end.value, asked
        asked.append(wanted)
        answers = {request.id: completion(request.id, script[request.id]) for request in wanted}


def completion(name: str, said: Said) -> Completion:
    """A finished completion of as many tokens as words; or the one that the script holds itself."""
    return Completion(name, said, "stop", len(said.split())) if isinstance(said, str) else said


def problem(name: str, question: str, answer: str, **more: Any) -> Problem:
    return Problem(name, question, answer, "test", **more)


def defaults(name: str) -> dict[str, Any]:
    """The default options of an augmentation, from its schema."""
    folder = resources.folder("schemas")
    shared = json.loads((folder / "recipe.schema.json").read_text())["$defs"]
    properties = json.loads((folder / "augmentations" / f"{name}.json").read_text())["properties"]
    return {
        key: {**shared[spec["$ref"].split("/")[-1]], **spec}["default"] if "$ref" in spec else spec["default"]
        for key, spec in properties.items()
        if key != "name"
    }


def example_objects(prompt: str) -> list[dict[str, Any]]:
    """The JSON objects that stand on a line of their own in a prompt: its examples."""
    return [json.loads(line) for line in re.findall(r"^\{.*\}$", prompt, re.MULTILINE)]


@dataclass(frozen=True, slots=True)
class Options:
    pass


class Teacher:
    """A backend that answers from a script, two requests a batch; `asked` are the ids it was given and had not done.

    `dies_after`: it fails once it has answered so many.
    """

    VERSION = 1
    FOLLOWS = "instructions"
    Options = Options

    def __init__(self, script: Mapping[str, Said], *, model: bool = True, dies_after: int | None = None) -> None:
        self.script, self.MODEL, self.dies_after = script, model, dies_after
        self.asked: list[str] = []
        self.rounds: list[list[str]] = []
        self.finished: list[int] = []

    def complete(
        self,
        requests: Sequence[Request],
        options: Options,  # noqa: ARG002
        *,
        done: AbstractSet[str],
        finished: Sequence[Completion],
        **context: Any,
    ) -> Iterator[list[Completion]]:
        self.rounds.append([request.id for request in requests])
        self.finished.append(len(finished))
        context["say"]("The script is read.")
        left = [request.id for request in requests if request.id not in done]
        tokens = 0
        for start in range(0, len(left), 2):
            if self.dies_after is not None and len(self.asked) >= self.dies_after:
                raise ConnectionError("the script is torn")
            batch = [completion(name, self.script[name]) for name in left[start : start + 2]]
            self.asked += left[start : start + 2]
            yield batch
            tokens += sum(answer.tokens or 0 for answer in batch)
            context["progress"](start + len(batch), tokens)

    def survey(self, problems: Sequence[Problem], options: Options) -> dict[str, int]:  # noqa: ARG002
        return {"problems given": len(problems)}
