from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from distill_app import resources
from distill_app.recipe.model import build
from distill_app.records import Completion, Request
from distill_app.store.rows import RowLog
from distill_app.teachers import _openai_ledger
from distill_app.teachers._openai_answer import whole
from distill_app.teachers.openai import FOLLOWS, LOCAL, MODEL, Options, Prices, check, complete, content
from tests.teachers.fake_server import Call, FakeServer, Reply, completion, text_of
from tests.teachers.killable_openai import ask, hasten, options, request, some, until_error

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PRICES = Prices(input=2.0, output=10.0)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    hasten(monkeypatch.setattr)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class _Process:
    """The fake server as a process, that can be killed and started again on its port."""

    def __init__(self, latency: float, first: float) -> None:
        self.port, self._seconds = _free_port(), (str(latency), str(first))
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-I", str(HERE / "fake_server.py"), str(self.port), *self._seconds]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def counts(self) -> dict[str, int]:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{self.port}/counts") as answer:
            return dict(json.load(answer))


@pytest.fixture
def process() -> Iterator[Callable[..., _Process]]:
    started: list[_Process] = []

    def start(latency: float, first: float = 0.0) -> _Process:
        started.append(_Process(latency, first))
        return started[-1]

    yield start
    for server in started:
        server.kill()


def test_options_mirror_the_schema() -> None:
    schema = json.loads((resources.folder("schemas") / "teachers" / "openai.json").read_text())
    names = {field.name for field in fields(Options)}
    assert names == set(schema["properties"]) - {"name", "backend", "weight", "limit"}
    defaults = {key: item["default"] for key, item in schema["properties"].items() if "default" in item}
    assert set(defaults) == names - {"model", "base_url", "max_tokens"}
    built = build(Options, {"model": "m", "base_url": "http://h/v1", "max_tokens": 4096, **defaults})
    assert check(built) == []
    priced = {
        "model": "m",
        "base_url": "http://h/v1",
        "max_tokens": 1,
        **defaults,
        "prices": {"input": 2, "output": 10},
    }
    assert build(Options, priced).prices == PRICES
    assert {field.name for field in fields(Options)} > LOCAL
    assert MODEL
    assert FOLLOWS == "instructions"
    assert content(built) == {}


def test_what_is_sent() -> None:
    schema = {"type": "object", "additionalProperties": False}
    with FakeServer() as server:
        plain = options(server.url)
        asked = request(7)
        assert asked.seed == 2**40 + 7
        row = ask([asked], plain)["p7/0"]
        ask([request(7, temperature=0.0, schema=json.dumps(schema))], options(
            server.url, system_prompt="Be brief.", thinking=False, max_tokens_key="max_completion_tokens", top_p=None,
            extra={"reasoning_effort": "low", "chat_template_kwargs": {"depth": 2}},
        ))  # fmt: skip
        ask([request(7, schema=json.dumps(schema))], options(
            server.url, temperature=None, seeds=False, structured="guided_json"))  # fmt: skip
        ask([request(7, schema=json.dumps(schema))], options(server.url, structured=None))
    first, second, third, fourth = (call.body for call in server.calls)
    assert first == {
        "model": "tiny-teacher", "messages": [{"role": "user", "content": "Say 7 and explain it."}], "max_tokens": 64,
        "temperature": 0.6, "top_p": 0.95, "seed": 7,
    }  # fmt: skip
    assert second == {
        "model": "tiny-teacher", "max_completion_tokens": 64, "temperature": 0.0, "seed": 7, "reasoning_effort": "low",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say 7 and explain it."}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}},
        "chat_template_kwargs": {"depth": 2, "enable_thinking": False},
    }  # fmt: skip
    assert third == {
        "model": "tiny-teacher", "messages": [{"role": "user", "content": "Say 7 and explain it."}], "max_tokens": 64,
        "top_p": 0.95, "guided_json": schema,
    }  # fmt: skip
    assert fourth == first
    text = text_of("Say 7 and explain it.", 7)
    assert row == Completion("p7/0", text, "stop", tokens=len(text.split()), prompt_tokens=9, seed=7)


