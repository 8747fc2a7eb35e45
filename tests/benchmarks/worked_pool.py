"""A pool of worked traces, as several benchmarks score and select it."""

from __future__ import annotations

from distill_app.augmentations import ask
from distill_app.problems import word_problems
from distill_app.records import Trace
from distill_app.teachers import worked


def worked_pool(problems: int, samples: int) -> list[Trace]:
    """Worked solutions in the mix of styles and mistakes of the quickstart, `samples` for each problem."""
    made = word_problems.generate("train", problems, None, {}, "small", 0)
    asked = ask(made, "{question}", samples=samples, seed=5, teacher="worked", augmentation="chain_of_thought")
    options = worked.Options(
        styles=worked.Styles(clean=2, verbose=1, chatty=1),
        mistakes=worked.Mistakes(wrong_arithmetic=0.18, wrong_operation=0.15, off_topic=0.08, guess=0.06),
    )
    texts = {done.id: done.text for batch in worked.complete(asked, options, problems=made) for done in batch}
    return [
        Trace(
            row.id, row.problem.id, row.problem.question, row.problem.answer, texts[row.id], "worked",
            "chain_of_thought", row.sample, row.seed, "stop",
        )
        for row in asked
    ]  # fmt: skip
