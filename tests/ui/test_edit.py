"""Edits leave every byte alone that they do not have to change."""

from __future__ import annotations

import difflib
import re
from typing import Any

import pytest

from distill_app.errors import RecipeError
from distill_app.recipe import bundled, nodes, schema
from distill_app.recipe.parse import parse
from distill_app.ui import edit

ODD = """\
# odd on purpose
name:   spaced-out      # after the name

student: {  model: "a/b",   # inside braces
   dtype: auto }
pool:
      problems:
         dataset: 'it''s'
         families:
         - add     # one
         - mul

         -   div
teacher:
- name: one
  backend: worked
-   {name: two, backend: worked}
training:   # nothing yet

prompt: |
  {question}

  Think.
# the end
"""


def _texts() -> list[tuple[str, str]]:
    found = [("odd", ODD)]
    for name in bundled.names():
        path = bundled.find(name)
        assert path is not None
        found.append((name, path.read_text(encoding="utf-8")))
    wide = [
        (f"{name}, wide", re.sub(r"(?m)^( *)(- )?", lambda at: at[1] * 2 + ("-   " if at[2] else ""), text))
        for name, text in found
        if name in ("quickstart", "selectors")
    ]
    ends = [(f"{name}, crlf", text.replace("\n", "\r\n")) for name, text in found if name in ("odd", "quickstart")]
    return [*found, *wide, *ends]


TEXTS = _texts()


@pytest.mark.parametrize(("name", "text"), TEXTS, ids=[name for name, _ in TEXTS])
def test_a_scalar_changes_its_own_characters_alone(name: str, text: str) -> None:
    ends = _ends(text)
    root = parse(text, name)
    scalars = [(path, node) for path, node in nodes.walk(root) if not isinstance(node.value, dict | list)]
    for number, (path, node) in enumerate(scalars):
        assert node.span is not None
        start, end = node.span
        # Each kind of value in turn, so that every text meets all of them and the test stays quick.
        value = ("plain", "with: colon # and hash", 12, 0.5, True, None, "", "yes")[number % 8]
        changed = edit.set_value(text, path, value)
        assert nodes.plain(nodes.find(parse(changed, name), path) or root) == value
        if node.value is None or node.value == value:
            continue  # a value left out has no characters of its own
        rest = text[end:] if not text[start:end].endswith("\n") else text[end - len(ends) :]
        assert changed.startswith(text[:start])
        assert changed.endswith(rest)
        assert len(changed) >= len(text[:start]) + len(rest)


@pytest.mark.parametrize(("name", "text"), TEXTS, ids=[name for name, _ in TEXTS])
def test_removing_takes_whole_lines_or_what_stands_between_brackets(name: str, text: str) -> None:
    ends = _ends(text)
    data = nodes.plain(parse(text, name))
    for path, _ in nodes.walk(parse(text, name)):
        if not path:
            continue
        changed = edit.remove(text, path)
        assert _without(data, path) == nodes.plain(parse(changed, name))
        kept = [line for line in _comments(text) if line not in _comments(changed)]
        gone = text.count(ends) - changed.count(ends)
        assert len(kept) <= max(gone, 1)  # a comment goes with its own line
        assert ("\r" in changed) == (ends == "\r\n")


@pytest.mark.parametrize(("name", "text"), TEXTS, ids=[name for name, _ in TEXTS])
def test_a_new_key_is_a_line_of_its_own_or_stands_between_braces(name: str, text: str) -> None:
    ends = _ends(text)
    root = parse(text, name)
    for path, node in nodes.walk(root):
        if not isinstance(node.value, dict) or not node.value:
            continue
        changed = edit.set_value(text, (*path, "brand_new"), 7)
        added = [line[2:] for line in difflib.ndiff(text.splitlines(True), changed.splitlines(True)) if line[0] == "+"]
        if text[node.span[0]] != "{":  # type: ignore[index]
            assert [line.strip() for line in added] == ["brand_new: 7"]
            assert changed.replace(added[0], "") == text or changed.replace(f"{ends}{added[0]}", "") == text
        else:
            assert changed.replace(", brand_new: 7", "") == text
        assert nodes.plain(nodes.find(parse(changed, name), (*path, "brand_new")) or root) == 7


