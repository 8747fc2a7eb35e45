"""A server's key goes to that server, and is written and shown nowhere, whatever the server sends back."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from distill_app import doctor
from distill_app.errors import StageError
from distill_app.plan import view
from distill_app.recipe.resolve import load_arms
from distill_app.reports import runs as listing
from distill_app.reproduce import lock as locks
from distill_app.store import runs
from distill_app.teachers._openai_key import without_key
from distill_app.teachers.openai import complete
from tests.recipes import distill, small, without_traceback
from tests.teachers.fake_server import Call, FakeServer, Reply, completion, error
from tests.teachers.killable_openai import hasten, options, request, until_error

KEY = "sk-planted/9f3a77c1+b0=x"
QUOTED = "sk-planted%2F9f3a77c1%2Bb0%3Dx"
TEACHER = """
  - {name: api, backend: openai, model: tiny-teacher, base_url: "%s", api_key_env: PLANTED_KEY, max_tokens: 60, %s}
augmentation: [chain_of_thought]
"""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    hasten(monkeypatch.setattr)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("PLANTED_KEY", KEY)


def recipe(folder: Path, url: str, more: str = "retries: 1") -> Path:
    teacher = f"teacher:{TEACHER % (url, more)}"
    return small(folder, "org/model", **{"teacher: {name: worked, backend: worked}": teacher})


def escaped(text: str) -> str:
    """JSON may write any character as an escape."""
    return "".join(f"\\u{ord(character):04x}" for character in text)


ECHOES: dict[str, Callable[[Call], Reply]] = {
    "an error": lambda _: Reply(error(f"Incorrect API key: {KEY}", code=KEY), 401),
    "the header": lambda call: Reply(error(f"bad header {call.headers['authorization']}"), 403),
    "an address": lambda _: Reply(error(f"see https://help/?key={QUOTED}"), 400),
    "escapes": lambda _: Reply(f'{{"error": {{"message": "{escaped(KEY)}", "code": "{escaped(KEY)}"}}}}'.encode(), 400),
    "escapes, cut": lambda _: Reply(f'{{"error": {{"message": "{"x" * 290}{escaped(KEY)}"}}}}'.encode(), 500),
    "no JSON": lambda _: Reply(f"<html>{KEY}</html>".encode(), 502),
    "no completion": lambda _: Reply({"echo": KEY}),
    "an error sent as an answer": lambda _: Reply({"error": {"message": KEY, "code": 401}}),
    "a redirection": lambda _: Reply({}, 307, {"location": f"http://127.0.0.1:9/?key={KEY}"}),
    "a limit": lambda _: Reply(error(f"slow down, {KEY}"), 429, {"retry-after": "0"}),
    "no money": lambda _: Reply(error(f"insufficient_quota for {KEY}"), 402),
    "no model": lambda _: Reply(error(f"no model for {KEY}"), 404),
}


@pytest.mark.parametrize("what", ECHOES)
def test_what_a_failing_server_quotes(what: str) -> None:
    said: list[str] = []
    with FakeServer(ECHOES[what], models=(f"model-of-{KEY}",)) as server:
        chosen = options(server.url, api_key_env="PLANTED_KEY", retries=1)
        rows, found = until_error([request(number) for number in range(3)], chosen, said.append)
        assert server.calls
        assert server.calls[0].headers["authorization"] == f"Bearer {KEY}"
    shown = [*said, str(found), repr(rows), "".join(traceback.format_exception(found))]
    assert not any(part in text for text in shown for part in (KEY, QUOTED, KEY[:12]))


def test_what_an_answer_quotes() -> None:
    replies = {
        "content": lambda call: completion(call, f"The key is {KEY}."),
        "reasoning": lambda call: completion(call, "7", reasoning_content=f"<{KEY}>"),
        "refusal": lambda call: completion(call, "", refusal=f"no, {KEY}"),
        "finish": lambda call: completion(call, "7", finish_reason=KEY),
    }
    for reply in replies.values():
        with FakeServer(lambda call, reply=reply: Reply(reply(call))) as server:
            chosen = options(server.url, api_key_env="PLANTED_KEY")
            try:
                told = repr(list(complete([request(1)], chosen, say=lambda _: None)))
            except StageError as found:  # no text at all from the one problem asked
                told = "".join(traceback.format_exception(found))
            assert "***" in told
            assert KEY not in told


def test_without_key() -> None:
    assert without_key(f"a {KEY} b {QUOTED}", KEY) == "a *** b ***"
    assert without_key("nothing", None) == "nothing"


def test_prompts_do_not_follow_a_redirection() -> None:
    """To another address nothing is sent: no prompt, and no key."""
    with (
        FakeServer() as other,
        FakeServer(lambda _: Reply({}, 308, {"location": f"{other.url}/chat/completions"})) as server,
    ):
        chosen = options(server.url, api_key_env="PLANTED_KEY")
        with pytest.raises(StageError, match=f"sends its callers to another address .308: {other.url}"):
            list(complete([request(1)], chosen, say=lambda _: None))
        assert not other.calls


def test_nothing_that_a_failed_run_leaves_holds_the_key(tmp_path: Path, tiny_folder: Path) -> None:
    """Workspace, cache, what is printed and logged by talkative libraries, and what looks at the run later."""
    workspace, printed = tmp_path / "workspace", []
    loud = {"PLANTED_KEY": KEY, "OPENAI_LOG": "debug", "TMPDIR": str(tmp_path / "temporary")}
    (tmp_path / "temporary").mkdir()
    with FakeServer(ECHOES["an error"]) as server:
        file = recipe(tmp_path, server.url)
        file.write_text(file.read_text().replace('"org/model"', json.dumps(str(tiny_folder))))
        done = distill("run", file, workspace=workspace, env=loud)
        assert done.returncode == 1, done.stderr
        assert server.calls
        assert "refuses the key in PLANTED_KEY: 401" in done.stderr
        printed.append(without_traceback(done))
    arms = load_arms(file)
    printed += [view.as_text(view.estimates(arms, workspace), view.sent(arms)), locks.text(arms)]
    printed.append(json.dumps(listing.details(runs.find(workspace, "latest"))))
    assert "prompts go there, and the key in PLANTED_KEY." in printed[1]
    log = next(workspace.rglob("out.log")).read_bytes()
    assert b"openai._base_client" in log, "the library's log is among what is searched"
    left = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".safetensors"]
    assert {"events.jsonl", "lock.json", "resolved.yaml", "recipe.yaml", "out.log"} <= {path.name for path in left}
    for path in left:
        assert KEY.encode() not in path.read_bytes(), path
    assert not any(KEY in text for text in printed)


def test_doctor_does_not_show_the_environment(tmp_path: Path) -> None:
    found = doctor.examine(tmp_path)
    assert KEY not in json.dumps(found) + doctor.as_text(found)


def test_a_plan_says_where_prompts_and_keys_go(tmp_path: Path) -> None:
    judge = (
        "quality: {scorer: judge, teacher: {name: j, backend: openai, model: m, base_url: 'https://judge.example/v1'}}"
    )
    file = recipe(tmp_path, "http://pool.example:8000/v1")
    file.write_text(file.read_text() + judge + "\nmatrix: {seed: [1, 2]}\n")
    leaving = view.sent(load_arms(file))
    assert [(one.teacher, one.host, one.key_variable) for one in leaving] == [
        ("api", "pool.example:8000", "PLANTED_KEY"),
        ("j", "judge.example", None),
    ]
    assert view.as_json([], leaving)["sent"][0] == {
        "teacher": "api", "host": "pool.example:8000", "key_variable": "PLANTED_KEY",
    }  # fmt: skip
