"""The guardian beside one run: a small process of its own, standard library only.

It makes the run's process group, lets it exec when told, ends it (SIGTERM, grace, SIGKILL), and says how it ended once
nothing of it is left. It dies with nothing left behind when the worker does: the end of its standard input is the
worker's death. Under `single_run` it ends the run itself when the worker's gate closes (P11), also while the worker is
stopped by a debugger, swapped out, or busy: that is why this is a process and not a thread.

Standard input, one JSON object a line:
    {"argv", "env", "cwd", "out", "err", "grace", "timeout", "guarded"}    first: the run; `out` and `err` are descriptors
    {"go": GATE}        exec now, unless the gate has closed meanwhile; GATE is [[monotonic, wall, boot], seconds]
    {"gate": GATE}      it closes later than that now: a heartbeat was acknowledged
    {"stop": reason}    SIGTERM, then after the grace SIGKILL
Standard output: {"pgid"} once the group exists; {"failed"} when exec failed; {"exit", "signal", "why", "started"} at the
end.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import clock  # noqa: E402  (not as a package: what the package imports is of no use here)

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
# A Ctrl-C is the worker's to answer; a broken pipe is an error, not an end.
IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ)
# P11's d allows a second: how often the clocks are looked at without any message.
LOOK_EVERY = 0.1


def prctl(option: int, value: int) -> None:
    """Linux only; elsewhere what it would do is missing, and only a process that leaves its group escapes."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


class Run:
    """The one run of this process."""

    def __init__(self, spec: dict) -> None:
        self.spec = spec
        self.gate: list | None = None
        self.why: str | None = None
        self.began: clock.Instant | None = None
        self.kill_at: float | None = None
        gate_in, self._gate = os.pipe()
        self._errors, errors_out = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._gate)
            self._exec(gate_in, errors_out)
        os.close(gate_in)
        os.close(errors_out)
        os.close(spec["out"])
        os.close(spec["err"])

    def _exec(self, gate: int, errors: int) -> None:
        """The child: a group of its own, and exec when it is let go. Nobody letting it go means that it never starts."""
        try:
            os.setsid()
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            for number in IGNORED:  # what is ignored stays ignored over exec
                signal.signal(number, signal.SIG_DFL)
            if os.read(gate, 1) != b"!":
                os._exit(0)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(self.spec["out"], 1)
            os.dup2(self.spec["err"], 2)
            os.closerange(3, gate)
            os.closerange(gate + 1, errors)
            os.chdir(self.spec["cwd"])
            os.execvpe(self.spec["argv"][0], self.spec["argv"], self.spec["env"])
        except BaseException as error:  # noqa: BLE001  a child that goes on from here would be a second keeper
            os.write(errors, f"{type(error).__name__}: {error}".encode())
        os._exit(127)

    def go(self, gate: list) -> str | None:
        """Let it exec, after a last look at the gate (P3). Returns why exec failed, or None."""
        self.gate = gate
        if self.why is not None or self.gate_is_closed(clock.read()):
            self.stop("gate")
            return None
        self.began = clock.read()
        os.write(self._gate, b"!")
        os.close(self._gate)
        with os.fdopen(self._errors, "rb") as errors:
            return errors.read().decode() or None  # closed by a successful exec

    def stop(self, why: str) -> None:
        """SIGTERM now, SIGKILL when the grace is over; the first reason counts."""
        if self.why is not None:
            return
        self.why = why
        grace = self.spec["grace"] if self.began is not None else 0.0
        self.kill_at = time.monotonic() + grace
        self.signal(signal.SIGTERM)

    def signal(self, number: int) -> None:
        """To the whole group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def gate_is_closed(self, now: clock.Instant) -> bool:
        """Whether the worker's gate is closed, by what it last said of it."""
        return self.gate is not None and clock.Instant(*self.gate[0]).elapsed(now) >= self.gate[1]

    def look(self) -> None:
        """At the clocks: the gate's end, the execution timeout, the end of the grace."""
        now = clock.read()
        if self.spec["guarded"] and self.gate_is_closed(now):
            self.stop("gate")
        timeout = self.spec["timeout"]
        if timeout is not None and self.began is not None and self.began.elapsed(now) >= timeout:
            self.stop("execution_timeout")
        if self.kill_at is not None and time.monotonic() >= self.kill_at:
            self.signal(signal.SIGKILL)

    def end(self) -> None:
        """SIGKILL to everything that is left, wherever it has gone, and reap it.

        As subreaper this process inherits what has left the group, so nothing of a run outlives its report.
        """
        while True:
            self.signal(signal.SIGKILL)
            for child in children():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                return


def children() -> list[int]:
    """The children of this process, where the system tells."""
    try:
        return [int(pid) for pid in Path("/proc/thread-self/children").read_text().split()]
    except OSError:
        return []


def say(message: dict) -> None:
    """One line to the worker; when it is gone, its end of the pipe will tell."""
    with contextlib.suppress(BrokenPipeError):
        os.write(1, json.dumps(message).encode() + b"\n")


def reap(run: Run) -> int | None:
    """The wait status of the run's first process if it has ended; others of the run are reaped on the way."""
    status: int | None = None
    while True:
        try:
            pid, code = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if pid == 0:
            return status
        if pid == run.pid:
            status = code


def main() -> None:
    """One run, from its first line to its last word."""
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    prctl(PR_SET_CHILD_SUBREAPER, 1)

    buffered = b""
    run: Run | None = None
    while True:
        ready, _, _ = select.select([0, woken], [], [], LOOK_EVERY)
        if woken in ready:
            os.read(woken, 4096)
        if 0 in ready:
            data = os.read(0, 65536)
            if not data:  # the worker is dead: so is its run
                if run is not None:
                    run.end()
                os._exit(0)
            *lines, buffered = (buffered + data).split(b"\n")
            for line in lines:
                message = json.loads(line)
                if run is None:
                    run = Run(message)
                    say({"pgid": run.pid})
                elif "go" in message:
                    failed = run.go(message["go"])
                    if failed is not None:
                        run.end()
                        say({"failed": failed})
                        os._exit(0)
                elif "gate" in message:
                    run.gate = message["gate"]
                elif "stop" in message:
                    run.stop(message["stop"])
        if run is None:
            continue
        status = reap(run)
        if status is not None:
            run.end()
            code = os.waitstatus_to_exitcode(status)
            say({"exit": max(code, 0), "signal": max(-code, 0), "why": run.why, "started": run.began is not None})
            os._exit(0)
        run.look()


if __name__ == "__main__":
    main()
