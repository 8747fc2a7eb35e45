"""Processes for model stages that need not load torch, transformers, PEFT and TRL again: forks of one that has.

Loading them takes 6 CPU seconds on the machine this was measured on, and a run has five to ten model stages. The
server (`python -m distill_app.engine.forkserver SOCKET_FD PARENT_PID`) loads them once, computes nothing, and forks a
process for each job, which is `engine.worker` from there on: it has its own memory and gives it back by ending.

Only on Linux and only where there is no GPU: a process forked after its parent has asked CUDA anything cannot use it,
and some libraries ask when they are loaded.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, NoReturn, Protocol

from distill_app.engine import worker

GPUS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
"""Devices of NVIDIA's driver, of a GPU under WSL, and of AMD's: where one is there, torch may have a GPU."""
COMMAND = "distill_app.engine.forkserver"
LEAVE_SECONDS = 5.0


class Process(Protocol):
    """What is asked of a stage's process, as `subprocess.Popen` has it."""

    def poll(self) -> int | None: ...
    def wait(self) -> int: ...
    def send_signal(self, sig: int, /) -> None: ...
    def kill(self) -> None: ...


class Starter:
    """Starts stages' processes: by a server where that can be done here, else each by itself.

    A context, whose end is the server's. The server is started by `warm` or with the first process, and anew where it
    has died or where another environment is wanted.
    """

    def __init__(self) -> None:
        self._server: _Server | None = None

    def __enter__(self) -> Starter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    def warm(self, out: IO[bytes], env: Mapping[str, str]) -> None:
        """Have the libraries loaded, beside what is done until the first process is wanted."""
        if possible() and (self._server is None or not self._server.serves(env)):
            self._end()
            self._server = _Server(out, env)

    def start(self, job: IO[bytes], out: IO[bytes], events: int, env: Mapping[str, str]) -> Process:
        """A process of `engine.worker` that reads its job from `job`, prints to `out` and tells events to `events`."""
        if not possible():
            return subprocess.Popen(
                [sys.executable, "-m", "distill_app.engine.worker", str(events), str(os.getpid())],
                stdin=job,
                stdout=out,
                stderr=out,
                pass_fds=[events],
                start_new_session=True,  # the terminal's Ctrl-C reaches this process alone, which passes it on once
                env=env,
            )
        self.warm(out, env)
        assert self._server is not None
        return self._server.fork([job.fileno(), out.fileno(), events])

    def _end(self) -> None:
        if self._server is not None:
            self._server.end()
            self._server = None


def possible() -> bool:
    """Whether processes are forked on this machine."""
    return sys.platform == "linux" and not any(Path(name).exists() for name in GPUS)


class _Server:
    """The server as the run sees it."""

    def __init__(self, out: IO[bytes], env: Mapping[str, str]) -> None:
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", COMMAND, str(theirs.fileno()), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                env=env,
            )
        self.env = dict(env)
        self.last: _Forked | None = None

    def serves(self, env: Mapping[str, str]) -> bool:
        """Whether it lives, and its processes would have this environment."""
        return self.process.poll() is None and self.env == env

    def fork(self, given: Sequence[int]) -> _Forked:
        """A process with these as its standard input, its output, and the way for its events."""
        socket.send_fds(self.socket, [b"fork"], given)
        self.last = _Forked(self)
        return self.last

    def end(self) -> None:
        """Where it waits for work it takes its last process off the system's list and leaves; else it is killed."""
        self.socket.close()
        if self.last is not None and self.last.code is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(LEAVE_SECONDS)
        self.process.kill()
        self.process.wait()


class _Forked:
    """A forked process. The server tells two things of it: its id when it is there, and at last how it ended."""

    def __init__(self, server: _Server) -> None:
        self.server = server
        self.pid: int | None = None
        self.code: int | None = None

    def poll(self) -> int | None:
        self._hear(wait=False)
        return self.code

    def wait(self) -> int:
        while self.code is None:
            self._hear(wait=True)
        return self.code

    def send_signal(self, sig: int, /) -> None:
        self._hear(wait=False)
        if self.code is not None:
            return
        if self.pid is None:  # the server is still loading
            self.server.process.kill()
            self.server.process.wait()
            self.code = -sig
        else:
            with contextlib.suppress(ProcessLookupError):  # the server was killed, and this process with it
                os.kill(self.pid, sig)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _hear(self, *, wait: bool) -> None:
        """Take in what the server has told."""
        while self.code is None:
            try:
                told = self.server.socket.recv(32, 0 if wait else socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except ConnectionResetError:
                told = b""
            if not told:  # the server has died, and what it forked dies with it
                self.code = self.server.process.wait()
            elif self.pid is None:
                self.pid = int(told)
            else:
                self.code = int(told)


def main(socket_fd: str, parent: str) -> NoReturn:
    """The server. Leaves with 0 when the run that started it is done with it, a forked process with its job's code."""
    worker.end_with(int(parent))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _load()
    pid = 0
    with socket.socket(fileno=int(socket_fd)) as asked:
        while True:
            message, given, _, _ = socket.recv_fds(asked, 16, 3)
            if pid:  # kept till its end has been heard: a signal sent before that must not find another of its id
                os.waitpid(pid, 0)
            if not message:
                _leave(0)
            pid = os.fork()
            if pid == 0:
                break
            for one in given:
                os.close(one)
            asked.send(str(pid).encode())
            ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
            assert ended is not None
            code = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
            asked.send(str(code).encode())
    os.setsid()
    job, out, events = given
    for one, places in ((job, (0,)), (out, (1, 2))):
        for place in places:
            os.dup2(one, place)
        os.close(one)
    _leave(worker.main(str(events), str(os.getppid())))


def _leave(code: int) -> NoReturn:
    """End at once: to take thousands of modules down takes half a second, and the memory is given back either way."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def _load() -> None:
    """Import what model stages use. Nothing is computed: threads of OpenMP would not come along into a fork."""
    gc.disable()  # a tenth of the time goes into looking for garbage that is not there
    # transformers takes scikit-learn in where it is there, for a kind of generation that is not used, and with it
    # SciPy and pandas: a second and a half.
    sys.modules["sklearn"] = None  # type: ignore[assignment]
    import datasets  # noqa: F401
    import peft  # noqa: F401
    import torch  # noqa: F401
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: F401
    from trl.trainer.sft_config import SFTConfig  # noqa: F401
    from trl.trainer.sft_trainer import SFTTrainer  # noqa: F401

    del sys.modules["sklearn"]
    gc.collect()
    gc.freeze()  # or the collector would touch, and so copy, what is shared with the forks
    gc.enable()


if __name__ == "__main__":
    main(*sys.argv[1:3])
