"""Vectors for phrases, to cluster them: a local encoder's, or counts of words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill_app.errors import StageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from distill_app.recipe.model import Runtime

BAG_OF_WORDS = "bag_of_words"
"""The name in a recipe that means no model."""

LONGEST_TOKENS = 512
"""Tokens of a phrase that an encoder reads; a phrase is one sentence."""

_ROWS = 32


@dataclass(frozen=True, slots=True)
class Embedding:
    """`embed` gives float32 vectors of length 1 (or 0, for a text without known words), one a text, shape
    (texts, dimensions). `facts` says what it is, for the report."""

    embed: Callable[[Sequence[str]], NDArray[np.float32]]
    facts: Mapping[str, Any]


def embedding(model: str, runtime: Runtime, say: Callable[[str], None]) -> Embedding:
    """What a recipe's `skills.embedding` means: `bag_of_words`, or an encoder by folder or hub id.

    Raises `UsageError` or `StageError` where the encoder cannot be found or loaded.
    """
    if model == BAG_OF_WORDS:
        return Embedding(bag_of_words, {"embedding": BAG_OF_WORDS, "knows_synonyms": False})
    from distill_app.students import device as devices
    from distill_app.students.locate import fetch, locate

    located = locate(model, None)
    devices.set_threads(runtime.threads)
    device = devices.pick(runtime.device, "float32")
    say(f"{model} embeds phrases on {device.name} ({device.why}).")
    encode = encoder(fetch(located, say), device.name)
    return Embedding(encode, {"embedding": model, "content_id": located.content_id})


def bag_of_words(texts: Sequence[str]) -> NDArray[np.float32]:
    """TF-IDF over the words of these very texts (scikit-learn: sublinear counts, English stop words, no hashing).

    It knows no synonyms: two phrases are near only where they share words. Raises `StageError` where the texts
    hold no words at all.
    """
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    try:
        found = TfidfVectorizer(sublinear_tf=True, stop_words="english", dtype=np.float32).fit_transform(texts)
    except ValueError as error:
        raise StageError(
            f"The {len(texts)} phrases hold no words to compare them by: {error}.", "Look at the phrases."
        ) from error
    dense: NDArray[np.float32] = np.asarray(found.todense(), dtype=np.float32)
    return dense


def encoder(folder: Path, device: str) -> Callable[[Sequence[str]], NDArray[np.float32]]:
    """The encoder in `folder`: its last hidden states, meant over the tokens that are no padding, made length 1."""
    from distill_app.students import quiet

    quiet.libraries()
    import numpy as np
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    model: Any = AutoModel.from_pretrained(
        folder, dtype=torch.float32, local_files_only=True, trust_remote_code=False, use_safetensors=True
    )
    model = model.to(device).eval()
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    room = getattr(model.config, "max_position_embeddings", LONGEST_TOKENS)
    longest = min(LONGEST_TOKENS, room, tokenizer.model_max_length)

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        parts = []
        for start in range(0, len(texts), _ROWS):
            batch = tokenizer(
                list(texts[start : start + _ROWS]),
                padding=True,
                truncation=True,
                max_length=longest,
                return_tensors="pt",
            ).to(device)
            with torch.inference_mode():
                states = model(**batch).last_hidden_state
            mask = batch["attention_mask"].unsqueeze(-1)
            mean = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
            parts.append(torch.nn.functional.normalize(mean, dim=1).cpu().numpy())
        return np.concatenate(parts).astype(np.float32)

    return encode
