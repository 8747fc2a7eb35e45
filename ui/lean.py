"""What makes Gradio's pages quicker to open and cheaper to leave open: its answers changed on their way out.

Measured with `python -m tests.benchmarks.ui_pages`.
"""

from __future__ import annotations

from .guard import App, Message, Receive, Send, is_loopback

CALM = """<script>
(() => {
  let touched = performance.now();
  const touch = () => { touched = performance.now(); };
  for (const kind of ["pointermove", "pointerdown", "keydown", "wheel", "touchstart", "focusin"])
    addEventListener(kind, touch, {capture: true, passive: true});
  const ask = window.requestAnimationFrame.bind(window), cancel = window.cancelAnimationFrame.bind(window);
  window.requestAnimationFrame = (call) => performance.now() - touched < 3000 ? ask(call)
    : -setTimeout(() => call(performance.now()), 500);
  window.cancelAnimationFrame = (id) => id < 0 ? clearTimeout(-id) : cancel(id);
})();
</script>
"""
"""Two frames a second for a page that nobody has touched for three seconds.

Gradio 6.31 asks for sixty for as long as a page is open, 6 to 7 % of a core. Its modules keep the function they find,
so this has to stand before them in the page; what is given as `head` comes too late."""

KEPT = (b"cache-control", b"public, max-age=31536000, immutable")
"""For Gradio's assets, whose names change with what is in them: no asking whether they are still the same."""
AS_IT_IS = (b"content-encoding", b"identity")
"""Keeps Gradio from compressing 5 MB of scripts anew for each visitor who sits at this machine."""


class Lean:
    """Puts `CALM` at the head of every page, and sends assets to be kept (pure ASGI)."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self.app(scope, receive, send)
        elif scope["path"].startswith("/assets/"):
            client = scope.get("client")
            extra = [KEPT, AS_IT_IS] if client and is_loopback(client[0]) else [KEPT]
            await self.app(scope, receive, _with_headers(send, extra))
        else:
            await self.app(scope, receive, _with_script(send))


def _with_headers(send: Send, extra: list[tuple[bytes, bytes]]) -> Send:
    async def changed(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 200:
            message["headers"] = [*message["headers"], *extra]
        await send(message)

    return changed


def _with_script(send: Send) -> Send:
    """Whole pages wait here for their last part, since the script makes them longer; all else goes through."""
    start: Message | None = None
    parts: list[bytes] = []

    async def changed(message: Message) -> None:
        nonlocal start
        if message["type"] == "http.response.start":
            kind = dict(message["headers"]).get(b"content-type", b"")
            if kind.startswith(b"text/html"):
                start = message
                return
        elif start is not None and message["type"] == "http.response.body":
            parts.append(message.get("body", b""))
            if message.get("more_body", False):
                return
            body = b"".join(parts).replace(b"<head>", b"<head>" + CALM.encode(), 1)
            others = [(name, value) for name, value in start["headers"] if name != b"content-length"]
            await send({**start, "headers": [*others, (b"content-length", b"%d" % len(body))]})
            message = {"type": "http.response.body", "body": body}
        await send(message)

    return changed
