"""The app: its pages, and the server that shows them."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Sequence
from pathlib import Path

import gradio as gr
from starlette.middleware import Middleware

from distill_app.errors import UsageError
from distill_app.terminal import tell

from . import api, first, guard, inspect, jobs, lean, recipes, results, runs, style

USER = "distill"
"""The name that goes with the password."""
LARGEST_UPLOAD = "2mb"
PAGES = (("Recipes", ""), ("Runs", "runs"), ("Leaderboard", "results"), ("Inspect", "inspect"))


def build(root: Path) -> gr.Blocks:
    """Every page of the workspace `root`, and its typed endpoints."""
    demo: gr.Blocks
    with gr.Blocks(title="distill-app", analytics_enabled=False, delete_cache=(3600, 86400)) as demo:
        api.endpoints(root)  # first, or a listener of a page would take the name of one
        _header("Recipes", root)
        recipes.page(root)
    for (name, path), page in zip(PAGES[1:], (runs.page, results.page, inspect.page), strict=True):
        with demo.route(name, path):
            _header(name, root)
            page(root)
    return demo


def _header(here: str, root: Path) -> None:
    """Brand, the way to the other pages, the switch between light and dark; before the first run, how to start one."""
    links = "".join(
        f'<a href="./{path}"{" aria-current=page" if name == here else ""}>{name}</a>' for name, path in PAGES
    )
    gr.HTML(
        f'<div id="site"><span class="brand">distill-app</span><nav aria-label="Pages">{links}</nav>'
        '<button id="theme" type="button">Light or dark</button></div>',
        apply_default_css=False,
    )
    first.offer(root)


def serve(
    root: Path,
    host: str = "127.0.0.1",
    port: int = 7860,
    *,
    network: bool = False,
    password_env: str | None = None,
    names: Sequence[str] = (),
    mcp: bool = False,
) -> None:
    """Show the pages at `host`:`port` until Ctrl-C. Runs that were started from them go on.

    An address that other machines reach takes both `network` and a password, which the environment variable
    `password_env` holds; `names` are what the server may be called there besides its addresses. `mcp` offers the
    endpoints to MCP clients, and is refused with a password, which Gradio's MCP does not ask for. Raises `UsageError`.
    """
    password = guard.check(host, network=network, password_env=password_env, mcp=mcp)
    root.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("GRADIO_TEMP_DIR", str(root / "uploads"))
    jobs.revive(root)
    demo = build(root)
    demo.queue(max_size=64, default_concurrency_limit=4)
    # Gradio 6.31 looks into an empty queue a thousand times a second; fifty are enough for a button.
    demo._queue.sleep_when_free = 0.02
    try:
        demo.launch(
            server_name=host,
            server_port=port,
            auth=(USER, password) if password else None,
            theme=style.theme(),
            css=style.CSS,
            head=style.HEAD,
            app_kwargs={"middleware": [_guard(host, names), Middleware(lean.Lean)], "openapi_url": None},
            max_file_size=LARGEST_UPLOAD,
            footer_links=["api", "settings"],
            run_history=False,
            enable_monitoring=False,
            mcp_server=mcp,
            ssr_mode=False,
            share=False,
            inbrowser=False,
            prevent_thread_lock=True,
            quiet=True,
        )
    except OSError as error:
        raise UsageError(f"Nothing can listen at {host}:{port} ({error}).", "Choose another --port.") from error
    shown = f"[{host}]" if ":" in host else host
    tell(f"distill-app is at http://{shown}:{demo.server_port} (workspace {root}). Ctrl-C ends it; runs go on.")
    if password:
        tell(f"The user is {USER}. The password travels unencrypted: use a tunnel, or a proxy that speaks TLS.")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        demo.close(verbose=False)


def _guard(host: str, names: Sequence[str]) -> Middleware:
    open_to_others = not guard.is_loopback(host)
    known = [*guard.LOOPBACK, *names, *([host, socket.gethostname()] if open_to_others else [host])]
    return Middleware(guard.Guard, names=known, addresses=open_to_others)
