"""Quality scorers: how good one trace is, by itself. A scorer named in a recipe is the module of that name here.

Each module holds

- `VERSION`: raised when the same options would now give another output;
- `Options`: a frozen dataclass that mirrors `schemas/quality/<scorer>.json` without `scorer`;
- `MODEL`: whether it loads a model, and so needs a process of its own;
- `score(rows: Sequence[tuple[Trace, Verdict]], options)`: a score for each trace, higher is better, with the parts it
  was made from. Without a model it returns `list[Quality]`, in order. With one it is

      score(rows, options, *, runtime, done: AbstractSet[str], say, progress) -> Iterator[list[Quality]]

  and yields finished batches in any order, which the stage writes down as they come: `rows` is the full list also
  when resuming, and rows whose id is in `done` are not scored again. `say` hears what a person should know, in
  sentences; `progress` gets rows and tokens so far, of this call;
- `survey(scores: Sequence[Quality]) -> dict[str, int]`: counts about all the scores that a person should know (how
  many traces were cut, say); empty for most.

A score depends on its own row alone (but for a model's rounding, which its neighbours in a batch can change).
"""
