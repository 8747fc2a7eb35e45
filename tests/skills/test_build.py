from __future__ import annotations

import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from distill_app.errors import StageError
from distill_app.problems.word_problems import generate
from distill_app.records import Completion, Problem, Request
from distill_app.skills.build import Options, build_tree
from distill_app.skills.cluster import Cluster, recursive, silhouette
from distill_app.skills.embed import bag_of_words, embedding, encoder
from distill_app.skills.tree import read
from distill_app.students.locate import lacks, locate
from tests.skills.test_attribution import RUNTIME

OPTIONS = Options(name="Mathematics", leaf_items=2, temperature=0.0, seed=42)


def groups(sizes: Sequence[Sequence[int]], seed: int = 0) -> tuple[NDArray[np.float32], list[tuple[int, int]]]:
    """Points on a sphere: groups far apart, of subgroups close together, in mixed order; and where each belongs."""
    rng = np.random.default_rng(seed)
    points, places = [], []
    for group, subgroups in enumerate(sizes):
        for sub, size in enumerate(subgroups):
            middle = np.zeros(40)
            middle[group] = 1.0
            middle[10 + 5 * group + sub] = 0.35
            points += [middle + rng.normal(0, 0.04, 40) for _ in range(size)]
            places += [(group, sub)] * size
    order = rng.permutation(len(points))
    return np.array(points, np.float32)[order], [places[i] for i in order]


def test_clustering_recovers_groups_within_groups() -> None:
    vectors, places = groups([[12, 9, 7], [8, 11], [10, 6, 9, 8]])
    top = recursive(vectors, seed=42, leaf_items=12)
    found = {
        frozenset({places[row][0] for row in part.rows}): {
            frozenset({places[row] for row in sub.rows}) for sub in part.parts
        }
        for part in top.parts
    }
    assert found == {
        frozenset({0}): {frozenset({(0, 0)}), frozenset({(0, 1)}), frozenset({(0, 2)})},
        frozenset({1}): {frozenset({(1, 0)}), frozenset({(1, 1)})},
        frozenset({2}): {frozenset({(2, sub)}) for sub in range(4)},
    }
    assert sorted(row for part in top.parts for sub in part.parts for row in sub.rows) == list(range(80))
    assert all(not sub.parts for part in top.parts for sub in part.parts)
    assert recursive(vectors, seed=42, leaf_items=12) == top


def test_where_splitting_stops() -> None:
    same = np.ones((6, 4), np.float32)
    assert recursive(same, seed=42) == Cluster(tuple(range(6)))
    assert recursive(same[:2], seed=42) == Cluster((0, 1))
    # Three points: k = 2 is the only choice; the pair cannot be split further.
    three = np.array([[1, 0], [0, 1], [0.1, 1]], np.float32)
    assert recursive(three, seed=42) == Cluster((0, 1, 2), (Cluster((0,)), Cluster((1, 2))))
    # Every pair equally far apart: no silhouette is above 0.
    assert recursive(np.eye(5, dtype=np.float32), seed=42) == Cluster(tuple(range(5)))


@pytest.mark.parametrize(("rows", "clusters"), [(5, 2), (60, 3), (400, 10)])
def test_the_silhouette_is_that_of_scikit_learn(rows: int, clusters: int) -> None:
    from sklearn.metrics import silhouette_score

    draw = np.random.default_rng(rows)
    vectors = draw.normal(size=(rows, 16)).astype(np.float32)
    vectors[1] = vectors[2]
    vectors[3] = 0.0
    labels = draw.integers(0, clusters, rows).astype(np.int32)
    labels[0] = clusters + 3  # a cluster of one, under a number of its own
    expected = silhouette_score(vectors, labels, metric="cosine")
    assert silhouette(vectors, labels) == pytest.approx(expected, abs=1e-6)


ABILITIES = {
    "add": "Adding whole numbers from a story",
    "area": "Finding the area of rectangles",
    "perimeter": "Finding the perimeter of rectangles",
}


