"""What can go wrong between the openai teacher and a server, each with the message a person gets."""

from __future__ import annotations

import logging
import time
import traceback
from collections import Counter
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest

from distill_app.errors import StageError
from distill_app.records import Completion
from distill_app.teachers import _openai_asking, _openai_pace
from distill_app.teachers._openai_ledger import dollars
from distill_app.teachers._openai_pace import duration, pause_asked, used_up
from distill_app.teachers.openai import Options, Prices, check, complete, lacking
from tests.teachers.fake_server import Call, FakeServer, Reply, completion, error, good
from tests.teachers.killable_openai import ask, hasten, options, request, some, until_error

KEY = "sk-planted-secret-0123456789"
KEPT = "Finished rows are kept; issue the command again to go on."


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    hasten(monkeypatch.setattr)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def _index(call: Call) -> int:
    return int(call.prompt.split()[1])


def _answered(rows: dict[str, Completion]) -> set[str]:
    return {id_ for id_, row in rows.items() if row.finish_reason == "stop"}


def _first_calls(count: int, reply: Callable[[Call], Reply]) -> Callable[[Call], Reply]:
    """A script in which each prompt gets `reply` for its first `count` calls and a good answer then."""
    seen: Counter[str] = Counter()

    def script(call: Call) -> Reply:
        seen[call.prompt] += 1
        return reply(call) if seen[call.prompt] <= count else good(call)

    return script


def test_a_server_that_is_down() -> None:
    with FakeServer() as server:
        pass
    said: list[str] = []
    rows, found = until_error(some(30), options(server.url, retries=3), said.append)
    assert rows == {}
    assert found.message.startswith(f"The server at {server.url} cannot be reached: no connection (")
    assert found.message.endswith("3 attempts.")
    assert found.hint == f"Check that it runs, and its host and port. {KEPT}"
    assert sum("trying again (attempt 2 of 3)" in sentence for sentence in said) == 1


