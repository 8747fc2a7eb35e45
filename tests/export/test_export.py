"""A real run exported, and every output read back by the tool it is for: PEFT, transformers, datasets, TRL, the hub's
own card reader."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from distill_app import export as room
from distill_app.errors import UsageError
from distill_app.export import Wish, data, evaluation, finished
from distill_app.store import runs
from distill_app.store.runs import Run
from distill_app.students.device import Device
from distill_app.students.load import load, load_tokenizer
from distill_app.students.template import ChatTemplate
from tests.export import fake_hub
from tests.export.finished_run import DYNAMIC, HOSTILE, SYSTEM, Made, made, write
from tests.recipes import distill

SINGLE = Device("cpu", "float32", "test")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    """A folder that holds the recipe and its student."""
    found = tmp_path_factory.mktemp("export")
    shutil.copytree(tiny_folder, found / "student")
    write(found)
    return found


@pytest.fixture(scope="module")
def static(folder: Path) -> Made:
    return made(folder, "static")


@pytest.fixture(scope="module")
def dynamic(folder: Path) -> Made:
    return made(folder, "dynamic", DYNAMIC)


@pytest.fixture(scope="module")
def merged(static: Made, folder: Path) -> Path:
    room.export(static.root, static.run, folder / "whole", Wish(merged=True), print)
    return folder / "whole"


def logits(model: Any) -> Any:
    import torch

    with torch.inference_mode():
        return model(torch.tensor([[1, 504, 2365, 338, 260, 6330]])).logits


def test_peft_loads_the_adapter(static: Made, folder: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(folder / "student")
    before = logits(base)
    model = PeftModel.from_pretrained(base, static.out / "model").eval()
    trained = logits(load(folder / "student", SINGLE, adapter=static.train / "adapter", merge=False)[0])
    torch.testing.assert_close(logits(model), trained, atol=1e-5, rtol=1e-5)
    assert (trained - before).abs().max() > 1e-4, "the adapter does something"
    assert json.loads((static.out / "model" / "adapter_config.json").read_text())["base_model_name_or_path"] == (
        "student"
    )


def test_transformers_loads_the_merged_model_alone(static: Made, merged: Path, folder: Path) -> None:
    import torch
    from safetensors import safe_open
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(merged / "model").eval()
    trained = logits(load(folder / "student", SINGLE, adapter=static.train / "adapter", merge=False)[0])
    torch.testing.assert_close(logits(model), trained, atol=1e-4, rtol=1e-4)
    tokenizer = AutoTokenizer.from_pretrained(merged / "model")
    assert tokenizer.chat_template == load_tokenizer(folder / "student").chat_template
    with safe_open(merged / "model" / "model.safetensors", "pt") as file:
        assert {file.get_slice(name).get_dtype() for name in file.keys()} == {"F32"}  # noqa: SIM118 - no mapping
    assert "transformers" in (merged / "model" / "README.md").read_text()


def loaded(out: Path, config: str, split: str, cache: Path) -> Any:
    """A part of the exported dataset as `datasets` reads it by its card."""
    from datasets import load_dataset

    return load_dataset(str(out / "dataset"), config, split=split, cache_dir=str(cache))


def test_trl_renders_what_training_saw(static: Made, folder: Path, tmp_path: Path) -> None:
    from trl.data_utils import apply_chat_template, is_conversational

    rows = loaded(static.out, "selected", "train", tmp_path)
    assert rows.column_names == list(data.COLUMNS)
    tokenizer = load_tokenizer(folder / "student")
    template = ChatTemplate(tokenizer, SYSTEM, "{question}", False)
    rendered = (static.train / "rendered_example.txt").read_text(encoding="utf-8")
    name = re.match(r"row (.*): \d+ tokens", rendered)[1]
    ids = [int(line.split()[2]) for line in rendered.splitlines()[2:]]
    seen = 0
    for row in rows:
        assert is_conversational(row)
        assert [message["role"] for message in row["prompt"]] == ["system", "user"]
        assert row["prompt"][0]["content"] == SYSTEM
        assert row["chat_template_kwargs"] == {"enable_thinking": False}
        text = apply_chat_template(row, tokenizer)
        assert text["prompt"] == template.prompt_text(row["prompt"][1]["content"])
        assert row["completion"][0]["content"].startswith("Skills:\n")
        assert text["completion"].startswith(row["completion"][0]["content"] + "<|im_end|>")
        if row["id"] == name:
            seen += 1
            whole = tokenizer(text["prompt"] + text["completion"], add_special_tokens=False)["input_ids"]
            assert whole[: len(ids)] == ids, "the tokens that were trained, loss and all"
    assert seen == 1


def test_rows_are_those_that_were_trained(static: Made, tmp_path: Path) -> None:
    rows = loaded(static.out, "selected", "train", tmp_path)
    left_out = {row["id"] for row in json.loads((static.train / "left_out.json").read_text())}
    counts = static.exported.result["counts"]
    assert len(left_out) == counts["training"]["left out"] > 0
    assert len(rows) == counts["training"]["rows"] == counts["selection"]["selected"] - len(left_out)
    assert not left_out & set(rows["id"])
    assert all(epochs == [1, 2] for epochs in rows["epochs"])
    assert rows["rank"] == sorted(rows["rank"])
    assert {row["verdict"] for row in rows} <= {"correct", "wrong"}


def test_dynamic_selection_says_which_epochs_trained_a_row(dynamic: Made, tmp_path: Path) -> None:
    rows = loaded(dynamic.out, "selected", "train", tmp_path)
    chosen = [
        json.loads((dynamic.train / "epochs" / f"epoch-{epoch}.json").read_text())["ids"] for epoch in (0, 1)
    ]  # fmt: skip
    for number, ids in enumerate(chosen, 1):
        assert {row["id"] for row in rows if number in row["epochs"]} == set(ids)
    assert len(rows) == len(set(chosen[0]) | set(chosen[1]))
    card = (dynamic.out / "dataset" / "README.md").read_text()
    assert "Selection was made anew before each of the 2 epochs" in card
    assert "the middle band is our choice" in card


def test_the_details_give_the_scores(static: Made, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    splits = {student: loaded(static.out, "evaluation", student, tmp_path) for student in evaluation.STUDENTS}
    plain = pq.read_table(static.out / "dataset" / "evaluation" / "trained-00000-of-00001.parquet")
    assert plain.column_names == splits["base"].column_names == list(evaluation.COLUMNS)
    result = static.exported.result
    for student, key in (("base", "base_rows"), ("trained", "rows")):
        verdicts = splits[student]["verdict"]
        assert len(verdicts) == 6 * 4
        (avg,) = [row for row in result[key] if row["metric"] == "avg@4"]
        assert avg["score"] == pytest.approx(sum(verdict == "correct" for verdict in verdicts) / 24)
        assert avg["truncated"] == pytest.approx(splits[student]["finish_reason"].count("length") / 24)
    drawn = [[(row["problem_id"], row["sample"], row["seed"]) for row in rows] for rows in splits.values()]
    assert drawn[0] == drawn[1]
    assert [row["completion"] for row in splits["base"]] != [row["completion"] for row in splits["trained"]]


def test_the_hubs_own_reader_reads_the_cards(static: Made, merged: Path) -> None:
    from huggingface_hub import DatasetCard, ModelCard

    card = ModelCard.load(static.out / "model" / "README.md")
    given = card.data.to_dict()
    assert (given["library_name"], given["pipeline_tag"]) == ("peft", "text-generation")
    assert {"distill-app", "lora", "tiny"} <= set(given["tags"])
    assert "base_model" not in given, "the student is a folder of this machine"
    assert "license" not in given, "the student's is not on record"
    result = static.exported.result
    shown = {entry.metric_type: entry for entry in card.data.eval_results}
    assert set(shown) == {row["metric"] for row in result["rows"]}
    (avg,) = [row for row in result["rows"] if row["metric"] == "avg@4"]
    assert shown["avg@4"].metric_value == round(100 * avg["score"], 2)
    assert shown["avg@4"].metric_args["interval_95"] == [round(100 * avg[end], 2) for end in ("ci_low", "ci_high")]
    assert ModelCard.load(merged / "model" / "README.md").data.library_name == "transformers"
    rows = DatasetCard.load(static.out / "dataset" / "README.md").data
    assert [entry["config_name"] for entry in rows.configs] == ["selected", "evaluation"]
    assert rows.size_categories == ["n<1K"]


def test_hostile_text_stays_text(static: Made) -> None:
    from markdown_it import MarkdownIt

    headings = {
        "model": ["Use", "Scores", "Data", "Licences", "What is inferred", "Recipe", "Made with", "To keep in mind"],
        "dataset": ["selected", "evaluation", "Licences", "What is inferred", "Recipe"],
    }
    for part, wanted in headings.items():
        text = (static.out / part / "README.md").read_text(encoding="utf-8")
        body = text.split("\n---\n", 1)[1]
        tokens = MarkdownIt("commonmark").enable("table").parse(body)
        found = [(at.tag, tokens[place + 1].content) for place, at in enumerate(tokens) if at.type == "heading_open"]
        assert [tag for tag, _ in found] == ["h1", *["h2"] * len(wanted)]
        assert [name for _, name in found[1:]] == wanted
        kinds = {inner.type for token in tokens for inner in [token, *(token.children or [])]}
        assert not {"html_block", "html_inline", "link_open", "image"} & kinds
        (shown,) = [token.content for token in tokens if token.type == "fence" and token.info == "yaml"]
        assert json.dumps(SYSTEM) in shown
        assert json.dumps(HOSTILE) in shown


def test_nothing_of_this_machine_is_in_it(static: Made, merged: Path, folder: Path) -> None:
    files = [path for out in (static.out, merged) for path in out.rglob("*") if path.is_file()]
    assert len(files) > 12
    for path in files:
        assert str(folder).encode() not in path.read_bytes(), path
        assert str(Path.home()).encode() not in path.read_bytes(), path


def test_the_same_run_gives_the_same_bytes_and_a_record_of_them(static: Made, tmp_path: Path) -> None:
    again = tmp_path / "again"
    room.export(static.root, static.run, again, Wish(), print)
    files = sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    for name in files:
        assert (again / name).read_bytes() == (static.out / name).read_bytes(), name
    record = json.loads((again / room.RECORD).read_text())
    assert record["run"] == static.run.id
    hashes = {str(name): hashlib.sha256((again / name).read_bytes()).hexdigest() for name in files}
    assert record["files"] == {name: digest for name, digest in hashes.items() if name != room.RECORD}
    assert [path.name for path in tmp_path.iterdir()] == ["again"], "nothing is left beside it"


def test_only_an_earlier_export_is_ever_replaced(static: Made, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    room.export(static.root, static.run, out, Wish(), print)
    with pytest.raises(UsageError, match=r"holds an earlier export.*--force"):
        room.export(static.root, static.run, out, Wish(), print)
    (out / "model" / "stale").write_text("x")
    room.export(static.root, static.run, out, Wish(replace=True), print)
    assert not (out / "model" / "stale").exists()
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("years of work")
    for wish in (Wish(), Wish(replace=True)):
        with pytest.raises(UsageError, match=r"is not empty \(thesis.tex\)"):
            room.export(static.root, static.run, other, wish, print)
    with pytest.raises(UsageError, match="is no folder"):
        room.export(static.root, static.run, other / "thesis.tex", Wish(), print)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "out"]


def test_a_push_sends_both_folders_whose_cards_name_the_repositories(
    static: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import HfApi, ModelCard

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    with fake_hub.running() as hub:
        api = HfApi(endpoint=hub.address, token=fake_hub.TOKEN)
        wish = Wish(model_repo="student", data_repo="rows")
        exported = room.export(static.root, static.run, tmp_path / "out", wish, print, hub=api)
        assert exported.pushed == (f"{hub.address}/me/student", f"{hub.address}/datasets/me/rows")
        for kind, name, folder in (("model", "student", "model"), ("dataset", "rows", "dataset")):
            here = {
                path.relative_to(tmp_path / "out" / folder).as_posix(): path.read_bytes()
                for path in (tmp_path / "out" / folder).rglob("*")
                if path.is_file()
            }
            assert hub.repos[f"{kind} me/{name}"] == {".gitattributes": b"", **here}
        assert hub.private == {"model me/student": True, "dataset me/rows": True}
        card = ModelCard(hub.repos["model me/student"]["README.md"].decode())
        assert card.data.datasets == ["me/rows"]
        assert '"me/student")' in card.text
        with pytest.raises(UsageError, match="holds 3 files already"):
            room.export(static.root, static.run, tmp_path / "again", wish, print, hub=api)
    assert not (tmp_path / "again").exists(), "refused before anything was written"
    files = [path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert not any(fake_hub.TOKEN.encode() in raw for raw in files)


def copied(static: Made, tmp_path: Path) -> tuple[Path, Run]:
    """The workspace, to be spoilt."""
    root = tmp_path / "workspace"
    shutil.copytree(static.root, root)
    return root, Run(root / "runs" / static.run.id)


def spoil(path: Path) -> None:
    """Flip a bit in the middle."""
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


def test_damage_is_named_and_nothing_is_written(static: Made, tmp_path: Path) -> None:
    root, run = copied(static, tmp_path)
    out = tmp_path / "out"
    train = root / static.train.relative_to(static.root)
    sound = (train / "adapter" / "adapter_model.safetensors").read_bytes()
    spoil(train / "adapter" / "adapter_model.safetensors")
    wanted = rf"The train artifact {train.name} of run {run.id} is damaged: adapter/adapter_model.safetensors differs"
    with pytest.raises(UsageError, match=wanted):
        room.export(root, run, out, Wish(), print)
    (train / "adapter" / "adapter_model.safetensors").write_bytes(sound)
    graded = finished.read(root, run).inputs["trained_verdicts"][0]
    shutil.rmtree(graded)
    with pytest.raises(UsageError, match=rf"The grade artifact {graded.name} .* is not in .* any more"):
        room.export(root, run, out, Wish(), print)
    shutil.copytree(static.root / graded.relative_to(root), graded)
    (run.folder / "resolved.yaml").write_text("a: [")
    with pytest.raises(UsageError, match=r"resolved.yaml of run .* is missing or damaged"):
        room.export(root, run, out, Wish(), print)
    assert not out.exists()


def test_a_regraded_run_gives_its_new_verdicts(static: Made, tmp_path: Path) -> None:
    from distill_app.engine import regrade

    root, run = copied(static, tmp_path)
    before = finished.read(root, run).inputs["trained_verdicts"]
    regrade.regrade(run, root, lambda _: None, limit_seconds=5)
    assert finished.read(root, run).inputs["trained_verdicts"] != before
    exported = room.export(root, run, tmp_path / "out", Wish(), print)
    assert exported.files.keys() == static.exported.files.keys()


def test_another_model_in_the_students_place_is_not_merged_with(static: Made, tmp_path: Path) -> None:
    root, run = copied(static, tmp_path)
    student = tmp_path / "student"
    shutil.copytree(Path(finished.read(root, run).recipe["student"]["model"]), student)
    spoil(student / "tokenizer_config.json")
    resolved = run.folder / "resolved.yaml"
    resolved.write_text(re.sub(r"model: .*", f"model: {student}", resolved.read_text(), count=1))
    with pytest.raises(UsageError, match="is not what it was when run"):
        room.export(root, run, tmp_path / "out", Wish(merged=True), print)
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))


def test_the_command_refuses_a_run_that_is_not_finished_and_exports_one_that_is(static: Made, tmp_path: Path) -> None:
    root, run = copied(static, tmp_path)
    (tmp_path / "here").mkdir()
    done = distill("export", run.id, "--to", "out", workspace=root, cwd=tmp_path / "here")
    assert done.returncode == 0, done.stderr
    assert "adapter_model.safetensors" in done.stdout
    assert "No licence is on record for: student student. Look before you share." in done.stdout
    assert (tmp_path / "here" / "out" / room.RECORD).exists()
    (run.folder / "result.json").unlink()
    done = distill("export", run.id, workspace=root, cwd=tmp_path / "here")
    assert done.returncode == 2
    assert f"Run {run.id} has not finished" in done.stderr
    assert "goes on with it" in done.stderr
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["out"]


def test_runs_are_found_by_name(static: Made) -> None:
    assert room.default_folder(runs.find(static.root, static.run.id[-6:])) == Path(f"export-{static.run.id}")