class Teacher:
    """Says the ability of the item's family, names a cluster by the first of its phrases, and keeps what it was
    asked. `faults` maps a part of a request's id to what it answers instead, first and again."""

    def __init__(self, items: Sequence[Problem], faults: dict[str, tuple[str, str]] | None = None) -> None:
        self.families = {item.id: str(item.family) for item in items}
        self.faults = faults or {}
        self.batches: list[list[Request]] = []

    def __call__(self, requests: list[Request]) -> list[Completion]:
        self.batches.append(requests)
        return [Completion(request.id, self._say(request), "stop") for request in requests]

    def _say(self, request: Request) -> str:
        for part, texts in self.faults.items():
            if part in request.id:
                return texts[request.id.endswith("/again")]
        if request.problem.id in self.families:
            return f"- {ABILITIES[self.families[request.problem.id]]}."
        return "Work: " + re.findall(r"(?m)^- (.*)$", request.prompt)[0].removeprefix("Work: ")


def items() -> list[Problem]:
    return generate("train", 24, ["add", "area", "perimeter"], {}, "medium", 0)


def test_a_tree_of_word_problems() -> None:
    teacher, told = Teacher(items()), []
    built = build_tree(items(), teacher, bag_of_words, OPTIONS, lambda what, total: told.append((what, total)))
    assert built.tree.name == "Mathematics"
    assert [leaf.name for leaf in built.tree.children] == [f"Work: {text}" for text in ABILITIES.values()]
    assert {built.chains[item.id] for item in items()} == set(built.tree.chains())
    for item in items():
        assert built.chains[item.id] == f"Work: {ABILITIES[str(item.family)]}"
        assert built.phrases[item.id] == ABILITIES[str(item.family)]
    assert built.facts["leaves"] == 3
    assert built.facts["items of the smallest leaf"] == built.facts["items of the largest leaf"] == 8
    assert built.facts["retries"] == built.facts["clusters named by their middle item"] == 0
    assert told == [("phrases", 24), ("vectors", 24), ("clusters", 24), ("names", 3)]
    first = teacher.batches[0][0]
    assert items()[0].question in first.prompt
    assert str(items()[0].solution) in first.prompt
    assert first.temperature == 0.0
    assert read(built.tree.as_json(), "built").tree == built.tree


def test_names_are_made_from_below_upwards() -> None:
    vectors, places = groups([[5, 5], [5, 5]])
    made = [Problem(f"i{row}", "q", "1", "s", family="add") for row in range(20)]
    teacher = Teacher(made)
    options = Options(name="All", leaf_items=5, temperature=None, seed=1)
    built = build_tree(made, teacher, lambda _texts: vectors, options)
    assert [len(batch) for batch in teacher.batches] == [20, 4, 2]
    assert all(request.prompt.count("- Work: ") == 2 for request in teacher.batches[2])
    # All names are alike, so siblings are numbered, and every item keeps a chain of its own subgroup.
    name = f"Work: {ABILITIES['add']}"
    assert built.tree.chains() == [f"{a} -> {b}" for a in (name, f"{name} (2)") for b in (name, f"{name} (2)")]
    by_chain: dict[str, set[tuple[int, int]]] = {}
    for item, place in zip(made, places, strict=True):
        by_chain.setdefault(built.chains[item.id], set()).add(place)
    assert sorted(len(found) for found in by_chain.values()) == [1, 1, 1, 1]
    assert len(set.union(*by_chain.values())) == 4


def test_requests_do_not_depend_on_the_items_order() -> None:
    one, two = Teacher(items()), Teacher(items())
    build_tree(items(), one, bag_of_words, OPTIONS)
    build_tree(items()[::-1], two, bag_of_words, OPTIONS)
    assert {(r.id, r.seed) for batch in one.batches for r in batch} == {
        (r.id, r.seed) for batch in two.batches for r in batch
    }


def test_what_cannot_be_read_is_asked_again_and_counted() -> None:
    lost, slow = items()[0].id, items()[1].id
    faults = {lost: ("x" * 300, "\n"), slow: ("", ABILITIES["area"]), "cluster/": ("", "..")}
    teacher = Teacher(items(), faults)
    built = build_tree(items(), teacher, bag_of_words, OPTIONS)
    assert lost not in built.chains
    assert built.chains[slow] == ABILITIES["area"]
    assert built.facts["items without a phrase"] == 1
    assert built.facts["retries"] == 2 + 3
    assert built.facts["clusters named by their middle item"] == 3
    assert {leaf.name for leaf in built.tree.children} == set(ABILITIES.values())
    assert teacher.batches[1][0].id == f"{lost}/skill phrase/again"
    assert teacher.batches[1][0].prompt.startswith(teacher.batches[0][0].prompt)


