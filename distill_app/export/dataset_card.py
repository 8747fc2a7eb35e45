"""The dataset card: which rows were learned, how they were chosen, what the evaluation's details hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from distill_app.export import data, evaluation, sections
from distill_app.export.finished import Finished
from distill_app.export.licences import Ingredient, common
from distill_app.export.sections import Repos
from distill_app.reports import markdown
from distill_app.reports.markdown import escape

SELECTED = "selected"
DETAILS = "evaluation"
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def render(
    finished: Finished,
    *,
    written: data.Written,
    answers: Mapping[str, int],
    ingredients: Sequence[Ingredient],
    repos: Repos,
) -> str:
    """README.md of the data. `finished` holds public values; `answers` counts the evaluation's rows by student."""
    recipe, result = finished.recipe, finished.result
    counts = {key: value for key, value in result["counts"].items() if key != "problems"}
    here = repos.data or "."
    example = (
        f'from datasets import load_dataset\n\nrows = load_dataset("{here}", "{SELECTED}", split="train")\n'
        f'answers = load_dataset("{here}", "{DETAILS}", split="trained")'
    )
    parts = [
        f"# Training rows of {sections.title(finished)}",
        escape(recipe["description"]),
        f"The {written.rows:,} rows that distill-app selected and trained a student on, and the answers by which that "
        "student was measured.",
        "\n".join(sections.made_from(finished)),
        sections.fenced(example, "python"),
        f"## {SELECTED}",
        "TRL's conversational prompt-completion form. " + _epochs(written, dynamic=result["selection"]["dynamic"]),
        _columns(data.COLUMNS, thinking=recipe["student"]["thinking"] is not None),
        "In training the prompt went through the student's chat template and the completion did not: its text was put "
        "after the prompt as it is, and the end token after that. A template that drops or moves text before a think "
        "block would change it; compare what yours renders with the column.",
        "How the rows came to be:",
        "\n".join(markdown.nested(counts)),
        f"## {DETAILS}",
        f"Every answer of the untrained student (split `base`, {answers['base']:,} rows) and of the trained one (split "
        f"`trained`, {answers['trained']:,}). These are problems of the benchmarks with their gold answers: do not "
        "train on them.",
        _columns(evaluation.COLUMNS, thinking=True),
        "## Licences",
        sections.licences(ingredients),
        "## What is inferred",
        sections.inferred_forms(finished),
        "## Recipe",
        sections.recipe(finished),
    ]
    return sections.card(_front_matter(finished, written, ingredients), parts)


def _front_matter(finished: Finished, written: data.Written, ingredients: Sequence[Ingredient]) -> Any:
    from huggingface_hub import DatasetCardData

    return DatasetCardData(
        license=common(ingredients),
        task_categories=["text-generation"],
        pretty_name=f"{finished.result['recipe']}: {finished.result['label']}, seed {finished.result['seed']}",
        size_categories=[next((name for most, name in _SIZES if written.rows < most), "n>1M")],
        tags=sections.tags(finished),
        configs=[
            {
                "config_name": SELECTED,
                "default": True,
                "data_files": [{"split": "train", "path": f"{SELECTED}/train-*.parquet"}],
            },
            {
                "config_name": DETAILS,
                "data_files": [
                    {"split": student, "path": f"{DETAILS}/{student}-*.parquet"} for student in evaluation.STUDENTS
                ],
            },
        ],
    )


def _columns(columns: Mapping[str, str], *, thinking: bool) -> str:
    lines = ["| column | what it holds |", "|---|---|"]
    shown = {name: said for name, said in columns.items() if thinking or name != "chat_template_kwargs"}
    return "\n".join([*lines, *(f"| `{name}` | {escape(said)} |" for name, said in shown.items())])


def _epochs(written: data.Written, *, dynamic: bool) -> str:
    if not dynamic:
        return f"Each of the {len(written.epochs)} epochs trained every row."
    return (
        f"Selection was made anew before each of the {len(written.epochs)} epochs, {written.epochs[0]:,} rows each; "
        "`epochs` says which of them trained a row."
    )