def test_a_key_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeServer() as server:
        chosen = options(server.url, api_key_env="PLANTED_KEY")
        for value in (None, "", " \n"):
            if value is not None:
                monkeypatch.setenv("PLANTED_KEY", value)
            _, found = until_error(some(3), chosen)
            assert found.message == (
                f"The environment variable PLANTED_KEY, which is to hold the key of {server.url}, is not set."
            )
            assert found.hint.startswith("Run `export PLANTED_KEY=...` first")
            assert [(trouble.key, trouble.message) for trouble in lacking(chosen)] == [("api_key_env", found.message)]
        monkeypatch.setenv("PLANTED_KEY", "sk-schlüssel")
        _, found = until_error(some(3), chosen)
        assert found.message.startswith("The environment variable PLANTED_KEY does not hold a key")
        assert "schl" not in str(found)
        monkeypatch.setenv("PLANTED_KEY", f"{KEY}\n")
        assert lacking(chosen) == []
        assert len(ask(some(3), chosen)) == 3
        assert {call.headers["authorization"] for call in server.calls} == {f"Bearer {KEY}"}


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_refused_is_not_tried_again(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_KEY", KEY)
    with FakeServer(
        lambda _: Reply(error(f"Incorrect API key provided: {KEY}.", code="invalid_api_key"), status)
    ) as server:
        _, found = until_error(some(50), options(server.url, api_key_env="PLANTED_KEY", concurrency=4))
        assert server.counts.calls <= 4
        assert found.message == (
            f"{server.url} refuses the key in PLANTED_KEY: {status}, invalid_api_key: Incorrect API key provided: ***."
        )
        _, found = until_error(some(5), options(server.url))
        assert "refuses no key (api_key_env is null)" in found.message


def test_an_account_without_credit_is_not_tried_again() -> None:
    broke = Reply(error("You exceeded your current quota.", code="insufficient_quota"), 429)
    for reply in (broke, Reply(error("Insufficient Balance"), 402)):
        with FakeServer(lambda _, reply=reply: reply) as server:
            _, found = until_error(some(50), options(server.url, concurrency=4))
            assert server.counts.calls <= 4
        assert found.message.startswith(f"{server.url} has no credit left for no key")


def test_a_model_that_the_server_does_not_know() -> None:
    lost = Reply(error("The model `tiny-techer` does not exist."), 404)
    with FakeServer(lambda _: lost) as server:
        _, found = until_error(some(5), options(server.url, model="tiny-techer"))
    assert found.message == (
        f"{server.url} does not know the model tiny-techer: The model `tiny-techer` does not exist."
    )
    assert found.hint == "Did you mean tiny-teacher? It lists tiny-teacher, tiny-teacher-large, other."


def test_a_model_that_the_server_lists_for_something_else() -> None:
    with FakeServer(lambda _: Reply(error("This is not a chat model."), 404)) as server:
        _, found = until_error(some(5), options(server.url))
    assert found.message == (
        f"{server.url} lists the model tiny-teacher, and has no chat completions of it: 404, This is not a chat model."
    )


def test_an_address_without_its_path() -> None:
    with FakeServer(models=None) as server:
        address = server.url.removesuffix("/v1")
        _, found = until_error(some(5), options(address))
    assert found.message == f"{address} has no chat completions: 404, Not Found"
    assert found.hint == "base_url is what comes before /chat/completions; for most servers it ends in /v1."


TOO_LONG = error("This model's maximum context length is 2048 tokens. Shorten it.", code="context_length_exceeded")


def test_prompts_that_are_too_long_do_not_stop_the_others() -> None:
    """Thirty in a row, from the first row on: noted with the server's words once another row is answered."""

    def script(call: Call) -> Reply:
        return Reply(TOO_LONG, 400) if 5 <= _index(call) < 35 or _index(call) in (0, 49) else good(call)

    with FakeServer(script) as server:
        rows = ask(some(50), options(server.url))
        assert server.counts.calls == 50
    missing = {id_ for id_, row in rows.items() if row.finish_reason == "missing"}
    assert missing == {f"p{index}/0" for index in (0, 49, *range(5, 35))}
    assert rows["p7/0"].note == (
        "refused by the server: 400, context_length_exceeded: This model's maximum context length is 2048 tokens. "
        "Shorten it."
    )


def test_many_prompts_that_are_too_long_do_not_stop_the_others() -> None:
    with FakeServer(lambda call: good(call) if _index(call) % 4 == 0 else Reply(TOO_LONG, 400)) as server:
        rows = ask(some(400), options(server.url))
    assert len(rows) == 400
    assert len(_answered(rows)) == 100


def test_a_server_that_refuses_everything_stops_soon_and_leaves_no_row() -> None:
    with FakeServer(lambda _: Reply(error("Unsupported parameter: 'max_tokens'."), 400)) as server:
        rows, found = until_error(some(5000), options(server.url, concurrency=4))
        assert rows == {}
        assert 20 <= server.counts.calls < 20 + 4
        assert found.message.startswith(f"tiny-teacher at {server.url} gave no text for 2")
        assert (
            "in a row, the last one: refused by the server: 400, Unsupported parameter: 'max_tokens'." in found.message
        )
        rows, found = until_error(some(3), options(server.url))
        assert rows == {}
        assert "gave no text for 3 problems" in found.message
        # All but the refused rows are there from an earlier attempt: these are refused for themselves.
        assert len(ask(some(3), options(server.url), done=frozenset({"p0/0"}))) == 2


def test_a_server_that_begins_to_refuse_everything_keeps_what_was_answered() -> None:
    with FakeServer(lambda call: good(call) if _index(call) < 30 else Reply(error("No."), 400)) as server:
        rows, found = until_error(some(5000), options(server.url, concurrency=4))
    assert _answered(rows) == {f"p{index}/0" for index in range(30)}
    assert len(rows) < 30 + 4
    assert "for 2" in found.message


def test_a_server_started_again_with_less_context_does_not_empty_the_pool() -> None:
    with FakeServer(lambda call: good(call) if _index(call) < 10 else Reply(TOO_LONG, 400)) as server:
        rows, found = until_error(some(5000), options(server.url, concurrency=4))
        assert _answered(rows) == {f"p{index}/0" for index in range(10)}
        assert len(rows) < 10 + 4  # a refusal may overtake the last answers, and those speak for the server
        assert 10 + 200 <= server.counts.calls < 10 + 208
    assert "gave no text for 20" in found.message


def test_a_model_that_says_nothing_stops_soon() -> None:
    with FakeServer(lambda call: Reply(completion(call, ""))) as server:
        rows, found = until_error(some(5000), options(server.url, concurrency=4))
    assert {row.note for row in rows.values()} == {"empty answer"}
    assert 20 <= len(rows) < 20 + 4
    assert "in a row, the last one: empty answer" in found.message


def test_many_samples_of_one_refused_problem_are_one_problem() -> None:
    asked = [request(0, id=f"p0/{sample}", sample=sample) for sample in range(60)]
    with FakeServer(lambda call: Reply(TOO_LONG, 400) if _index(call) == 0 else good(call)) as server:
        rows = ask([*asked, *some(9)[1:]], options(server.url))
    assert sum(row.finish_reason == "missing" for row in rows.values()) == 60


def test_one_rate_limit_makes_everyone_wait() -> None:
    """No request is sent between the refusal and the end of its pause, but those that were under way."""
    limit = Reply(error("Rate limit reached for requests per minute: 500."), 429, {"retry-after-ms": "600"})
    with FakeServer(lambda call: limit if call.number == 5 else good(call), latency=0.005) as server:
        assert len(ask(some(60), options(server.url, concurrency=4))) == 60
        refused = server.calls[4].at
        within = [call for call in server.calls if refused < call.at < refused + 0.6]
    assert len(server.calls) == 61
    assert len(within) <= 3


def test_a_limit_that_is_used_up_is_waited_for_before_it_is_met() -> None:
    reset = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "400ms"}
    with FakeServer(lambda call: Reply(completion(call), headers=reset if call.number == 1 else {})) as server:
        ask(some(3), options(server.url, concurrency=1))
    assert server.calls[1].at - server.calls[0].at >= 0.4


