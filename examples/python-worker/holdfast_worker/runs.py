"""One run: its keeper, its files, its output, and the report of how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .clock import Instant
from .journal import StartedRun, boot_id
from .output import STDERR, STDOUT, Output
from .protos import Timestamp, agent, duration, now as wall_now, seconds, types

# The agent's own environment holds credentials of the agent; a command gets no more of it than this.
ENVIRONMENT = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TZ", "TMPDIR")
MAX_RESULT_BYTES = 256 * 1024
MAX_MESSAGE = 4096
DEFER_EXIT_CODE, SKIP_EXIT_CODE = 75, 99
KEEPER = Path(__file__).with_name("keeper.py")


class CannotStart(Exception):
    """The system cannot start it, or the permit asks for what this worker cannot do: a failed try."""


class TooLate(Exception):
    """The gate has closed, or the stream is gone, since the permit came: it is never started."""


@dataclass
class End:
    """How the keeper says that it ended."""

    exit_code: int = 0
    signal: int = 0
    why: str | None = None
    started: bool = True
    keeper_died: bool = False


class Run:
    """A permit that is being carried out."""

    def __init__(self, permit: agent.Permit, folder: Path, output: Output, agent_id: str, handlers: Path | None) -> None:
        self.permit = permit
        self.token = permit.token
        self._folder = folder
        self._output = output
        self._agent_id = agent_id
        self._handlers = handlers
        self._keeper: asyncio.subprocess.Process | None = None
        self._readers: list[asyncio.Task[None]] = []
        self._began = 0.0
        self._pgid = 0
        self._stopped: str | None = None

    async def carry_out(
        self,
        gate: Callable[[], tuple[Instant, float] | None],
        journal: Callable[[StartedRun], None],
        changed: Callable[[], None],
    ) -> agent.Report:
        """From the process group to the report. `gate` says until when it may start, or None when it may not any more."""
        try:
            await self._make_group()
            # The order is the rule: journal (a crash from here on is reported as lost), look at the gate, exec.
            self._began = time.time()
            journal(self._started_run())
            end = await self._start_and_wait(gate, changed)
            return self._report(end)
        except TooLate:
            return self._never_started(self._stopped or "gate_closed")
        except OSError as error:
            if self._began == 0:  # our own limits, or a journal that cannot be written: no fault of the task's
                return self._never_started(type(error).__name__.lower())
            return self._failed("start_failed", str(error))
        except CannotStart as error:
            return self._failed("start_failed", str(error))
        finally:
            await self._clean_up()

    def _started_run(self) -> StartedRun:
        return StartedRun(
            token=self.token,
            task_id=self.permit.task_id,
            pgid=self._pgid,
            leader_start=leader_start(self._pgid) or 0,
            boot_id=boot_id(),
            started_at=self._began,
        )

    def stop(self, why: str) -> None:
        """SIGTERM, the kill grace, SIGKILL of the whole group; the first reason counts."""
        if self._stopped is None:
            self._stopped = why
        self._say({"stop": why})

    def gate_moved(self, gate: tuple[Instant, float]) -> None:
        """A heartbeat was acknowledged: a keeper under single_run may let it go on for longer (P11)."""
        if self._is_guarded:
            self._say({"gate": _gate(gate)})

    # ---- the process -------------------------------------------------------------------------------------------------

    @property
    def _is_guarded(self) -> bool:
        return self.permit.partition_policy == types.PARTITION_POLICY_SINGLE_RUN

    async def _make_group(self) -> None:
        """The keeper, and the group that it makes; nothing of the task runs yet."""
        argv, env, cwd = self._work()
        permit = self.permit
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        try:
            self._keeper = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(KEEPER)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                pass_fds=(out_write, err_write),
                start_new_session=True,
            )
        except BaseException:
            os.close(out_read)
            os.close(err_read)
            raise
        finally:
            os.close(out_write)
            os.close(err_write)
        self._readers = [
            asyncio.create_task(_read(out_read, STDOUT, self._output)),
            asyncio.create_task(_read(err_read, STDERR, self._output)),
        ]
        self._say(
            {
                "argv": argv,
                "env": env,
                "cwd": cwd,
                "out": out_write,
                "err": err_write,
                "grace": seconds(permit.kill_grace),
                "timeout": seconds(permit.execution_timeout) if permit.HasField("execution_timeout") else None,
                "guarded": self._is_guarded,
            }
        )
        self._pgid = (await self._hear()).get("pgid", 0)
        if not self._pgid:
            raise CannotStart("the keeper could not make a process group")

    async def _start_and_wait(
        self, gate: Callable[[], tuple[Instant, float] | None], changed: Callable[[], None]
    ) -> End:
        may_until = gate()
        if may_until is None or self._stopped is not None:
            raise TooLate
        self._say({"go": _gate(may_until)})
        message = await self._hear()
        if "failed" in message:
            raise CannotStart(message["failed"])
        await self._output_ends(changed)
        if "exit" not in message:
            return await self._without_keeper()
        if not message["started"]:
            raise TooLate
        return End(exit_code=message["exit"], signal=message["signal"], why=message["why"])

    async def _output_ends(self, changed: Callable[[], None]) -> None:
        """Everything is reaped, so the pipes end; then the coordinator gets a second to take the rest of the output.

        A reader that follows the output stops at the task's end, so the report should not overtake it; but it must not
        wait for a disk that is full either.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await asyncio.gather(*self._readers, return_exceptions=True)
        changed()
        if not self._output.is_settled:
            self._output.settled.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._output.settled.wait()

    async def _without_keeper(self) -> End:
        """Somebody killed the keeper: the run's first process died with it; end the rest, and say that it is lost."""
        await end_group(self._pgid)
        return End(keeper_died=True)

    async def _clean_up(self) -> None:
        """Closing its standard input ends a keeper that is still there, with all of its run."""
        keeper = self._keeper
        if keeper is not None:
            assert keeper.stdin is not None
            keeper.stdin.close()
            await keeper.wait()
        for reader in self._readers:
            reader.cancel()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _say(self, message: dict) -> None:
        keeper = self._keeper
        if keeper is not None and keeper.stdin is not None and not keeper.stdin.is_closing():
            keeper.stdin.write(json.dumps(message).encode() + b"\n")

    async def _hear(self) -> dict:
        keeper = self._keeper
        assert keeper is not None and keeper.stdout is not None
        line = await keeper.stdout.readline()
        return json.loads(line) if line else {}

    # ---- the work ----------------------------------------------------------------------------------------------------

    def _work(self) -> tuple[list[str], dict[str, str], str]:
        """argv, environment and working directory of the first process."""
        work = self.permit.work
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        env = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
        kind = work.WhichOneof("work")
        if kind == "command":
            command = work.command
            if command.memory_limit_bytes or command.cpu_limit_millis:
                raise CannotStart("this worker cannot limit memory or CPU, and says so by the label that it lacks")
            env |= dict(command.env)
            argv, cwd = list(command.argv), command.working_directory or str(self._folder)
        elif kind == "handler" and self._handlers is not None:
            (self._folder / "input").write_bytes(work.handler.input)
            env["HOLDFAST_INPUT_FILE"] = str(self._folder / "input")
            env["HOLDFAST_ERROR_FILE"] = str(self._folder / "error")
            argv = [sys.executable, "-m", "holdfast_worker.call", str(self._handlers), work.handler.name]
            env["PYTHONPATH"], cwd = str(KEEPER.parent.parent), str(self._folder)
        else:
            raise CannotStart(f"this worker does not know work of kind {kind or 'unknown'}")
        return argv, env | self._environment(), cwd

    def _environment(self) -> dict[str, str]:
        """What every run is told; the names are those of the README."""
        permit = self.permit
        env = {
            "HOLDFAST_TASK_ID": permit.task_id,
            "HOLDFAST_TRY_NUMBER": str(permit.try_number),
            "HOLDFAST_FENCING_TOKEN": str(permit.token),
            "HOLDFAST_AGENT_ID": self._agent_id,
            "HOLDFAST_QUEUE": permit.queue,
            "HOLDFAST_RESULT_FILE": str(self._folder / "result"),
            "HOLDFAST_DEFER_FILE": str(self._folder / "deferral"),
        }
        if permit.traceparent:
            env["TRACEPARENT"] = permit.traceparent
        if permit.HasField("resumption"):
            resumption = permit.resumption
            event, state = resumption.event or b"null", resumption.state or b"null"
            (self._folder / "resume").write_bytes(b'{"event":' + event + b',"state":' + state + b"}")
            env["HOLDFAST_RESUME_FILE"] = str(self._folder / "resume")
        return env

    # ---- the report --------------------------------------------------------------------------------------------------

    def _report(self, end: End) -> agent.Report:
        """How a run that was started has ended. First match wins."""
        report = self._begin_report(agent.REPORT_KIND_FAILED)
        report.exit_code = end.exit_code
        if end.keeper_died:
            report.kind, report.reason = agent.REPORT_KIND_LOST, "agent_lost"
        elif end.why == "execution_timeout":
            report.reason = "execution_timeout"
        elif end.why is not None:
            report.kind, report.reason = agent.REPORT_KIND_KILLED, end.why
        elif end.signal:
            report.reason, report.message = "signal", f"ended by signal {end.signal}"
        elif self._explain_handler_error(report):
            pass
        elif end.exit_code == DEFER_EXIT_CODE and self._read_deferral(report):
            report.kind = agent.REPORT_KIND_DEFERRED
        elif end.exit_code == SKIP_EXIT_CODE and self.permit.HasField("instance"):
            report.kind = agent.REPORT_KIND_SKIPPED
        elif end.exit_code:
            report.reason, report.message = "exit_code", f"exit code {end.exit_code}"
        else:
            self._read_result(report)
        return report

    def _explain_handler_error(self, report: agent.Report) -> bool:
        """Why a Python function failed, as call.py left it."""
        path = self._folder / "error"
        if not path.exists():
            return False
        error = json.loads(path.read_text())
        report.reason, report.message = error["reason"], error["message"][:MAX_MESSAGE]
        report.final = error["final"]
        return True

    def _read_result(self, report: agent.Report) -> None:
        path = self._folder / "result"
        if not path.exists():
            report.kind = agent.REPORT_KIND_SUCCESS
        elif path.stat().st_size > MAX_RESULT_BYTES:
            report.reason = "result_too_large"
            report.message = f"the result has {path.stat().st_size} bytes; at most {MAX_RESULT_BYTES} are kept"
        else:
            report.kind, report.result = agent.REPORT_KIND_SUCCESS, path.read_bytes()
            report.result_type = _content_type(report.result)

    def _read_deferral(self, report: agent.Report) -> bool:
        try:
            wish = json.loads((self._folder / "deferral").read_text())
            report.deferral.kind = wish["trigger"]["kind"]
            report.deferral.input = json.dumps(wish["trigger"].get("input")).encode()
            if "state" in wish:
                report.deferral.state = json.dumps(wish["state"]).encode()
            if "timeout" in wish:
                report.deferral.timeout.CopyFrom(duration(_seconds_of(wish["timeout"])))
            return True
        except (OSError, ValueError, KeyError, TypeError):
            report.ClearField("deferral")
            return False

    def _begin_report(self, kind: agent.ReportKind) -> agent.Report:
        report = agent.Report(token=self.token, task_id=self.permit.task_id, kind=kind, ended_at=wall_now())
        report.started_at.CopyFrom(Timestamp(seconds=int(self._began), nanos=int(self._began % 1 * 1e9)))
        return report

    def _failed(self, reason: str, message: str) -> agent.Report:
        report = self._begin_report(agent.REPORT_KIND_FAILED)
        report.reason, report.message = reason, message[:MAX_MESSAGE]
        report.ClearField("started_at")
        return report

    def _never_started(self, reason: str) -> agent.Report:
        report = self._begin_report(agent.REPORT_KIND_NEVER_STARTED)
        report.reason = reason
        report.ClearField("started_at")
        return report


