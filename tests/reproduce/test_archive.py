"""The file of a bundle: the same bytes for the same content, and a hostile one gets no further than a refusal."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from distill_app.errors import UsageError
from distill_app.reproduce import archive

KNOWN = frozenset({"a.json", "b.md"})
GOOD = {"a.json": b'{"x": 1}', "b.md": "täglich\n".encode()}


def zipped(*entries: tuple[zipfile.ZipInfo | str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip as another program might write it."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", kind) as file:
        for info, content in entries:
            file.writestr(info, content)
    return raw.getvalue()


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def encrypted(raw: bytes) -> bytes:
    """The same zip with the flag set that says so, in the entry's own head and in the directory."""
    changed = bytearray(raw)
    changed[6] |= 1
    changed[raw.index(b"PK\x01\x02") + 8] |= 1
    return bytes(changed)


def crowded() -> bytes:
    return zipped(*((f"{number}", b"") for number in range(17)))


def with_small_size(raw: bytes) -> bytes:
    """A bomb that says it is 8 bytes long, in the entry's own head and in the directory."""
    changed = bytearray(raw)
    struct.pack_into("<L", changed, 22, 8)
    struct.pack_into("<L", changed, raw.index(b"PK\x01\x02") + 24, 8)
    return bytes(changed)


BOMB = zipped(("a.json", bytes(archive.LARGEST_ENTRY_BYTES + 1)))


def test_the_same_content_gives_the_same_bytes_and_comes_back() -> None:
    packed = archive.pack(GOOD)
    assert packed == archive.pack(dict(reversed(GOOD.items())))
    assert archive.unpack(Path("x"), packed, KNOWN) == GOOD
    with zipfile.ZipFile(io.BytesIO(packed)) as file:
        assert [info.filename for info in file.infolist()] == ["a.json", "b.md"]
        assert {info.date_time for info in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (zipped(("../a.json", b"{}")), "'../a.json', which no bundle holds"),
        (zipped(("/etc/passwd", b"{}")), "'/etc/passwd', which"),
        (zipped(("a.json/", b"")), "'a.json/', which"),
        (zipped(("A.JSON", b"{}")), "'A.JSON', which"),
        (zipped((link("a.json"), b"/etc/passwd")), "something other than a plain file"),
        (zipped(("a.json", b"{}"), kind=zipfile.ZIP_LZMA), "something other than a plain file"),
        (encrypted(zipped(("a.json", b"{}"))), "something other than a plain file"),
        (BOMB, "more than 16 MiB in a.json"),
        (with_small_size(BOMB), "is damaged"),
        (crowded(), "more than 16 files"),
        (zipped(("a.json", b"{}")) + b"more", "something is appended"),
        (archive.pack(GOOD)[:-30], "cut off"),
        (archive.pack(GOOD).replace(b"b.md", b"c.md", 1), "is damaged"),
        (b"version: 1\nname: x\n" * 9, "is not a bundle"),
        (b"", "is not a bundle"),
        (b"PK\x03\x04", "is not a bundle"),
    ],
)
def test_what_is_refused(raw: bytes, said: str) -> None:
    with pytest.raises(UsageError, match=r"not opened\. Ask for the file again") as refusal:
        archive.unpack(Path("x.bundle"), raw, KNOWN)
    assert said in str(refusal.value)
    assert len(raw) < 40_000, "what is refused for its size is small on disk"


def test_an_entry_twice_and_a_file_too_large_are_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = zipped(("a.json", b"{}"), ("a.json", b"[]"))
    with pytest.raises(UsageError, match=r"holds a\.json twice"):
        archive.unpack(Path("x"), twice, KNOWN)
    large = tmp_path / "large.bundle"
    with large.open("wb") as file:
        file.truncate(archive.LARGEST_FILE_BYTES + 1)
    with pytest.raises(UsageError, match="larger than 8 MiB"):
        archive.read(large)


def test_entries_share_one_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "LARGEST_TOTAL_BYTES", 1000)
    assert archive.unpack(Path("x"), zipped(("a.json", bytes(600)), ("b.md", bytes(400))), KNOWN)
    with pytest.raises(UsageError, match=r"more than 0 MiB in b\.md"):
        archive.unpack(Path("x"), zipped(("a.json", bytes(600)), ("b.md", bytes(401))), KNOWN)


def test_any_one_bit_turned_is_refused_or_changes_nothing() -> None:
    """CRC-32 sees every single bit of the content; the rest is names, times and rights."""
    packed = archive.pack({"a.json": b'{"score": 0.25}'})
    refused = 0
    for place in range(len(packed) * 8):
        turned = bytearray(packed)
        turned[place // 8] ^= 1 << (place % 8)
        try:
            assert archive.unpack(Path("x"), bytes(turned), KNOWN) == {"a.json": b'{"score": 0.25}'}
        except UsageError:
            refused += 1
    assert refused > 4 * len(packed)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"[" * 100_000, "cannot be read"),
        (b"[" * 42 + b"]" * 42, "nested more than 40 deep"),
        (b'{"a": NaN}', "NaN is no JSON"),
        (b'{"a": -Infinity}', "no JSON"),
        (b'{"a": 1e999}', "beyond all limits"),
        (b'{"a": ' + b"9" * 5000 + b"}", "cannot be read"),
        (b'{"a": "\\u001b[2J"}', "control character U+001B"),
        (b'{"a\\u0007": 1}', "control character U+0007"),
        (b'{"a": "\\ud800"}', "control character U+D800"),
        (b'{"a": "\xff"}', "cannot be read"),
        (b"{", "cannot be read"),
    ],
)
def test_json_that_is_refused(raw: bytes, said: str) -> None:
    with pytest.raises(UsageError) as refusal:
        archive.value(Path("x.bundle"), "result.json", raw)
    assert said in str(refusal.value)


def test_what_is_written_can_be_read() -> None:
    assert archive.clean({"a": ["x\x1b[2J\n", 1.5, None, True], "b\x00": "ü\t"}) == {
        "a": ["x\ufffd[2J\n", 1.5, None, True],
        "b\ufffd": "ü\t",
    }
