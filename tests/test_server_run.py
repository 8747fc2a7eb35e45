"""A run with a server as teacher in one pool with a program, stopped by its budget once; the key is nowhere after."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.recipes import distill, json_of, small
from tests.teachers.fake_server import Call, FakeServer, Reply, completion

KEY = "sk-planted-9f3a77c1"
TEACHER = """
  - {name: api, backend: openai, model: tiny-teacher, base_url: "%s", api_key_env: PLANTED_KEY, max_tokens: 60,
     prices: {input: 1000, output: 1000}, max_cost: %s, limit: 12, weight: 1, concurrency: 4}
  - {name: worked, backend: worked, weight: 1}
augmentation: [chain_of_thought]
"""


def teach(call: Call) -> Reply:
    """Adds the numbers of the question: right for some problems, and a wrong number for the others."""
    numbers = [int(number) for number in re.findall(r"\d+", call.prompt)]
    return Reply(completion(call, f"{' + '.join(map(str, numbers))} = {sum(numbers)}\nAnswer: {sum(numbers)}"))


def test_a_server_a_budget_and_a_program_make_one_pool(tmp_path: Path, tiny_folder: Path) -> None:
    workspace = tmp_path / "workspace"
    with FakeServer(teach) as server:

        def run(max_cost: float) -> tuple[int, str]:
            teacher = TEACHER % (server.url, max_cost)
            recipe = small(tmp_path, tiny_folder, **{"teacher: {name: worked, backend: worked}": f"teacher:{teacher}"})
            done = distill("run", recipe, workspace=workspace, env={"PLANTED_KEY": KEY})
            return done.returncode, done.stdout + done.stderr

        code, said = run(0.9)
        assert code == 1, said
        assert "max_cost" in said
        first = len(server.calls)
        assert 0 < first < 12
        code, said = run(100)
        assert code == 0, said
        assert len(server.calls) == 12, "what was answered is not asked again"
        assert all(call.headers["authorization"] == f"Bearer {KEY}" for call in server.calls)
    shown = json_of(distill("show", "latest", "--json", workspace=workspace))
    counts = {stage["name"]: stage["counts"] for stage in shown["stages"]}
    assert counts["generate[api/chain_of_thought]"]["asked"] == 12
    # Both weigh 1, so the pool takes as many of the program's 48 as the server has.
    assert counts["hygiene"]["kept"] == 24
    assert counts["hygiene"]["left out: weight"] == 36 - counts["hygiene"].get("left out: exact", 0)
    for path in [*workspace.rglob("*"), *tmp_path.glob("*.yaml")]:
        if path.is_file():
            assert KEY.encode() not in path.read_bytes(), path
    assert KEY not in json.dumps(shown)


def test_without_its_key_nothing_is_sent(tmp_path: Path, tiny_folder: Path) -> None:
    with FakeServer(teach) as server:
        teacher = TEACHER % (server.url, 1)
        recipe = small(tmp_path, tiny_folder, **{"teacher: {name: worked, backend: worked}": f"teacher:{teacher}"})
        done = distill("run", recipe, workspace=tmp_path / "workspace", env={"PLANTED_KEY": ""})
        assert done.returncode == 2, done.stdout
        assert re.search(r"small\.yaml:\d+:\d+: teacher\.0\.api_key_env: .*PLANTED_KEY", done.stderr)
        assert "nothing was run" in done.stderr
        assert not server.calls
