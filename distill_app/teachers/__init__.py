"""Teachers: what turns a request into a completion. A backend named in a recipe is the module of that name here.

Each module holds

- `Options`: a frozen dataclass that mirrors `schemas/teachers/<backend>.json` without `name` and `backend`;
- `VERSION`: raised when the same options would now give other completions;
- `MODEL`: whether it loads a language model, and so needs a process of its own;
- `complete(requests: Sequence[Request], options: Options, **context) -> Iterator[list[Completion]]`: yields
  finished batches; each request is answered once, whatever the order. What a completion says depends on its own
  request (and on content that the fingerprint covers), never on what an earlier attempt finished: a resumed call is
  given the full list again and, in `done`, the ids that need no answer any more.

- `survey(problems, options) -> dict[str, int]`: counts about what the teacher was given that a person should know
  (rows of released traces that fit no problem, say); empty for most.

`context` holds what is not part of the output: device, batch size. `problems`, the whole list of the stage's
problems, is given too, so that it does not depend on which requests are open. A teacher ignores what it does not
use.
"""
