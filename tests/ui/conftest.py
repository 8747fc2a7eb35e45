"""What the tests of the page share: the app in a process of its own on a free port, and a browser that watches it.

A test of the browser asks for `app` (one app a file, its workspace empty at first) or calls `launch` for an app of
its own, and for `page` or, for a phone or the dark, `new_page(width=390, dark=True)`. After each test the page must
have asked nobody but the app for anything, and must have reported no error and no breach of the content policy. Where
chromium or playwright is absent, these tests are skipped and say so; everything else needs neither.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from tests.recipes import ROOT, environment

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PATIENCE_SECONDS = 120
"""How long a test waits for what must come; the machine may be busy with other work."""
CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
TOLERATED = ("Failed to load resource", "Connection to the server", "ERR_CONNECTION_REFUSED", "AbortError")
"""Of the browser's complaints, those that a server being restarted causes, and Gradio's own stream being cut off when a
page is left for another; what was asked of other hosts is seen anyway."""


@dataclass
class App:
    """`distill-app ui` in a process of its own."""

    workspace: Path
    port: int
    arguments: tuple[str, ...] = ()
    more: dict[str, str] | None = None
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.workspace.with_name(f"{self.workspace.name}-ui.log")

    def start(self) -> None:
        """Start the server and wait until it answers."""
        command = [sys.executable, "-m", "distill_app.cli", "ui", "--port", str(self.port), *self.arguments]
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment(self.workspace, **(self.more or {})),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        until = time.monotonic() + PATIENCE_SECONDS
        while not _answers(f"{self.url}/config"):
            if self.process.poll() is not None or time.monotonic() > until:
                pytest.fail(f"distill-app ui did not come up:\n{self.log.read_text()}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End the server as Ctrl-C does. The runs it started go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def restart(self) -> None:
        """Another server in the same place, as after a crash or an upgrade."""
        self.stop()
        self.start()


Launch = Callable[..., App]


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10):
            return True
    except urllib.error.HTTPError as error:
        return error.code == 401  # up, and asking for the password
    except OSError:
        return False


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def launched(workspace: Path, *arguments: str, **more: str) -> Iterator[App]:
    """The app on `workspace`, up; ended afterwards, with every run it started.

    `more` goes into its environment.
    """
    app = App(workspace, free_port(), arguments, {"GRADIO_TEMP_DIR": str(workspace.parent / "gradio"), **more})
    app.start()
    try:
        yield app
    finally:
        end_jobs(workspace)
        app.stop()


def end_jobs(workspace: Path) -> None:
    """Stop whatever of a workspace still runs or waits."""
    from distill_app.ui import jobs

    going = [job for job in jobs.all_jobs(workspace) if job.state() in ("waiting", "running")]
    for job in reversed(going):
        jobs.stop(job)
    until = time.monotonic() + 30
    while any(job.state() in ("waiting", "running") for job in going) and time.monotonic() < until:
        time.sleep(0.1)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """One app for a file of tests, its workspace empty at first."""
    with launched(tmp_path_factory.mktemp("ui") / "workspace") as running:
        yield running


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """`launch(workspace, *arguments, **environment)`: an app of the test's own; without a workspace, an empty one."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def up(workspace: Path | None = None, *arguments: str, **more: str) -> App:
            return stack.enter_context(launched(workspace or tmp_path / "workspace", *arguments, **more))

        yield up


def _absent(why: str) -> NoReturn:
    """Skip, but not where a browser was promised, as CI does."""
    if os.environ.get("DISTILL_NEEDS_BROWSER"):
        pytest.fail(why)
    pytest.skip(why)


def chromium() -> str | None:
    """Where the browser is; None where there is none."""
    return CHROMIUM if Path(CHROMIUM).exists() else shutil.which("chromium")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's chromium, headless, without a profile."""
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        pytest.skip("playwright is not installed: pip install playwright (its own browsers are not needed)")
    found = chromium()
    if found is None:
        pytest.skip("chromium is not here: apt-get install chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        yield opened
        opened.close()


@pytest.fixture
def new_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """`new_page(width=1280, height=900, dark=False)`: a tab in a context of its own. Checked when the test is over."""
    contexts = []
    outside: list[str] = []
    complaints: list[str] = []

    def opened(*, width: int = 1280, height: int = 900, dark: bool = False) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            accept_downloads=True,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_SECONDS * 1000)
        page.set_default_navigation_timeout(PATIENCE_SECONDS * 1000)

        def asked(url: str) -> None:
            if not url.startswith(("http://127.0.0.1:", "data:", "blob:", "about:")):
                outside.append(url)

        def said(kind: str, text: str) -> None:
            if kind in ("error", "pageerror") and not any(part in text for part in TOLERATED):
                complaints.append(text)

        page.on("request", lambda request: asked(request.url))
        page.on("console", lambda message: said(message.type, message.text))
        page.on("pageerror", lambda error: said("pageerror", str(error)))
        return page

    yield opened
    for context in contexts:
        context.close()
    assert outside == [], f"the page asked other hosts: {outside}"
    assert complaints == [], f"the browser reported: {complaints}"


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    """A tab as wide as a laptop, light."""
    return new_page()
