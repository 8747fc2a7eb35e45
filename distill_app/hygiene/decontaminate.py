"""Rows whose question is, in part or whole, a benchmark's: a student trained on them is not to be scored on it.

A question is compared as a sequence of words: NFKC form, lower case, figures (`[asy]`) and LaTeX layout left out,
thousands without their comma, apostrophes dropped, all other signs as spaces. It is contaminated where it shares a run
of `ngram` words with a benchmark's question, or is the same question as a whole. In that comparison signs count and
white space does not; it is the one test for questions shorter than `ngram` words.

The size: 13 words as in s1's default, 8 as in open-r1 (methods.md 7 and 8.6). On 3,008 rows of a published training
set with 803 questions of GSM8K's test set in it, both find all 803; with 8 words 7 more are flagged, all for a phrase
that any word problem may have ("from a store in the mall and got"), with 13 none. Of the 7,472 MATH training problems 8
words flag 716 against MATH-500, mostly for phrases like "where m and n are relatively prime positive integers"; 13
words flag 121. Hence 13, which has such phrases too, but few. A copy with other numbers and names is found by neither,
unless it leaves so many words in a row as they were.

Two kinds of words do not count as shared. Runs that stand in more than `COMMON` questions of one benchmark are its
wording ("answer format: answer1/answer2"), and are evidence of nothing (our choice). And built-in problems are made
from templates that all splits share, while numbers that are in one split are in no other (`problems.word_problems`): a
built-in benchmark is compared by whole questions only.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from distill_app.hygiene import Removed
from distill_app.records import Problem, Trace

COMMON = 10
SHOWN_WORDS = 30

_FIGURE = re.compile(r"\[asy\].*?\[/asy\]", re.DOTALL)
_LAYOUT = re.compile(
    r"\\(?:(?:begin|end)\s*\{[^{}]*\}|(?:left|right|bigg?[lr]?|text(?:bf|it|rm)?|math(?:rm|bf|it|bb|cal)|mbox"
    r"|operatorname\*?|displaystyle|q?quad|[dtc]?frac)(?![a-z])|[,;:! ])"
)
_THOUSANDS = re.compile(r"(?<=\d)(?:,|\{,\})(?=\d{3}(?!\d))")
_APOSTROPHE = re.compile(r"(?<=\w)['’‘ʼ`´](?=\w)")
_WORD = re.compile(r"[^\W_]+")
_SIGNS = re.compile(r"[\s$\"“”'’‘ʼ`´]+")


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark's name and problems. `templated`: made from templates that the pool may share, so that only whole
    questions are compared."""

    name: str
    problems: Sequence[Problem]
    templated: bool = False


class Overlap(NamedTuple):
    """What a text shares with a benchmark's problem: its longest run of shared words; all of them where `same`."""

    benchmark: str
    problem_id: str
    shared: tuple[str, ...]
    same: bool

    @property
    def other(self) -> str:
        return f"{self.benchmark}/{self.problem_id}"


def words(text: str) -> list[str]:
    """The words of a question that are compared."""
    text = _LAYOUT.sub(" ", _FIGURE.sub(" ", unicodedata.normalize("NFKC", text).casefold()))
    return _WORD.findall(_APOSTROPHE.sub("", _THOUSANDS.sub("", text)))


def same_form(text: str) -> str:
    """The question as it is compared as a whole: without white space, quotes, layout and the sign at its end."""
    text = _THOUSANDS.sub("", _LAYOUT.sub(" ", unicodedata.normalize("NFKC", text).casefold()))
    return _SIGNS.sub("", text).rstrip(".?!:")


class Index:
    """The questions of all benchmarks, to look texts up in. Its size is theirs; what is looked up is not kept."""

    def __init__(self, benchmarks: Iterable[Benchmark], ngram: int) -> None:
        self._ngram = ngram
        self._problems: list[tuple[str, str]] = []
        self._whole: dict[str, int] = {}
        self._runs: dict[str, tuple[int, ...]] = {}
        for benchmark in benchmarks:
            found: dict[str, list[int]] = {}
            for problem in sorted(benchmark.problems, key=lambda problem: problem.id):
                number = len(self._problems)
                self._problems.append((benchmark.name, problem.id))
                if form := same_form(problem.question):
                    self._whole.setdefault(form, number)
                if not benchmark.templated:
                    for run in set(_runs(words(problem.question), ngram)):
                        found.setdefault(run, []).append(number)
            for run, numbers in found.items():
                if len(numbers) <= COMMON:
                    self._runs[run] = (*self._runs.get(run, ()), *numbers)

    def find(self, text: str) -> Overlap | None:
        """What `text` shares with the problem it shares most runs with (of several, the first by benchmark and id)."""
        whole = self._whole.get(same_form(text))
        found = words(text)
        if whole is not None:
            return Overlap(*self._problems[whole], tuple(found), True)
        places: dict[int, list[int]] = {}
        for place, run in enumerate(_runs(found, self._ngram)):
            for number in self._runs.get(run, ()):
                places.setdefault(number, []).append(place)
        if not places:
            return None
        best = min(places, key=lambda number: (-len(places[number]), number))
        start, length = _longest(places[best])
        return Overlap(*self._problems[best], tuple(found[start : start + length + self._ngram - 1]), False)


def _runs(found: Sequence[str], ngram: int) -> list[str]:
    # Slices of the joined text: many times faster than joining each run.
    text = " ".join(found)
    starts, end = [], 0
    for word in found:
        starts.append(end)
        end += len(word) + 1
    starts.append(end)
    return [text[starts[place] : starts[place + ngram] - 1] for place in range(len(found) - ngram + 1)]


def _longest(places: Sequence[int]) -> tuple[int, int]:
    """Start and length of the longest stretch of consecutive numbers in an ascending list; the first of several."""
    best, start = (places[0], 1), places[0]
    for before, place in itertools.pairwise(places):
        start = start if place == before + 1 else place
        best = max(best, (start, place - start + 1), key=lambda stretch: stretch[1])
    return best


def overlaps(
    rows: Iterable[tuple[str, Sequence[str]]], benchmarks: Iterable[Benchmark], ngram: int
) -> dict[str, Overlap]:
    """The rows, each an id with its texts, that share words with a benchmark; of several texts the first that does."""
    index = Index(benchmarks, ngram)
    seen: dict[str, Overlap | None] = {}
    found: dict[str, Overlap] = {}
    for name, texts in rows:
        for text in texts:
            if text not in seen:
                seen[text] = index.find(text)
            overlap = seen[text]
            if overlap is not None:
                found[name] = overlap
                break
    return found


def check(traces: Sequence[Trace], benchmarks: Iterable[Benchmark], ngram: int) -> dict[str, Removed]:
    """The traces whose question, or the question it was made from, is contaminated, by id.

    The text of a trace is not looked at, but where its task is to write a question: then that is one, too.
    """
    found = overlaps(((trace.id, _questions(trace)) for trace in traces), benchmarks, ngram)
    return {name: _removed(name, overlap) for name, overlap in found.items()}


def _questions(trace: Trace) -> list[str]:
    texts = [trace.question] if trace.original_question is None else [trace.original_question, trace.question]
    return [*texts, trace.text] if trace.task.endswith("_question") else texts


def _removed(name: str, overlap: Overlap) -> Removed:
    shown = " ".join(overlap.shared[:SHOWN_WORDS]) + (" ..." if len(overlap.shared) > SHOWN_WORDS else "")
    how = "the same question as" if overlap.same else f"{len(overlap.shared)} words in common with"
    return Removed(name, "decontaminate", "contaminated", f"{how} {overlap.other}: {shown}", overlap.other)