def test_nothing_to_make_a_tree_of() -> None:
    with pytest.raises(StageError, match="make one cluster"):
        build_tree(items()[::3], Teacher(items()), bag_of_words, OPTIONS)
    with pytest.raises(StageError, match="Only 0 of 24 items have a phrase"):
        build_tree(items(), Teacher(items(), {"": ("", "")}), bag_of_words, OPTIONS)


def test_whatever_the_teacher_says_the_tree_can_be_read_back() -> None:
    rng = random.Random(3)
    words = ["sums", "->", "→", "areas", "\n", "\u2028", "  ", "<think>", "</think>", "- ", '"', "of", "rates", "1. "]
    made = [Problem(f"i{row}", "q", "1", "s") for row in range(60)]

    def ask(requests: list[Request]) -> list[Completion]:
        said = [" ".join(rng.choices(words, k=5)) for _ in requests]
        return [Completion(request.id, text, "stop") for request, text in zip(requests, said, strict=True)]

    built = build_tree(made, ask, bag_of_words, OPTIONS)
    loaded = read(built.tree.as_json(), "built")
    assert loaded.tree == built.tree
    assert loaded.notes == ()
    assert set(built.chains.values()) == set(built.tree.chains())
    assert built.facts["items"] - built.facts["items without a phrase"] == len(built.chains)


def test_word_counts_by_hand() -> None:
    vectors = bag_of_words(["adding numbers", "numbers adding", "finding areas", "the of"])
    likeness = vectors @ vectors.T
    assert likeness[0, 1] == pytest.approx(1)
    assert likeness[0, 2] == 0
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1, 0])
    assert vectors.dtype == np.float32
    with pytest.raises(StageError, match="hold no words"):
        bag_of_words(["the", "of"])


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer BERT of random weights with a tokenizer of whole words, in a folder."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "adding", "finding", "numbers", "areas", "and", "of"]
    inner = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=12,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    return folder


def test_an_embedding_is_named_in_the_recipe(bert: Path) -> None:
    said: list[str] = []
    texts = ["adding numbers", "areas"]
    local = embedding(str(bert), RUNTIME, said.append)
    assert local.embed(texts) == pytest.approx(encoder(bert, "cpu")(texts))
    assert local.facts == {"embedding": str(bert), "content_id": locate(str(bert), None).content_id}
    assert said == [f"{bert} embeds phrases on cpu (set in the recipe)."]
    words = embedding("bag_of_words", RUNTIME, said.append)
    assert words.embed(texts) == pytest.approx(bag_of_words(texts))
    assert words.facts == {"embedding": "bag_of_words", "knows_synonyms": False}


def test_an_encoders_vectors_are_the_mean_over_its_own_tokens(bert: Path) -> None:
    import torch
    from transformers import AutoModel

    assert lacks(bert) is None
    texts = ["adding numbers", "finding areas of numbers and areas"] * 20 + ["areas " * 40]
    vectors = encoder(bert, "cpu")(texts)
    assert vectors.shape == (41, 16)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(41), abs=1e-5)
    # By hand, without padding: [CLS] adding numbers [SEP].
    model: Any = AutoModel.from_pretrained(bert).eval()
    with torch.inference_mode():
        mean = model(torch.tensor([[2, 4, 6, 3]])).last_hidden_state[0].mean(0)
        cut = model(torch.tensor([[2, *[7] * 10, 3]])).last_hidden_state[0].mean(0)
    assert vectors[0] == pytest.approx((mean / mean.norm()).numpy(), abs=1e-5)
    assert vectors[38] == pytest.approx(vectors[0], abs=1e-5)
    assert vectors[40] == pytest.approx((cut / cut.norm()).numpy(), abs=1e-5)