def _without(data: Any, path: nodes.Path) -> Any:
    if len(path) > 1:
        inner = _without(data[path[0]], path[1:])
        return [*data[: path[0]], inner, *data[path[0] + 1 :]] if isinstance(data, list) else {**data, path[0]: inner}
    if isinstance(data, list):
        return [item for index, item in enumerate(data) if index != path[0]]
    return {key: item for key, item in data.items() if key != path[0]}


def _ends(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _comments(text: str) -> list[str]:
    return re.findall(r"#[^\r\n]*", text)


def test_values_keep_their_quotes_where_they_can() -> None:
    assert edit.set_value("a: 'x' # c\n", ("a",), "don't") == "a: 'don''t' # c\n"
    assert edit.set_value('a: "x" # c\n', ("a",), "y") == 'a: "y" # c\n'
    assert edit.set_value("a: some words # c\n", ("a",), "other words") == "a: other words # c\n"
    assert edit.set_value("a: some words # c\n", ("a",), "x: y") == 'a: "x: y" # c\n'
    assert edit.set_value("a: x\n", ("a",), "true") == 'a: "true"\n'
    assert edit.set_value("a: 5.0e-4\n", ("a",), 0.0003) == "a: 0.0003\n"
    assert edit.set_value("a:   # c\nb: 1\n", ("a",), 3) == "a: 3   # c\nb: 1\n"


def test_text_in_lines_stays_in_lines() -> None:
    assert edit.set_value(ODD, ("prompt",), "{question}\nNow.\n") == ODD.replace("\n\n  Think.", "\n  Now.")
    assert edit.set_value(ODD, ("prompt",), "one\ntwo").endswith("prompt: |-\n  one\n  two\n# the end\n")


def test_a_key_stands_where_the_schema_has_it() -> None:
    order = ["version", "name", "seed", "student"]
    assert edit.set_value("version: 1\nname: a # c\nstudent: {}\n", ("seed",), 3, order) == (
        "version: 1\nname: a # c\nseed: 3\nstudent: {}\n"
    )
    assert edit.set_value("name: a", ("training", "lora", "rank"), 8) == "name: a\ntraining:\n  lora:\n    rank: 8"
    assert edit.set_value("a: {}\n", ("a", "b", "c"), 1) == "a: {b: {c: 1}}\n"


def test_lists_change_where_they_differ() -> None:
    families = ("pool", "problems", "families")
    assert edit.set_value(ODD, families, ["add", "div"]) == ODD.replace("         - mul\n", "")
    assert edit.set_value(ODD, families, ["add", "mul", "div", "area"]) == ODD.replace(
        "div\n", "div\n         - area\n"
    )
    assert edit.set_value(ODD, families, ["area", "add", "mul", "div"]) == ODD.replace(
        "families:\n", "families:\n         - area\n"
    )
    assert edit.set_value("k: [1, 8] # c\n", ("k",), [1, 4, 8]) == "k: [1, 4, 8] # c\n"
    assert edit.set_value("k: [1, 8] # c\n", ("k",), None) == "k: null # c\n"


def test_a_map_becomes_a_list_of_one() -> None:
    text = "teacher: # who\n  name: one\n\n  backend: worked # a program\npool: {}\n"
    assert edit.into_list(text, ("teacher",)) == (
        "teacher: # who\n  - name: one\n\n    backend: worked # a program\npool: {}\n"
    )
    assert edit.into_list("teacher: {name: one}\n", ("teacher",)) == "teacher: [{name: one}]\n"


def test_what_cannot_be_done_is_refused() -> None:
    with pytest.raises(edit.EditError, match="`rank` cannot be set in 5"):
        edit.set_value("lora: 5\n", ("lora", "rank"), 8)
    with pytest.raises(RecipeError):
        edit.set_value("a: [1\n", ("a",), 8)
    assert edit.remove("a: 1\n", ("b",)) == "a: 1\n"


def test_options_of_every_section_are_written_with_all_comments_kept() -> None:
    path = bundled.find("quickstart")
    assert path is not None
    text = path.read_text(encoding="utf-8")
    for section in ("student", "pool", "selector", "training", "evaluation", "runtime", "skills"):
        spec = schema.installed().root["properties"][section]
        for name in list(schema.resolve(schema.installed(), spec)["properties"])[::3]:
            changed = edit.set_value(text, (section, name), "x")
            assert nodes.plain(parse(changed, "x"))[section][name] == "x"
            assert set(_comments(text)) - set(_comments(changed)) <= {
                "# leave wrong traces in: telling them apart is the selector's work",
                "# ten of each family, none of which is in the pool",
            }
