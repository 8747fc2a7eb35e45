from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from distill_app.errors import UsageError
from distill_app.problems.word_problems import FAMILIES
from distill_app.skills import tree as trees
from distill_app.skills.tree import Lookup, Tree, content_id, cut, load, load_labels, prefixes, read

DATA = Path(__file__).parents[3] / "shared" / "data" / "skills"

SMALL = {
    "name": "Maths",
    "children": [
        {"name": "Algebra", "children": [{"name": "Linear equations"}, {"name": "Area"}]},
        {"name": "Geometry", "children": [{"name": "Plane", "children": [{"name": "area"}]}, {"name": "Solids"}]},
    ],
}


def shared(name: str) -> Path:
    if not (DATA / name).is_file():
        pytest.skip("../shared/data is not here")
    return DATA / name


def small() -> Tree:
    return read(SMALL, "small.json").tree


def test_chains_lead_from_below_the_root_to_every_leaf() -> None:
    tree = small()
    assert tree.chains() == [
        "Algebra -> Linear equations",
        "Algebra -> Area",
        "Geometry -> Plane -> area",
        "Geometry -> Solids",
    ]
    assert tree.leaves() == ["Linear equations", "Area", "area", "Solids"]
    assert [chain for chain, node in tree.walk() if node.children] == ["Algebra", "Geometry", "Geometry -> Plane"]
    assert read(tree.as_json(), "again").tree == tree


def test_depth() -> None:
    chain = "Geometry -> Plane -> area"
    assert cut(chain, 1) == "Geometry"
    assert cut(chain, 2) == "Geometry -> Plane"
    assert cut(chain, 9) == cut(chain, None) == chain
    assert prefixes(chain) == ["Geometry", "Geometry -> Plane", chain]


@pytest.mark.parametrize(
    ("label", "chains"),
    [
        ("solids", ["Geometry -> Solids"]),
        ("  LINEAR   equations ", ["Algebra -> Linear equations"]),
        ("area", ["Algebra -> Area", "Geometry -> Plane -> area"]),
        ("plane->area", ["Geometry -> Plane -> area"]),
        ("Geometry -> Plane → Area", ["Geometry -> Plane -> area"]),
        ("Maths -> Algebra -> Area", ["Algebra -> Area"]),
        ("Maths -> area", []),
        ("Geometry -> area", []),
        ("Geometry", []),
        ("Maths", []),
        ("", []),
    ],
)
def test_labels_find_leaves(label: str, chains: list[str]) -> None:
    assert Lookup(small()).find(label) == chains


def test_evaltrees_own_form_loses_its_items() -> None:
    data = {
        "capability": "Doing mathematics",
        "subtrees": {
            "0": {"description": "Counting", "subtrees": [4, 7]},
            "1": {
                "description": "Solving",
                "subtrees": [
                    {"description": "an item's own phrase", "subtrees": 12},
                    {"description": "Solving for x", "subtrees": [{"description": "item", "subtrees": 3}, 5]},
                ],
            },
            "2": 9,
        },
    }
    loaded = read(data, "evaltree.json")
    assert loaded.tree.as_json() == {
        "name": "Doing mathematics",
        "children": [{"name": "Counting"}, {"name": "Solving", "children": [{"name": "Solving for x"}]}],
    }
    assert loaded.notes == ("6 benchmark items in evaltree.json are no skills and are left out.",)


def test_leaves_of_one_name_are_one_skill_and_said() -> None:
    children = [{"name": "Sums"}, {"name": "SUMS "}, {"name": "Areas"}, {"name": "areas", "children": [{"name": "x"}]}]
    loaded = read({"name": "All", "children": children}, "f")
    assert loaded.tree.chains() == ["Sums", "areas -> x"]
    assert loaded.notes == ("2 leaves in f have the name of a sibling and are taken for the same skill.",)