def test_a_storm_of_refusals_is_lived_through_while_anything_is_answered() -> None:
    """Two answers in 60 ms, eight workers, three pauses at most without an answer: nobody gives up."""
    window: list[float] = []

    def script(call: Call) -> Reply:
        window[:] = [at for at in window if at > call.at - 0.06]
        if len(window) >= 2:
            return Reply(error("Slow down."), 429, {"retry-after-ms": "60"})
        window.append(call.at)
        return good(call)

    with FakeServer(script) as server:
        rows = ask(some(24), options(server.url, concurrency=8, retries=3))
    assert len(rows) == 24
    assert server.counts.calls > 24


def test_a_limit_that_never_ends_is_named() -> None:
    with FakeServer(lambda _: Reply(error("Limit: 3 requests per minute."), 429)) as server:
        rows, found = until_error(some(40), options(server.url, concurrency=8, retries=4))
        assert server.counts.calls <= 4 * 8
    assert rows == {}
    assert found.message == (
        f"{server.url} limits the rate and answered nothing between 4 pauses: 429, Limit: 3 requests per minute."
    )
    assert found.hint == f"Lower concurrency (8 now), raise retries, or wait. {KEPT}"


def test_a_pause_of_hours_is_not_waited_for() -> None:
    with FakeServer(lambda _: Reply(error("Daily limit."), 429, {"retry-after": "7200"})) as server:
        _, found = until_error(some(40), options(server.url))
    assert found.message == f"{server.url} asks to wait 120 minutes before the next request: 429, Daily limit."


HICCUPS: dict[str, Callable[[Call], Reply]] = {
    "a 500": lambda _: Reply(error("Internal."), 500),
    "a 503 with a pause": lambda _: Reply(b"<html>busy</html>", 503, {"retry-after-ms": "50"}),
    "garbage": lambda _: Reply(b"<html>hello</html>"),
    "half an answer": lambda _: Reply(b'{"choices": [{"mess'),
    "no choices": lambda _: Reply({"choices": []}),
    "an error that says 200": lambda _: Reply({"error": {"message": "upstream", "code": 502}}),
    "hung up before the answer": lambda call: Reply(completion(call), cut=0),
    "hung up within the answer": lambda call: Reply(completion(call), cut=150),
}


@pytest.mark.parametrize("kind", HICCUPS)
def test_a_hiccup_is_tried_again(kind: str) -> None:
    with FakeServer(_first_calls(2, HICCUPS[kind])) as server:
        rows = ask(some(12), options(server.url, retries=3, concurrency=12))
        assert server.counts.calls == 3 * 12
    assert {row.finish_reason for row in rows.values()} == {"stop"}


NAMED = {
    "a 500": "500, Internal.",
    "garbage": "the answer is no chat completion (no JSON object: '<html>hello</html>')",
    "no choices": "the answer is no chat completion (no choices: ",
    "hung up within the answer": "the connection broke off (",
}


@pytest.mark.parametrize("kind", NAMED)
def test_a_server_that_goes_on_failing_is_named(kind: str) -> None:
    with FakeServer(HICCUPS[kind]) as server:
        rows, found = until_error(some(12), options(server.url, retries=2))
    assert rows == {}
    assert found.message.startswith(f"{server.url} failed 2 times in a row: {NAMED[kind]}")
    assert found.hint == f"Look at the server's own log. {KEPT}"


