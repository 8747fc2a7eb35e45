"""The openai teacher against vLLM's own server with the real 135M model: where vLLM is installed, with -m slow."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.teachers.killable_openai import ask, options, request, some, until_error

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vllm is not installed"),
]
START_SECONDS = 420


@pytest.fixture(scope="module")
def url(smollm: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(smollm), "--host", "127.0.0.1",
        "--port", str(port), "--served-model-name", "smollm", "--enforce-eager", "--max-model-len", "512",
        "--max-num-seqs", "8", "--dtype", "bfloat16",
    ]  # fmt: skip
    small = {"VLLM_CPU_KVCACHE_SPACE": "1", "OMP_NUM_THREADS": "1", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}
    path = tmp_path_factory.mktemp("vllm") / "server.log"
    with path.open("wb") as log:
        server = subprocess.Popen(
            command, env={**os.environ, **small}, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        for _ in range(START_SECONDS):
            assert server.poll() is None, path.read_text()[-2000:]
            try:
                opener.open(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except (urllib.error.URLError, TimeoutError):
                time.sleep(1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def test_vllms_own_server(url: str, smollm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import AutoTokenizer

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    chosen = options(url, model="smollm", max_tokens=16, concurrency=4, timeout_seconds=120.0)
    tokenizer = AutoTokenizer.from_pretrained(smollm)
    asked = [*some(6), request(6, prompt="What is 2 + 2?", temperature=0.0), request(7, prompt="word " * 900)]
    rows = ask(asked, chosen)
    assert len(rows) == 8
    for sent in asked[:7]:
        row = rows[sent.id]
        prompt = tokenizer.apply_chat_template(
            [{"role": "user", "content": sent.prompt}], add_generation_prompt=True, return_dict=True
        )["input_ids"]
        assert row.prompt_tokens == len(prompt)
        assert row.finish_reason in ("stop", "length")
        assert (row.tokens == 16) == (row.finish_reason == "length")
    assert "4" in rows["p6/0"].text
    assert rows["p7/0"].finish_reason == "missing"
    assert "maximum context length is 512 tokens" in (rows["p7/0"].note or "")
    again = ask(some(6), chosen)
    assert {row.text for row in again.values()} == {rows[id_].text for id_ in again}  # the seeds are the rows' own

    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"],
              "additionalProperties": False}  # fmt: skip
    longer = options(url, model="smollm", max_tokens=100, timeout_seconds=120.0)
    (row,) = ask([request(1, schema=json.dumps(schema))], longer).values()
    assert row.finish_reason == "length" or isinstance(json.loads(row.text)["a"], int)

    _, found = until_error(some(2), options(url, model="smolm"))
    assert found.hint == "Did you mean smollm? It lists smollm."
    _, found = until_error(some(3), options(url, model="smollm", max_tokens=4000))
    assert "gave no text for 3 problems in a row" in found.message
    assert "max_model_len=512" in found.message
