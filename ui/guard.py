"""What stands between the page and other people's pages: hosts, origins and the headers of every answer.

A site that a person visits may send requests to this machine (cross-site requests), or have its own name point to it
(DNS rebinding). Neither is let through. Programs, which say no origin, are.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from importlib import metadata
from typing import Any
from urllib.parse import urlsplit

from distill_app.errors import UsageError

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

LOOPBACK = ("127.0.0.1", "localhost", "::1")

POLICY = "; ".join(
    (
        "default-src 'self'",
        # Gradio puts its configuration into the page as a script, and compiles its components' own snippets.
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'self'",
    )
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)


class Guard:
    """Refuses what comes from elsewhere, and puts the headers of safety on every answer (pure ASGI).

    `names`: what the server may be called, in lower case and without a port. With `addresses`, any literal address
    will do too: rebinding needs a name, so a server that is meant for other machines loses nothing by it.
    """

    def __init__(self, app: App, names: Sequence[str] = LOOPBACK, addresses: bool = False) -> None:
        self.app = app
        self.names = frozenset(name.lower() for name in names)
        self.addresses = addresses

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                ours = {name for name, _ in HEADERS}
                kept = [(name, value) for name, value in message.get("headers", []) if name.lower() not in ours]
                message["headers"] = [*kept, *HEADERS]
            await send(message)

        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        why = self.refusal(scope.get("method", "GET"), headers)
        if why is None:
            await self.app(scope, receive, with_headers)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await with_headers(
                {
                    "type": "http.response.start",
                    "status": 403,
                    "headers": [(b"content-type", b"text/plain; charset=utf-8")],
                }
            )
            await send({"type": "http.response.body", "body": why.encode()})

    def refusal(self, method: str, headers: dict[str, str]) -> str | None:
        """Why a request is refused, in a sentence; None for one that may pass. Header names in lower case."""
        host = headers.get("host", "")
        if not self._known(_name(host)):
            return (
                f"This server is not called {host[:80]!r}. If it should be, start it with --allow-host and that name."
            )
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return "This request comes from a page of another site."
        elsewhere = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if elsewhere and method not in ("GET", "HEAD"):
            return "This request comes from a page of another site."
        return None

    def _known(self, name: str) -> bool:
        return name in self.names or (self.addresses and is_address(name))


def _name(host: str) -> str:
    """The host without its port, in lower case; an IPv6 address without its brackets."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def is_address(name: str) -> bool:
    """Whether this is an address in figures."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether a server bound to this host can be reached from this machine alone."""
    return host == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)


def check(host: str, *, network: bool, password_env: str | None, mcp: bool) -> str | None:
    """The password to ask for, out of the environment variable named; None for none.

    Raises `UsageError` where the server must not listen like this (see `app.serve`).
    """
    password = os.environ.get(password_env) if password_env else None
    if password_env and not password:
        raise UsageError(
            f"--password-env names {password_env}, which holds nothing.", f"Set it first: export {password_env}=..."
        )
    if not is_loopback(host):
        if not network:
            raise UsageError(
                f"{host} can be reached from other machines, and whoever reaches the page can start runs.",
                "If that is what you want, add --network and --password-env NAME; else leave --host out.",
            )
        if not password:
            raise UsageError(
                f"{host} can be reached from other machines: a password is needed.",
                "Put one into an environment variable and name it: --password-env NAME.",
            )
    if mcp and password:
        raise UsageError(
            "MCP clients are not asked for the password, so the two do not go together.",
            "Leave --mcp or --password-env out.",
        )
    if mcp and (lack := lack_of_mcp()) is not None:
        raise UsageError(
            f"--mcp needs {lack}.",
            "In an environment without vLLM, which asks for another: pip install 'distill-app[mcp]'",
        )
    return password


def lack_of_mcp() -> str | None:
    """What keeps Gradio from serving tools, which it would not say: no package mcp, or one it is not written for."""
    from packaging.requirements import Requirement

    asked = next(one for one in map(Requirement, metadata.requires("gradio") or ()) if one.name == "mcp")
    try:
        version = metadata.version("mcp")
    except metadata.PackageNotFoundError:
        return "the package mcp, which is not installed"
    if not asked.specifier.contains(version, prereleases=True):
        return f"the package mcp {asked.specifier}, and {version} is installed"
    return None