def test_an_answer_that_takes_too_long() -> None:
    with FakeServer(_first_calls(1, lambda call: Reply(completion(call), delay=60))) as server:
        rows = ask(some(4), options(server.url, timeout_seconds=0.3))
        assert len(rows) == 4
        assert server.counts.gone == 4
    with FakeServer(lambda call: Reply(completion(call), delay=60)) as server:
        _, found = until_error(some(4), options(server.url, timeout_seconds=0.2, retries=2))
    assert found.message == f"{server.url} failed 2 times in a row: no answer within 0.2 seconds"
    assert found.hint == f"Raise timeout_seconds, or lower max_tokens or concurrency. {KEPT}"


def test_a_row_that_fails_beside_others_that_do_not_is_its_own_fault() -> None:
    with FakeServer(
        lambda call: Reply(error("Crash."), 500) if _index(call) == 3 else good(call), latency=0.01
    ) as server:
        rows = ask(some(60), options(server.url, retries=3, concurrency=2))
    assert rows["p3/0"].finish_reason == "missing"
    assert rows["p3/0"].note == "failed 3 times: 500, Crash."
    assert sum(row.finish_reason == "stop" for row in rows.values()) == 59


def test_a_server_that_dies_for_good_takes_no_row_with_it() -> None:
    """Rows under way at its end are not theirs to blame, though others were answered after they were sent."""
    with FakeServer(lambda call: good(call) if call.number <= 40 else Reply(good(call).body, cut=0)) as server:
        rows, found = until_error(
            some(60),
            options(server.url, retries=3),
        )
    assert len(rows) == 40
    assert {row.finish_reason for row in rows.values()} == {"stop"}
    assert "failed 3 times in a row: the connection broke off" in found.message


def test_what_is_under_way_when_the_stage_ends_is_waited_for() -> None:
    """Three slow answers, then a refused key: all three are handed on, and nothing more is sent."""
    slow = lambda call: Reply(completion(call), delay=0.5) if _index(call) < 3 else Reply(error("No."), 401)  # noqa: E731
    with FakeServer(slow) as server:
        rows, found = until_error(some(100), options(server.url, concurrency=4))
        assert server.counts.calls == 4
    assert set(rows) == {"p0/0", "p1/0", "p2/0"}
    assert "401" in found.message


