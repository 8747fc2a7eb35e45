"""The guard: requests from elsewhere are refused, every answer carries the headers, and a network needs a password."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from distill_app.errors import UsageError
from distill_app.ui.guard import Guard, is_loopback
from tests.recipes import distill, without_traceback
from tests.ui.conftest import App


async def _nothing(*_: Any) -> None:
    raise AssertionError("never called here")


LOCAL = Guard(_nothing)
OPEN = Guard(_nothing, ["localhost", "box.example"], addresses=True)


@pytest.mark.parametrize(
    ("method", "headers", "refused"),
    [
        ("GET", {"host": "127.0.0.1:7860"}, None),
        ("GET", {"host": "LOCALHOST"}, None),
        ("GET", {"host": "[::1]:7860"}, None),
        ("GET", {"host": "evil.example"}, "is not called 'evil.example'"),
        ("GET", {"host": "127.0.0.1.evil.example"}, "is not called"),
        ("GET", {"host": "10.0.0.5:7860"}, "is not called"),
        ("GET", {"host": "[::1"}, "is not called"),
        ("GET", {}, "is not called"),
        ("POST", {"host": "localhost:7860"}, None),
        ("POST", {"host": "localhost:7860", "origin": "http://localhost:7860"}, None),
        ("POST", {"host": "localhost:7860", "origin": "http://localhost:3000"}, "another site"),
        ("POST", {"host": "localhost:7860", "origin": "https://evil.example"}, "another site"),
        ("POST", {"host": "localhost:7860", "origin": "null"}, "another site"),
        ("GET", {"host": "localhost:7860", "origin": "https://evil.example"}, "another site"),
        ("POST", {"host": "localhost:7860", "sec-fetch-site": "cross-site"}, "another site"),
        ("POST", {"host": "localhost:7860", "sec-fetch-site": "same-site"}, "another site"),
        ("POST", {"host": "localhost:7860", "sec-fetch-site": "same-origin"}, None),
        ("GET", {"host": "localhost:7860", "sec-fetch-site": "cross-site"}, None),  # a link followed to the page
    ],
)
def test_hosts_and_origins(method: str, headers: dict[str, str], refused: str | None) -> None:
    why = LOCAL.refusal(method, headers)
    assert (why is None) if refused is None else (why is not None and refused in why)


def test_a_server_for_others_takes_addresses_and_its_own_names() -> None:
    assert OPEN.refusal("GET", {"host": "10.0.0.5:7860"}) is None
    assert OPEN.refusal("GET", {"host": "box.example"}) is None
    assert OPEN.refusal("GET", {"host": "evil.example"}) is not None
    assert [is_loopback(host) for host in ("127.0.0.1", "127.0.0.9", "::1", "localhost", "0.0.0.0", "box.example")] == [
        True, True, True, True, False, False,
    ]  # fmt: skip


def _ask(app: App, path: str, body: bytes | None = None, **headers: str) -> tuple[int, dict[str, str], str]:
    request = urllib.request.Request(
        f"{app.url}{path}", data=body, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read().decode()


def test_the_app_is_behind_it(app: App) -> None:
    status, headers, _ = _ask(app, "/runs")
    assert status == 200
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert (headers["x-frame-options"], headers["x-content-type-options"]) == ("DENY", "nosniff")
    assert headers["referrer-policy"] == "no-referrer"
    assert _ask(app, "/config", Host="evil.example")[0] == 403
    assert _ask(app, "/config", Origin="http://localhost:3000")[0] == 403
    upload = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.yaml"\r\n\r\nhi\r\n--x--\r\n'
    form = {"Content_Type": "multipart/form-data; boundary=x"}
    status, headers, _ = _ask(app, "/gradio_api/upload", upload, Origin="https://evil.example", **form)
    assert status == 403
    assert "content-security-policy" in headers
    assert _ask(app, "/gradio_api/upload", upload, **form)[0] == 200
    large = upload.replace(b"hi", b"x" * 3_000_000)
    assert _ask(app, "/gradio_api/upload", large, **form)[0] == 413
    assert _ask(app, "/monitoring")[0] in (403, 404)
    assert _ask(app, "/openapi.json")[0] == 404


def test_pages_begin_with_our_script_and_assets_are_kept(app: App) -> None:
    """Gradio's modules keep the function for frames that they find: one page with the script after them is lost."""
    for path in ("/", "/runs", "/results", "/inspect"):
        _, headers, page = _ask(app, path)
        assert 0 < page.index("setTimeout(() => call(performance.now()), 500)") < page.index('<script type="module"')
        assert int(headers["content-length"]) == len(page.encode())
    asset = page.split('type="module" crossorigin src=".', 1)[1].split('"')[0]
    _, headers, script = _ask(app, asset, Accept_Encoding="br, gzip")
    assert (headers["cache-control"], headers["content-encoding"]) == (
        "public, max-age=31536000, immutable",
        "identity",
    )
    assert int(headers["content-length"]) == len(script.encode())
    assert "cache-control" not in _ask(app, "/assets/none.js")[1]
    assert "call(performance.now())" not in _ask(app, "/config")[2]


def test_ten_tabs_can_be_open_and_nothing_reports_home(app: App) -> None:
    config = json.loads(_ask(app, "/config")[2])
    assert config["connect_heartbeat"] is False  # or the sixth tab of a browser would never load
    assert config["analytics_enabled"] is False


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--host", "0.0.0.0"], "add --network and --password-env NAME"),
        (["--host", "0.0.0.0", "--network"], "a password is needed"),
        (["--host", "0.0.0.0", "--network", "--password-env", "UNSET_HERE"], "UNSET_HERE, which holds nothing"),
        (["--mcp", "--password-env", "PASSWORD_HERE"], "the two do not go together"),
    ],
)
def test_refused_before_it_listens(tmp_path: Path, arguments: list[str], said: str) -> None:
    done = distill("ui", *arguments, workspace=tmp_path / "workspace", env={"PASSWORD_HERE": "pass"})
    assert done.returncode == UsageError.exit_code
    assert said in without_traceback(done)