class _Many(Sequence[Request]):
    """Requests made as they are asked for. Sees how many tasks there are whenever one is taken."""

    def __init__(self, count: int) -> None:
        self._count, self.taken, self.tasks = count, 0, 0

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        return request(index)

    def __iter__(self) -> Iterator[Request]:
        for index in range(self._count):
            with contextlib.suppress(RuntimeError):  # no loop: the requests are only counted
                self.tasks = max(self.tasks, len(asyncio.all_tasks()))
                self.taken = index + 1
            yield request(index)


def test_five_thousand_requests(process: Callable[..., _Process], monkeypatch: pytest.MonkeyPatch) -> None:
    """Concurrency as set, memory bounded by it, every token counted."""
    monkeypatch.setattr(_openai_ledger, "SECONDS_BETWEEN_LINES", 1.0)
    server, many, said = process(0.002, first=0.5), _Many(5000), list[str]()
    seen, read_tokens, written, ahead, blocks = bytearray(5000), 0, 0, 0, list[int]()
    told: list[tuple[int, int]] = []
    for batch in complete(
        many,
        options(server.url, concurrency=16, prices=PRICES),
        say=said.append,
        progress=lambda rows, tokens: told.append((rows, tokens)),
    ):
        for row in batch:
            seen[int(row.id[1:-2])] += 1
            read_tokens, written = read_tokens + (row.prompt_tokens or 0), written + (row.tokens or 0)
        ahead = max(ahead, many.taken - sum(seen))
        blocks.append(sys.getallocatedblocks())
    assert seen == bytearray(b"\x01") * 5000
    counts = server.counts()
    assert counts["calls"] == counts["answers"] == 5000
    assert counts["most"] == 16
    assert many.tasks <= 17  # 16 requests and the one that waits for them
    assert ahead <= 16
    fifth = len(blocks) // 5
    assert max(blocks[fifth:]) - max(blocks[:fifth]) < 5000  # a leak of one object a row would be 4000 rows' worth
    assert (read_tokens, written) == (counts["read"], counts["written"])
    assert told[-1] == (5000, written)
    dollars = (2 * read_tokens + 10 * written) / 1e6
    assert said[-1] == f"5,000 of 5,000 answers, {read_tokens:,} tokens in, {written:,} out, {dollars:.2f} dollars."
    assert len(said) > 2


def test_a_server_killed_twenty_times(process: Callable[..., _Process], tmp_path: Path) -> None:
    """No finished row is lost or made twice; what was under way at each kill is asked again."""
    server, draw, kills = process(0.01), random.Random(4), 0
    log = RowLog(tmp_path / "completions.jsonl", Completion)
    next_kill, restart = draw.randrange(1, 40), threading.Thread()
    say: list[str] = []
    for batch in complete(some(900), options(server.url, retries=30), say=say.append):
        log.append(batch)
        if len(log.rows) >= next_kill and kills < 20:
            if restart.ident is not None:
                restart.join()
            server.kill()
            kills += 1
            next_kill = len(log.rows) + draw.randrange(1, 40)
            restart = threading.Thread(target=lambda: (time.sleep(draw.uniform(0, 0.05)), server.start()))
            restart.start()
    log.close()
    assert kills == 20
    left = RowLog(log.path, Completion).rows
    assert sorted(row.id for row in left) == sorted(asked.id for asked in some(900))
    assert {row.id: row.text for row in left} == {
        asked.id: text_of(asked.prompt, asked.seed % 2**31) for asked in some(900)
    }
    assert any("trying again" in sentence for sentence in say)


