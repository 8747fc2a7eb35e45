"""An adapter worked into a copy of its model's weights: a folder that any engine loads as a model of its own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from distill_app.errors import StageError
from distill_app.students.device import Device
from distill_app.students.locate import TEXT_FILES

KEPT_FILES = tuple(name for name in TEXT_FILES if name != "config.json")
"""Files copied as they are: loading and saving a tokenizer can change what it writes down."""


def merge(base: Path, adapter: Path, out: Path, *, dtype: str = "float32") -> Path:
    """Write the model in `base` with the LoRA `adapter` merged to the new folder `out`; returns it.

    The sum is made in float32 and written in `dtype` ("float32" or "bfloat16") as safetensors, with the tokenizer, the
    chat template and the stop tokens of `base` beside it. `StageError` where the adapter is not whole or does not fit
    (nothing is written then) or the disk is full.
    """
    from distill_app.students.load import load

    model, _ = load(base, Device("cpu", dtype, "merging"), adapter=adapter, merge=True)
    made = out.with_name(f".{out.name}.part")
    shutil.rmtree(made, ignore_errors=True)
    try:
        model.save_pretrained(made)
        for name in KEPT_FILES:
            if (base / name).is_file():
                shutil.copyfile(base / name, made / name)
        _declare(made / "config.json", dtype)
        made.rename(out)
    except OSError as error:
        raise StageError(
            f"The merged model could not be written to {out}: {error.strerror or error}.",
            "Make room on the disk and issue the command again.",
        ) from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return out


def _declare(config: Path, dtype: str) -> None:
    """Have config.json name the type the weights are in: engines go by it."""
    values = json.loads(config.read_text(encoding="utf-8"))
    config.write_text(json.dumps({**values, "dtype": dtype}, indent=2, sort_keys=True) + "\n", encoding="utf-8")