def test_the_key_is_nowhere(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A server that quotes the key wherever it can."""
    monkeypatch.setenv("PLANTED_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    replies: tuple[Callable[[Call], Reply], ...] = (
        lambda _: Reply(error(f"bad key {KEY}"), 401),
        lambda _: Reply(error(f"bad request {KEY}"), 400),
        lambda _: Reply(error(f"limit of {KEY}"), 429),
        lambda _: Reply(error(f"broken {KEY}"), 500),
        lambda _: Reply(error(f"no model for {KEY}"), 404),
        lambda _: Reply(error(f"no money for {KEY}"), 402),
        lambda _: Reply(f"garbage {KEY}".encode()),
        lambda _: Reply(f"{'x' * 70} {KEY}".encode()),  # where the quotation is cut
        lambda _: Reply(error(f"{'x' * 290} {KEY}"), 401),
        lambda _: Reply({"error": f"garbage {KEY}"}),
        lambda call: Reply(completion(call), cut=0),
    )
    said: list[str] = []
    for reply in replies:
        with FakeServer(reply) as server:
            _, found = until_error(some(30), options(server.url, api_key_env="PLANTED_KEY", retries=2), said.append)
            said += [repr(found), str(found), *traceback.format_exception(found)]
    with FakeServer(lambda call: Reply(error(f"too long {KEY}"), 400) if _index(call) == 1 else good(call)) as server:
        chosen = options(server.url, api_key_env="PLANTED_KEY")
        rows = ask(some(9), chosen, said.append)
    assert rows["p1/0"].note == "refused by the server: 400, too long ***"
    said += [repr(rows), repr(chosen), caplog.text]
    assert "***" in "".join(said)
    assert KEY[:6] not in "".join(said)


def test_keys_of_other_servers_do_not_go_to_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, KEY)
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"Authorization: Bearer {KEY}")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    with FakeServer() as server:
        assert len(ask(some(2), options(server.url))) == 2
        assert KEY not in repr(server.calls)


@pytest.mark.parametrize(
    ("changed", "key", "start"),
    [
        ({"base_url": "http://me:secret@host/v1"}, "base_url", "there is a user name or password in the address"),
        ({"base_url": "localhost:8000/v1"}, "base_url", "'localhost:8000/v1' is not the address of a server."),
        ({"base_url": "ftp://host/v1"}, "base_url", "'ftp://host/v1' is not"),
        ({"base_url": "https:///v1"}, "base_url", "'https:///v1' is not"),
        ({"base_url": "https://host:99999/v1"}, "base_url", "'https://host:99999/v1' is not"),
        ({"base_url": "https://host/v1?api=1"}, "base_url", "'https://host/v1?api=1' is not"),
        ({"base_url": "https://host/v1/chat/completions"}, "base_url", "the address names one call"),
        ({"max_cost": 3.0}, "max_cost", "without prices nothing can be held under max_cost."),
        ({"extra": {"seed": 3}}, "extra.seed", "seed is set by an option of its own."),
        ({"extra": {"n": 3}}, "extra.n", "with n the answers could not be read one by one."),
    ],
)
def test_options_that_cannot_work(changed: dict[str, Any], key: str, start: str) -> None:
    chosen = options(**({"url": "http://127.0.0.1:9/v1"} | changed)) if "base_url" not in changed else options(
        changed["base_url"]
    )  # fmt: skip
    (trouble,) = check(chosen)
    assert trouble.key == key
    assert trouble.message.startswith(start)
    assert "secret" not in repr(trouble)
    with pytest.raises(StageError, match="^" + key.replace(".", r"\.")):
        list(complete(some(1), chosen, say=print))


def test_options_that_can_work() -> None:
    for url in ("http://localhost:8000/v1", "https://api.openai.com/v1/", "http://[::1]:8000"):
        assert check(options(url, prices=Prices(input=1.0, output=0.0), max_cost=3.0)) == []
    (trouble,) = check(options("https://host/v1/chat/completions"))
    assert trouble.hint == "Write https://host/v1."


def test_durations() -> None:
    assert [duration(text) for text in ("20ms", "1s", "6m0s", "1h2m3.5s", "1d", "7", "0.25")] == [
        0.02, 1.0, 360.0, 3723.5, 86400.0, 7.0, 0.25,
    ]  # fmt: skip
    assert [duration(text) for text in ("", "soon", "-3", "nan", "1e9")] == [None] * 5
    now = time.time()
    assert duration(str(int(now) + 100)) == pytest.approx(100, abs=5)
    assert duration(str(int((now + 100) * 1000))) == pytest.approx(100, abs=5)
    assert duration(str(int(now) - 100)) == 0


def test_what_headers_ask_for() -> None:
    assert pause_asked({}) is None
    assert pause_asked({"retry-after": "3", "retry-after-ms": "250"}) == 0.25
    assert pause_asked({"retry-after": "3"}) == 3
    assert pause_asked({"retry-after": formatdate(time.time() + 100, usegmt=True)}) == pytest.approx(100, abs=5)
    limits = {
        "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "2s",
        "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s",
    }  # fmt: skip
    assert pause_asked({"retry-after": "soon", **limits}) == 360
    assert used_up(limits) == 360
    assert used_up(limits | {"x-ratelimit-remaining-tokens": "17"}) == 2
    assert used_up({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "5"}) == 5
    assert used_up({"x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": "2s"}) is None


def test_back_off_grows_to_its_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_openai_pace, "FIRST_WAIT_SECONDS", 0.5)
    monkeypatch.setattr(_openai_pace, "LONGEST_WAIT_SECONDS", 60.0)
    pace = _openai_pace.Pace(print)
    for attempt, most in ((1, 0.5), (2, 1.0), (5, 8.0), (8, 60.0), (500, 60.0)):
        drawn = [pace._back_off_seconds(attempt) for _ in range(200)]
        assert most / 2 <= min(drawn) < max(drawn) <= most
        assert max(drawn) - min(drawn) > most / 4


def test_sums_of_money() -> None:
    amounts = (0, 3.124, 1234.5, 0.1, 0.0312, 0.00123, 0.00000123)
    assert [dollars(amount) for amount in amounts] == [
        "0.00", "3.12", "1,234.50", "0.10", "0.031", "0.0012", "0.000001",
    ]  # fmt: skip
    assert _openai_asking.IN_A_ROW == 20
    assert Options.__dataclass_params__.frozen  # type: ignore[attr-defined]