async def end_remains(run: StartedRun, boot_id: str) -> None:
    """What an earlier process of this worker had started: it is gone, or is ended, before anything is said of it (P5).

    Its keeper ends it within milliseconds of the worker's death. A number that belongs to somebody else by now (another
    boot, or a leader that began at another time) is left alone.
    """
    if run.boot_id == boot_id and leader_start(run.pgid) in (run.leader_start, None):
        await end_group(run.pgid)


def leader_start(pid: int) -> int | None:
    """When a process began, in ticks since boot; None when there is none, or the system does not tell."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, IndexError):
        return None


async def end_group(pgid: int) -> None:
    """SIGKILL to a process group, and wait until nothing of it is left (P5: that is what a proof says)."""
    while True:
        try:
            os.killpg(pgid, 9)
        except (ProcessLookupError, PermissionError):  # gone, or the number is somebody else's by now
            return
        await asyncio.sleep(0.02)


async def _read(descriptor: int, stream: int, output: Output) -> None:
    """A pipe of the run, to its end."""
    reader = asyncio.StreamReader(limit=65536)
    with os.fdopen(descriptor, "rb", 0) as pipe:
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), pipe
        )
        try:
            while data := await reader.read(65536):
                output.write(data, stream)
        finally:
            transport.close()


def _gate(gate: tuple[Instant, float]) -> list:
    since, length = gate
    return [[since.monotonic, since.wall, since.boot], length]


def _content_type(data: bytes) -> str:
    try:
        json.loads(data)
        return "application/json"
    except ValueError:
        return "application/octet-stream"


def _seconds_of(text: str | float) -> float:
    """A duration such as "6h", "10m" or "1.5s", or a number of seconds."""
    if isinstance(text, (int, float)):
        return float(text)
    for unit, factor in (("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600), ("d", 86400)):
        if text.endswith(unit):
            return float(text[: -len(unit)]) * factor
    return float(text)
