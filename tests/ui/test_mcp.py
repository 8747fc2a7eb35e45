"""A client of the Model Context Protocol calls the endpoints of `distill-app ui --mcp`."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import pytest

from distill_app.errors import UsageError
from distill_app.ui import guard
from tests.recipes import distill, small
from tests.ui.conftest import launched

T = TypeVar("T")
LACK = guard.lack_of_mcp()


async def asked(url: str, calls: list[tuple[str, dict[str, Any]]]) -> tuple[set[str], list[Any]]:
    """The names of the server's tools, and what each call answers (Gradio writes values as Python does)."""
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    async with (
        streamable_http_client(f"{url}/gradio_api/mcp/") as (reading, writing, _),
        ClientSession(reading, writing) as session,
    ):
        await session.initialize()
        names = {tool.name for tool in (await session.list_tools()).tools}
        return names, [await session.call_tool(name, values) for name, values in calls]


def in_a_thread(work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns. Where tests of the browser ran before, this thread has a loop of playwright's."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


@pytest.mark.skipif(LACK is not None, reason=f"it needs {LACK}: the extra mcp")
def test_a_client_validates_a_recipe(tmp_path: Path) -> None:
    text = small(tmp_path, "builtin:smollm2-135m-instruct").read_text()
    with launched(tmp_path / "workspace", "--mcp") as app:
        names, (good, wrong) = in_a_thread(
            asked(
                app.url,
                [("validate", {"recipe": given, "sets": []}) for given in (text, text.replace("epochs", "epoch"))],
            )
        )
    assert {name.rpartition("_")[2] for name in names} >= {"validate", "plan", "start", "stop", "runs", "leaderboard"}
    assert not good.isError
    assert ast.literal_eval(good.content[0].text) == []
    (problem,) = ast.literal_eval(wrong.content[0].text)
    assert problem["suggestion"] == "Did you mean `epochs`?"


def test_a_version_that_gradio_cannot_use_is_refused(tmp_path: Path) -> None:
    found = tmp_path / "mcp-2.3.0.dist-info"  # first on the path, before what is installed
    found.mkdir()
    (found / "METADATA").write_text("Metadata-Version: 2.1\nName: mcp\nVersion: 2.3.0\n")
    refused = distill("ui", "--mcp", workspace=tmp_path / "workspace", env={"PYTHONPATH": str(tmp_path)})
    assert refused.returncode == 2
    assert "2.3.0 is installed" in refused.stderr
    assert "pip install 'distill-app[mcp]'" in refused.stderr


def test_without_the_package_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    real = metadata.version

    def version(name: str) -> str:
        if name == "mcp":
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(metadata, "version", version)
    with pytest.raises(UsageError, match="not installed") as refused:
        guard.check("127.0.0.1", network=False, password_env=None, mcp=True)
    assert "pip install 'distill-app[mcp]'" in refused.value.hint
