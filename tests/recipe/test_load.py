"""Reading a file: values, positions, and files that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from distill_app.errors import Position, RecipeError, UsageError
from distill_app.recipe.load import read
from distill_app.recipe.nodes import plain
from distill_app.recipe.parse import parse


def test_values_and_positions(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_bytes(b"# top\na: 1\nb:\n  - x\n  - {c: 2e-4, 'd e': \"8\"}\n")
    tree = read(file)
    name = str(file)
    assert tree.file == name
    assert tree.data == {"a": 1, "b": ["x", {"c": 0.0002, "d e": "8"}]}
    assert tree.value_positions == {
        (): Position(name, 2, 1),
        ("a",): Position(name, 2, 4),
        ("b",): Position(name, 4, 3),
        ("b", 0): Position(name, 4, 5),
        ("b", 1): Position(name, 5, 5),
        ("b", 1, "c"): Position(name, 5, 9),
        ("b", 1, "d e"): Position(name, 5, 22),
    }
    assert tree.key_positions == {
        ("a",): Position(name, 2, 1),
        ("b",): Position(name, 3, 1),
        ("b", 1, "c"): Position(name, 5, 6),
        ("b", 1, "d e"): Position(name, 5, 15),
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8", 8),
        ("-3", -3),
        ("0x1F", 31),
        ("0o17", 15),
        ("0.10", 0.1),
        ("-0", 0),
        ("1e-4", 0.0001),
        ("12:30:45", "12:30:45"),
        ("on", "on"),
        ("1.50", 1.5),
        (".5", 0.5),
        ("2e3", 2000.0),
        ("1_000", "1_000"),
        ("12.5%", "12.5%"),
        ("yes", "yes"),
        ("off", "off"),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("+", "+"),
        ("1.2.3", "1.2.3"),
        ('"8"', "8"),
        ("'it''s'", "it's"),
        ("|\n  a\n  b\n", "a\nb\n"),
        ("builtin:word_problems", "builtin:word_problems"),
    ],
)
def test_words_mean_what_yaml_1_2_says(text: str, value: object) -> None:
    found = plain(parse(f"k: {text}\n", "f"))["k"]
    assert found == value
    assert type(found) is type(value)


def test_the_text_keeps_every_byte(tmp_path: Path) -> None:
    content = "\ufeffa: é\r\nb: 2\r\n".encode()
    file = tmp_path / "r.yaml"
    file.write_bytes(content)
    tree = read(file)
    assert tree.text.encode() == content
    assert tree.data == {"a": "é", "b": 2}
    assert tree.value_positions["a",] == Position(str(file), 1, 4)
    assert tree.key_positions["b",] == Position(str(file), 2, 1)


def test_a_large_file_is_refused_by_size(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_text("a: 1\n" + "#" * 65536)
    with pytest.raises(RecipeError, match="larger than 64 KB"):
        read(file)
    file.write_text("a: 1\n" + "#" * (65536 - 5))
    assert read(file).data == {"a": 1}


def test_depth_has_a_limit_of_24() -> None:
    assert plain(parse("a: " + "[" * 23 + "]" * 23, "f"))
    with pytest.raises(RecipeError, match="more than 24 deep"):
        parse("a: " + "[" * 24 + "]" * 24, "f")


def test_a_missing_file_names_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "gsm8k.yaml").write_text("a: 1\n")
    with pytest.raises(UsageError, match=r"There is no recipe .*gsm8.yaml. Did you mean .*gsm8k\.yaml\?") as caught:
        read(tmp_path / "gsm8.yaml")
    assert "Ready-made recipes, by name: " in caught.value.hint
    assert "quickstart" in caught.value.hint


@pytest.mark.parametrize("name", [".", "missing/x.yaml", "a.yaml/b.yaml", "x\0y", "n" * 5000])
def test_what_is_no_file_is_a_usage_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.yaml").write_text("a: 1\n")
    with pytest.raises(UsageError):
        read(f"{tmp_path}/{name}")


@pytest.mark.parametrize("text", ['a: "\\ud800"\n', 'a: "\\U00110000"\n'])
def test_escapes_that_name_no_character_are_refused(text: str) -> None:
    with pytest.raises(RecipeError, match="character"):
        parse(text, "f")


def test_every_structural_fault_is_reported_at_once() -> None:
    with pytest.raises(RecipeError) as caught:
        parse("a: &x 1\nb: *x\nc: !t 2\nd: 2024-01-01\na: 3\n", "f")
    assert [fault.position.line for fault in caught.value.faults] == [1, 2, 3, 4, 5]
