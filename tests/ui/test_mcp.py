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

from distill_app.ui import guard
from tests.recipes import distill, small
from tests.ui.conftest import launched

T = TypeVar("T")
try:
    INSTALLED: str | None = metadata.version("mcp")
except metadata.PackageNotFoundError:
    INSTALLED = None
USABLE = INSTALLED is not None and INSTALLED.partition(".")[0] == guard.MCP_SERIES


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


@pytest.mark.skipif(not USABLE, reason="the package mcp 1 is not installed: the extra mcp")
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


@pytest.mark.parametrize("version", ["2.3.0", None])
def test_without_the_package_it_says_so(tmp_path: Path, version: str | None) -> None:
    if version is None and INSTALLED is not None:
        pytest.skip("the package mcp is installed")
    found = tmp_path / f"mcp-{version}.dist-info"
    if version is not None:  # first on the path, before what is installed
        found.mkdir()
        (found / "METADATA").write_text(f"Metadata-Version: 2.1\nName: mcp\nVersion: {version}\n")
    refused = distill("ui", "--mcp", workspace=tmp_path / "workspace", env={"PYTHONPATH": str(tmp_path)})
    assert refused.returncode == 2
    assert (version or "not installed") in refused.stderr
    assert "pip install 'distill-app[mcp]'" in refused.stderr