def deep(levels: int) -> dict[str, Any]:
    node: dict[str, Any] = {"name": "bottom"}
    for level in range(levels, 0, -1):
        node = {"name": f"level {level}", "children": [node]}
    return node


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"name": "a", "children": [{"name": "b -> c"}]}, r"\$\.children\[0\] .* holds an arrow"),
        ({"name": "a", "children": [{"name": "b\nc"}]}, r"\$\.children\[0\] .* line break"),
        ({"name": "a", "children": [{"name": "x"}, {"name": "  "}]}, r"\$\.children\[1\] has a name that is empty"),
        ({"name": "a", "children": [{"title": "x"}]}, r"\$\.children\[0\] has no name, but 'title'"),
        ({"name": "a", "children": ["x"]}, r"\$\.children\[0\] holds text where a node should be"),
        ({"name": "a", "children": "x"}, r"\$ has text for its children, not a list"),
        ({"name": "a", "children": []}, "no skills below its root"),
        ({"name": "a"}, "no skills below its root"),
        ({"description": "a", "subtrees": [1, 2]}, "no skills below its root"),
        ([], r"\$ holds a list where a node should be"),
        (None, r"\$ holds null where a node should be"),
        (
            {"name": "a", "children": [{"name": "B", "children": [{"name": "x"}]}] * 2},
            r"\$\.children\[1\] is a second branch 'B' of one parent",
        ),
        (deep(65), "more than 64 levels below the root"),
    ],
)
def test_faults_name_the_file_and_the_place(data: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        read(data, "skills.json")
    assert "skills.json" in str(caught.value)


def test_sixty_four_levels_are_read() -> None:
    assert len(trees.split(read(deep(64), "f").tree.chains()[0])) == 64


def test_a_cycle_is_refused() -> None:
    node: dict[str, Any] = {"name": "round"}
    node["children"] = [node]
    with pytest.raises(UsageError, match="more than 64 levels"):
        read(node, "f")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"There is no skill tree .*nothing\.json"):
        load(tmp_path / "nothing.json")
    with pytest.raises(UsageError, match="is a folder"):
        load(tmp_path)
    (tmp_path / "bad.json").write_text('{"name": ')
    with pytest.raises(UsageError, match=r"bad\.json is not JSON"):
        load(tmp_path / "bad.json")
    with pytest.raises(UsageError, match="There is no skill tree builtin:nope") as caught:
        load("builtin:nope")
    assert "builtin:school_math" in caught.value.hint


def test_the_content_id_is_that_of_the_names_and_places() -> None:
    assert content_id(small()) == content_id(read(json.loads(json.dumps(SMALL, indent=7)), "other name").tree)
    # printf '{"name":"a","children":[{"name":"b"}]}' | sha256sum
    tiny = content_id(Tree("a", (Tree("b"),)))
    assert tiny == "sha256:2887bf5c9e15c9a4a8b4862fb702322551fa6ae576d2b63d9a34802398607fb8"
    assert len({tiny, content_id(Tree("a", (Tree("c"),))), content_id(Tree("b", (Tree("a"),)))}) == 3


def test_the_shipped_tree_covers_every_label_of_the_word_problems() -> None:
    tree = load("builtin:school_math").tree
    lookup = Lookup(tree)
    labels = {label for family in FAMILIES.values() for label in family.skills}
    assert len(labels) == 13
    assert {label: len(lookup.find(label)) for label in labels} == dict.fromkeys(labels, 1)
    assert len(tree.chains()) == 38
    assert len({trees.fold(name) for name in tree.leaves()}) == 38
    assert {len(trees.split(chain)) for chain in tree.chains()} == {2, 3}


def test_published_trees() -> None:
    mixed = load(shared("skillmix_math_tree.json"))
    assert (len(mixed.tree.children), len(mixed.tree.chains()), mixed.notes) == (7, 118, ())
    assert len(Lookup(mixed.tree).find("geometry")) == 1
    clustered = load(shared("evaltree_math_tree.json"))
    # 2,927 leaves in the file, 15 of them with the name of a sibling (counted with a loop over the JSON).
    assert len(clustered.tree.chains()) == len(set(clustered.tree.chains())) == 2927 - 15
    assert clustered.notes[0].startswith("15 leaves")
    assert max(len(trees.split(chain)) for chain in clustered.tree.chains()) == 11


def test_short_labels(tmp_path: Path) -> None:
    file = tmp_path / "labels.json"
    file.write_text('{"Solving linear equations": "Linear"}')
    assert load_labels(file) == {"Solving linear equations": "Linear"}
    for content, told in (
        ("[]", "is no map"), ("{}", "is no map"), ('{"a": 3}', "label of 'a': it is no text"),
        ('{"a": "b -> c"}', "label of 'a': it holds an arrow"), ("{", "is not JSON"),
    ):  # fmt: skip
        file.write_text(content)
        with pytest.raises(UsageError, match=told):
            load_labels(file)
    with pytest.raises(UsageError, match="There is no file of labels"):
        load_labels(tmp_path / "none.json")
