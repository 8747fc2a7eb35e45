"""Makes a skill tree from the pool's problems as EvalTree does, asking a teacher for phrases and names."""

from __future__ import annotations

from distill_app.records import Problem
from distill_app.skills import build, embed
from distill_app.stages import Context, Summary, problems
from distill_app.store import rows
from distill_app.store.files import write_json
from distill_app.teachers._asking import Asker

VERSION = 1
MODEL = True
TREE = "tree.json"


def run(stage: Context) -> Summary:
    """Write tree.json ({name, children}) and items.json: each problem's phrase and chain."""
    items = rows.read(stage.input("problems") / problems.FILE, Problem)
    vectors = embed.embedding(stage.local["embedding"], stage.runtime, stage.log)
    expected = len(items)

    def next_part(what: str, total: int) -> None:
        nonlocal expected
        expected = ask.requests + total
        stage.log(f"{what}: {total}")

    ask = Asker(
        {**stage.options["teacher"], **stage.local["teacher"]},
        stage.runtime,
        stage.work / "completions.jsonl",
        stage.log,
        lambda answers, tokens: stage.progress(answers, max(expected, answers), "answers", tokens),
    )
    options = build.Options(
        name=stage.options["name"],
        leaf_items=stage.options["leaf_items"],
        temperature=None,
        seed=stage.options["seed"],
    )
    built = build.build_tree(items, ask, vectors.embed, options, next_part)
    ask.close()
    write_json(stage.folder / TREE, built.tree.as_json())
    found = {item.id: {"phrase": built.phrases.get(item.id), "chain": built.chains.get(item.id)} for item in items}
    write_json(stage.folder / "items.json", found)
    facts = {**vectors.facts, **built.facts}
    counts = {key: facts[key] for key in ("items", "items without a phrase", "leaves")}
    return Summary(facts["leaves"], ask.tokens, counts, facts)
