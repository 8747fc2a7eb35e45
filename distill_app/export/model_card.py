"""The model card: what was trained from what, how it scores with what certainty, under which licences it stands."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from distill_app.evaluation import resampling
from distill_app.export import sections
from distill_app.export.finished import Finished
from distill_app.export.licences import Ingredient, common
from distill_app.export.sections import Repos
from distill_app.problems.benchmarks import MACRO
from distill_app.reports import markdown
from distill_app.reports.markdown import escape
from distill_app.students import builtin


def render(
    finished: Finished,
    *,
    merged: str | None,
    into_weights: Sequence[Ingredient],
    benchmarks: Sequence[Ingredient],
    repos: Repos,
) -> str:
    """README.md of the weights. `finished` holds public values; `merged` is the number type of merged weights, or None.

    The front matter names a licence only where everything that went into the weights has the same one on record.
    """
    recipe, result = finished.recipe, finished.result
    kind = f"the whole model in {merged}, the adapter merged into its weights" if merged else "a LoRA adapter"
    data = f"`{repos.data}`" if repos.data else "the dataset that was exported with it"
    parts = [
        f"# {sections.title(finished)}",
        escape(recipe["description"]),
        f"This is {kind}. It was made by distill-app from a recipe, which is below.",
        "\n".join(sections.made_from(finished)),
        "## Use",
        _use(finished, merged=merged is not None, repos=repos),
        "## Scores",
        markdown.scores(result),
        _pairing(finished),
        "## Data",
        f"Trained on the rows of {data}; the answers behind the scores are there too. Counts:",
        "\n".join(markdown.nested(result["counts"])),
        "## Licences",
        sections.licences([*into_weights, *benchmarks]),
        "## What is inferred",
        sections.inferred_forms(finished),
        "## Recipe",
        sections.recipe(finished),
        "## Made with",
        sections.versions(finished),
        "## To keep in mind",
        "\n".join(f"- {escape(note)}" for note in markdown.caveats(result, sections.teachers(finished))),
    ]
    return sections.card(_front_matter(finished, merged is not None, into_weights, repos), parts)


def _front_matter(finished: Finished, merged: bool, into_weights: Sequence[Ingredient], repos: Repos) -> Any:
    from huggingface_hub import ModelCardData

    recipe = finished.recipe
    base = sections.base_model(finished)
    sources = [recipe["pool"]["problems"]["dataset"], *(entry.get("dataset") for entry in recipe["teacher"])]
    datasets = [repos.data, *(sections.hub_dataset(source) for source in sources if source)]
    return ModelCardData(
        base_model=base,
        base_model_relation=None if base is None else "finetune" if merged else "adapter",
        library_name="transformers" if merged else "peft",
        pipeline_tag="text-generation",
        license=common(into_weights),
        tags=sections.tags(finished, *([] if merged else ["lora"])),
        datasets=list(dict.fromkeys(name for name in datasets if name)) or None,
        model_name=finished.result["recipe"],
        eval_results=_results(finished),
    )


def _results(finished: Finished) -> list[Any]:
    """The trained student's scores for `model-index`, in percent with their intervals."""
    from huggingface_hub import EvalResult

    asked = {entry["name"]: entry for entry in finished.recipe["evaluation"]["benchmarks"]}
    return [
        EvalResult(
            task_type="text-generation",
            dataset_type=sections.hub_dataset(asked[row["benchmark"]]["dataset"]) or row["benchmark"],
            dataset_name=row["benchmark"],
            dataset_config=asked[row["benchmark"]]["config"],
            dataset_split=asked[row["benchmark"]]["split"],
            dataset_revision=asked[row["benchmark"]]["revision"],
            metric_type=row["metric"],
            metric_name=f"{row['metric']}, percent",
            metric_value=_percent(row["score"]),
            metric_args={
                "problems": row["n_problems"],
                "interval_95": [_percent(row["ci_low"]), _percent(row["ci_high"])],
                "untrained": _percent(row["base_score"]),
            },
        )
        for row in finished.result["rows"]
        if row["benchmark"] != MACRO
    ]


def _percent(fraction: float | None) -> float | None:
    return None if fraction is None else round(100 * fraction, 2)