def _client(url: str, log: Path, rows: int, die_after: int, **more: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.teachers.killable_openai", url, str(log), str(rows), str(die_after)]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)


def test_a_client_killed_and_started_again_asks_for_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "completions.jsonl"
    with FakeServer(latency=0.002) as server:
        for die_after in (1, 37, 50):
            killed = _client(server.url, path, 200, die_after)
            killed.communicate()
            assert killed.returncode == -signal.SIGKILL
        with path.open("ab") as torn:  # as if it had died in the middle of a line
            torn.write(b'{"id": "p1')
        asked, kept = server.counts.calls, len(path.read_text().splitlines()) - 1
        assert kept >= 88
        last = _client(server.url, path, 200, 0)
        assert last.communicate() == ("", "")
        assert server.counts.calls == asked + 200 - kept
        assert asked <= kept + 3 * 8  # what was under way at each kill is all that is asked for twice
    rows = RowLog(path, Completion).rows
    assert sorted(row.id for row in rows) == sorted(row.id for row in some(200))


def test_ctrl_c_ends_what_is_under_way_and_leaves_whole_rows(tmp_path: Path) -> None:
    path = tmp_path / "completions.jsonl"
    script = lambda call: Reply(completion(call), delay=0 if call.number <= 5 else 60)  # noqa: E731
    with FakeServer(script) as server:
        client = _client(server.url, path, 200, -1, start_new_session=True)
        assert client.stdout is not None
        assert client.stdout.readline() == "going\n"
        while server.counts.calls < 13:  # five answered, eight that would take a minute
            time.sleep(0.01)
        client.send_signal(signal.SIGINT)
        _, complaint = client.communicate(timeout=30)
    assert server.counts.gone == 8
    assert client.returncode == -signal.SIGINT
    assert complaint.rstrip().endswith("KeyboardInterrupt")
    assert "never retrieved" not in complaint
    assert "was destroyed" not in complaint
    assert len(RowLog(path, Completion).rows) == 5


def test_closing_the_iterator_ends_what_is_under_way() -> None:
    script = lambda call: Reply(completion(call), delay=0 if call.number == 1 else 60)  # noqa: E731
    with FakeServer(script) as server:
        batches = complete(some(50), options(server.url, concurrency=3), say=print)
        assert [row.id for row in next(batches)] == ["p0/0"]
        batches.close()  # type: ignore[attr-defined]
        asked = server.counts.calls
        while server.counts.now:
            time.sleep(0.01)
    assert 1 < asked <= 4
    assert server.counts.gone == asked - 1  # a minute each, had they not been given up


def test_only_missing_rows_are_asked_for() -> None:
    with FakeServer() as server:
        rows = ask(some(10), options(server.url), done=frozenset(f"p{index}/0" for index in range(7)))
        assert sorted(rows) == ["p7/0", "p8/0", "p9/0"]
        assert ask(some(3), options(server.url), done=frozenset(rows) | {"p0/0", "p1/0", "p2/0"}) == {}
        assert server.counts.calls == 3


def test_finish_reasons_and_texts() -> None:
    messages: dict[int, dict[str, Any]] = {
        0: {"text": "half a tho", "finish_reason": "length"},
        1: {"text": "I would", "finish_reason": "content_filter"},
        2: {"text": ""},
        3: {"text": "", "finish_reason": "content_filter"},
        4: {"content": None, "refusal": "I cannot help with that."},
        5: {"text": "4", "reasoning_content": "2 + 2 is 4."},
        6: {"text": "4", "reasoning": "2 + 2 is 4.", "reasoning_content": None},
        7: {"content": None, "reasoning": "Let me see, 2", "finish_reason": "length"},
        8: {"text": "4", "finish_reason": None},
        9: {"text": "4 \ud83d", "finish_reason": "eos"},  # half a character, as JSON can spell it
    }
    said: list[str] = []
    with FakeServer(lambda call: Reply(completion(call, **messages[int(call.prompt.split()[1])]))) as server:
        rows = ask(some(10), options(server.url), said.append)
    assert [(rows[f"p{i}/0"].finish_reason, rows[f"p{i}/0"].text, rows[f"p{i}/0"].note) for i in range(10)] == [
        ("length", "half a tho", None),
        ("content_filter", "I would", None),
        ("missing", "", "empty answer"),
        ("missing", "", "empty answer (content_filter)"),
        ("missing", "", "empty answer: I cannot help with that."),
        ("stop", "<think>\n2 + 2 is 4.\n</think>\n\n4", None),
        ("stop", "<think>\n2 + 2 is 4.\n</think>\n\n4", None),
        ("length", "<think>\nLet me see, 2", None),
        ("unknown", "4", None),
        ("stop", "4 \ufffd", None),
    ]
    assert rows["p2/0"].prompt_tokens == 9  # billed all the same
    assert "3 of 10 answers held no text." in said


def test_reasoning_is_put_back_once() -> None:
    assert whole("a", "b", cut=False) == "<think>\na\n</think>\n\nb"
    assert whole("\na\n", "\n\nb\n", cut=True) == "<think>\na\n</think>\n\nb\n"
    assert whole("a", "", cut=False) == "<think>\na\n</think>\n\n"
    assert whole("a", "<think>\na\n</think>\n\nb", cut=False) == "<think>\na\n</think>\n\nb"
    assert whole("", "b", cut=False) == "b"


def test_a_server_that_counts_no_tokens_is_said_once() -> None:
    said: list[str] = []
    with FakeServer(lambda call: Reply(completion(call, usage=None))) as server:
        rows = ask(some(20), options(server.url), said.append)
        assert {(row.tokens, row.prompt_tokens) for row in rows.values()} == {(None, None)}
        assert sum("does not report the tokens" in sentence for sentence in said) == 1


def test_the_cost_never_passes_max_cost() -> None:
    """Each answer is billed 10 read and 64 written at 1 and 10 dollars the million: 650 millionths."""
    bill = {"prompt_tokens": 10, "completion_tokens": 64}

    def script(call: Call) -> Reply:
        return Reply(completion(call, usage=bill), delay=0.005)

    priced = {"prices": Prices(input=1.0, output=10.0), "concurrency": 8}
    with FakeServer(script) as server:
        # The worst case of a request: a prompt of 21 or 22 bytes and 512, 64 written: 1173 or 1174 millionths.
        rows, error = until_error(some(100), options(server.url, max_cost=0.01, **priced))
        # 14 are 9100; 9100 + 1174 > 10000. After 13 (8450) there was room for one more (9624).
        assert len(rows) == 14
        assert server.counts.calls == 14
        assert error.message == (
            "max_cost reached: 0.0091 of at most 0.01 dollars are spent, and the next answer could cost 0.0012 "
            "(max_tokens is 64)."
        )
        assert error.hint == "Finished rows are kept; raise max_cost and issue the command again."
        # Going on counts what is there already: 28 are 18200, and one more fits; 29 are 18850, and it does not.
        more, error = until_error(
            some(100), options(server.url, max_cost=0.02, **priced), done=frozenset(rows), finished=[*rows.values()]
        )
        assert not set(rows) & set(more)
        assert len(more) == 29 - 14
        assert error.message.startswith("max_cost reached: 0.019 of at most 0.02 dollars")
        # A cap too small for a single answer sends nothing.
        asked = server.counts.calls
        assert until_error(some(3), options(server.url, max_cost=0.001, **priced))[0] == {}
        assert server.counts.calls == asked


def test_max_cost_needs_a_server_that_counts() -> None:
    with FakeServer(lambda call: Reply(completion(call, usage=None))) as server:
        rows, error = until_error(
            some(50), options(server.url, max_cost=1.0, prices=Prices(input=1.0, output=1.0), concurrency=4)
        )
    assert 1 <= len(rows) <= 4
    assert error.message == f"{server.url} does not report the tokens of its answers, so max_cost cannot be held."
