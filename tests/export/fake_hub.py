"""A model hub on loopback: an account, repositories, what was committed to them; it keeps every request's path."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

TOKEN = "hf_planted_0123456789"


class FakeHub(ThreadingHTTPServer):
    """`repos` maps "model me/name" to its files by path; `private` tells how each was made.

    `fails_at` is a part of a path that is answered with status 403.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repos: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.asked: list[str] = []
        self.fails_at: str | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def running() -> Iterator[FakeHub]:
    """A hub that answers while the block runs."""
    hub = FakeHub()
    Thread(target=hub.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: FakeHub

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _answer(self, body: bytes) -> None:
        path = self.path.partition("?")[0]
        self.server.asked.append(f"{self.command} {path}")
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._say(401, {"error": "Invalid credentials"})
        elif self.server.fails_at and self.server.fails_at in path:
            self._say(403, {"error": "Forbidden"})
        else:
            self._say(*self._of(path, body))

    def _of(self, path: str, body: bytes) -> tuple[int, Any]:
        if path == "/api/whoami-v2":
            return 200, {"name": "me", "type": "user"}
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('type', 'model')} {asked.get('organization') or 'me'}/{asked['name']}"
            if name in self.server.repos:
                return 409, {"error": "You already created this repo", "url": self._url(name)}
            self.server.repos[name] = {".gitattributes": b""}
            self.server.private[name] = asked.get("private", asked.get("visibility") == "private")
            return 200, {"url": self._url(name), "name": name.partition(" ")[2]}
        _, _, kind, owner, name, what, *_ = [*path.split("/"), "", ""]
        repo = f"{kind.removesuffix('s')} {owner}/{name}"
        files = self.server.repos.get(repo)
        if files is None:
            return 404, {"error": "Repository not found"}
        if what == "tree":
            return 200, [
                {"type": "file", "path": path, "size": len(data), "oid": "0" * 40} for path, data in files.items()
            ]
        if what == "preupload":
            wanted = json.loads(body)["files"]
            return 200, {"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in wanted]}
        if what == "commit":
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
                if line["key"] == "deletedFile":
                    del files[line["value"]["path"]]
            return 200, {"commitUrl": f"{self._url(repo)}/commit/{'0' * 40}", "commitOid": "0" * 40}
        return 200, {"id": f"{owner}/{name}", "sha": "0" * 40, "siblings": [{"rfilename": path} for path in files]}

    def _url(self, repo: str) -> str:
        kind, _, name = repo.partition(" ")
        return f"{self.server.address}/{'datasets/' if kind == 'dataset' else ''}{name}"

    def _say(self, status: int, value: Any) -> None:
        raw = json.dumps(value).encode()
        self.send_response(status)
        if status == 404:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""