def _pairing(finished: Finished) -> str:
    """How the scores were taken, and how the gains and their intervals were made."""
    asked = finished.recipe["evaluation"]
    facts = finished.manifests[finished.inputs["trained"][0]]["facts"]
    one = f"{asked['samples']} samples of each problem" if asked["samples"] > 1 else "one sample of each problem"
    return (
        f"Sampled: {one} by {escape(asked['backend'])} on {escape(facts['device'])} in {escape(facts['dtype'])}, "
        f"temperature {asked['temperature']}, top\\_p {asked['top_p']}, at most {asked['max_tokens']} tokens, "
        f"evaluation seed {asked['seed']}.\n\n"
        "Paired: the untrained and the trained student met the same problems with the same prompts and the same "
        "sampling seeds. A gain is the mean over problems of the trained student's score less the untrained one's at "
        f"the same problem; its interval holds 95 % of {resampling.DRAWS:,} resamples of those differences, problem by "
        "problem (cluster by cluster where problems share a source), its p-value comes from flipping their signs. "
        "Better or worse is said where the interval leaves zero out and p is below 0.05."
    )


def _use(finished: Finished, *, merged: bool, repos: Repos) -> str:
    """How to load it and ask it, as code; what cannot be had from a hub is said."""
    recipe = finished.recipe
    student = recipe["student"]
    here = json.dumps(repos.model or ".")
    said, base = _base(student["model"], sections.student_content(finished))
    load = ["from transformers import AutoModelForCausalLM, AutoTokenizer"]
    if merged:
        load += [
            "",
            f"model = AutoModelForCausalLM.from_pretrained({here})",
            f"tokenizer = AutoTokenizer.from_pretrained({here})",
        ]
    else:
        load = [
            "from peft import PeftModel",
            *load,
            *base,
            "",
            f"model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, **at), {here})",
            "tokenizer = AutoTokenizer.from_pretrained(base, **at)",
        ]
    switch = "" if student["thinking"] is None else f", enable_thinking={student['thinking']}"
    system = student["system_prompt"]
    turn = [] if system is None else [f'    {{"role": "system", "content": {json.dumps(system)}}},']
    ask = [
        "",
        f"wording = {json.dumps(student['prompt'])}",
        "messages = [",
        *turn,
        '    {"role": "user", "content": wording.replace("{question}", "How much is 3 times 4?")},',
        "]",
        "prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, "
        f'return_tensors="pt", return_dict=True{switch})',
        "answer = model.generate(**prompt, max_new_tokens=256)",
        'print(tokenizer.decode(answer[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True))',
    ]
    served = (
        "vLLM: `vllm serve .` in this folder."
        if merged
        else f"vLLM: `enable_lora=True, max_lora_rank={recipe['training']['lora']['rank']}` over the student, and this "
        "folder as the LoRA request's path."
    )
    where = "" if repos.model else '`"."` is the folder of this file. '
    return (
        f"{where}{'' if merged else said}\n\n{sections.fenced(chr(10).join(load + ask), 'python')}\n\n{served}".strip()
    )


def _base(model: str, content: str) -> tuple[str, list[str]]:
    """A sentence on where the adapter's model is to be had, and the lines of code that name it as `base` and `at`."""
    if model.startswith(builtin.PREFIX):
        name = model.removeprefix(builtin.PREFIX)
        return (
            f"The student comes with distill-app: {escape(builtin.find(model).about)}, spread out again. The adapter "
            "was trained over those weights, not over the hub's own.",
            ["from distill_app.students import builtin", "",
             f"base, at = builtin.materialise({json.dumps(name)}, print), {{}}"],
        )  # fmt: skip
    if content.startswith("hub:"):
        commit = json.dumps(content.rpartition("@")[2])
        return "", ["", f'base, at = {json.dumps(model)}, {{"revision": {commit}}}']
    return (
        f"The student was a folder named {escape(model)} on the machine that trained it; the adapter fits no other "
        "model.",
        ["", f"base, at = {json.dumps(f'path/to/{model}')}, {{}}"],
    )


def summary(result: Mapping[str, Any]) -> list[str]:
    """A line a benchmark for the terminal: its first metric before and after, with intervals."""
    from distill_app.reports.leaderboard import gain_text, score_text

    first = {row["benchmark"]: row for row in reversed(result["rows"])}
    return [f"{name} {row['metric']}: {score_text(row)}, gain {gain_text(row)}" for name, row in first.items()]
