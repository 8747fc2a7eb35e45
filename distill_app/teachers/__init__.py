"""Teachers: what turns a request into a completion. A backend named in a recipe is the module of that name here.

Each module holds

- `Options`: a frozen dataclass that mirrors `schemas/teachers/<backend>.json` without `name`, `backend` and what every
  teacher has (`weight`, `limit`);
- `VERSION`: raised when the same options would now give other completions;
- `MODEL`: whether it needs a process of its own, with a log of finished completions: whatever loads a language model
  or waits for one;
- `FOLLOWS`: what of a request it heeds. "instructions" answers any prompt; "question" solves the problem's own question
  whatever the prompt says; "nothing" has its texts written already;
- `LOCAL`: the options that do not change what is written (paths, addresses, keys, how many at once, prices). They stay
  out of fingerprints;
- `content(options) -> dict[str, str]`: what stands for them there, by keys that are no options: the content of a model
  or of files. Empty where nothing does. It loads no model, and raises a `DistillError` for what is not to be had;
- `complete(requests: Sequence[Request], options: Options, **context) -> Iterator[list[Completion]]`: yields
  finished batches; each request is answered once, whatever the order. What a completion says depends on its own
  request (and on content that the fingerprint covers), never on what an earlier attempt finished: a resumed call is
  given the full list again and, in `done`, the ids that need no answer any more. The caller writes each batch to disk
  at once, so that a crash loses what was in flight and nothing else;
- `check(options)`, where options can be fine by themselves and not together: (option, what is wrong, what to do) each;
- `lacking(options)`, where this machine may lack something (a key in the environment, a package): the same, asked only
  before a run in which this teacher has something to do;
- `survey(problems, options) -> dict[str, int]`: counts about what the teacher was given that a person should know
  (rows of released traces that fit no problem, say); empty for most.

`context` holds what is not part of the output: `runtime` (device, batch size), `say` for what takes time, `progress`
for answers and tokens so far, `finished` for the completions that earlier attempts made (what they cost). `problems`,
the whole list of the stage's problems, is given too, so that it does not depend on which requests are open. A teacher
ignores what it does not use.
"""
