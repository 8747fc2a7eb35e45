"""Which rows one request to vLLM answers, and with which seeds: the samples of one prompt go as one request.

vLLM gives sample i of a request with seed s the seed s + i (`vllm.v1.engine.parallel_sampling`, 0.32). So the rows of
one prompt are a group with the seeds s, s + 1, ..., s the seed of the group's first row, and which seed a row gets
depends on the whole list of requests alone. A resumed call asks for runs of missing rows, each from its own seed on:
the missing rows get the seeds they would have had.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from distill_app.students.decoding import SamplingRequest

BLOCK = 128
"""Tokens that a context is rounded up to: the largest block of vLLM's cache in use."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request to the engine: rows of one prompt, row i with the seed `seed` + i."""

    rows: tuple[SamplingRequest, ...]
    seed: int
    temperature: float

    @property
    def prompt_ids(self) -> Sequence[int]:
        """The prompt that the rows share."""
        return self.rows[0].prompt_ids

    def recorded_seed(self, row: int) -> int | None:
        """The seed row `row` was drawn with where it is not the row's own; None also where nothing is drawn."""
        used = self.seed + row
        return None if self.temperature == 0 or used == self.rows[row].seed else used


def asks(
    requests: Sequence[SamplingRequest],
    done: AbstractSet[str],
    temperature: float,
    own_temperature: Mapping[str, float],
) -> list[Ask]:
    """What is left to ask, in the order of the first rows. `requests` is the full list also when resuming.

    Rows of a group have equal prompts, temperatures (`own_temperature` by row id goes first) and schemas. Where the
    temperature is 0 every row is a request of its own: vLLM takes no greedy request for several samples.
    """
    groups: dict[tuple[tuple[int, ...], float, str | None], list[SamplingRequest]] = {}
    for request in requests:
        heat = own_temperature.get(request.id, temperature)
        groups.setdefault((tuple(request.prompt_ids), heat, request.schema), []).append(request)
    found = []
    for (_, heat, _), rows in groups.items():
        for start, stop in _runs([row.id not in done for row in rows], 1 if heat == 0 else len(rows)):
            found.append(Ask(tuple(rows[start:stop]), rows[0].seed + start, heat))
    return found


def _runs(wanted: Sequence[bool], longest: int) -> Iterator[tuple[int, int]]:
    """Start and stop of each run of wanted places, cut where it is over `longest`."""
    start: int | None = None
    for place, want in enumerate([*wanted, False]):
        if start is not None and (not want or place - start == longest):
            yield start, place
            start = None
        if want and start is None:
            start = place


def context_tokens(longest_prompt: int, max_tokens: int, limit: int | None) -> int:
    """Tokens of context to ask vLLM for: room for the longest prompt and its answer, in whole blocks.

    At most `limit`, the model's own; the caller has seen to it that prompt and answer fit in that.
    """
    blocks = -(-(longest_prompt + max_tokens) // BLOCK) * BLOCK
    return blocks if limit is None else min(blocks, limit)
