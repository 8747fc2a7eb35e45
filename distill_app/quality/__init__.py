"""Quality scorers: how good one trace is, by itself. A scorer named in a recipe is the module of that name here.

Each module holds

- `VERSION`: raised when the same options would now give another output;
- `Options`: a frozen dataclass that mirrors `schemas/quality/<scorer>.json` without `scorer`;
- `MODEL`: whether it loads a model, and so needs a process of its own;
- `score(rows: Sequence[tuple[Trace, Verdict]], options) -> list[Quality]`: a score for each trace, in order, higher
  is better, with the parts it was made from. A score depends on its own row alone.
"""
