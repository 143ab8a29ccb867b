"""What survives a kill -9 of the worker: its state directory.

    lock            held exclusively while a worker lives; what P5's proof is about
    state.json      highest token and epoch ever seen (P18), and the identity of the last instance that had a session
    runs/TOKEN      a run that was started, with its process group; written BEFORE exec
    reports/TOKEN   how a run ended, until that is acknowledged

Every write is a plain one to another name, then a rename: it survives the process, not the machine, and that is all the
protocol asks for. An fsync here would block heartbeats for as long as a slow disk likes.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from .protos import agent

# File systems on which a lock, a device and an inode prove nothing about processes of this machine (P5).
_REMOTE = {"nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "glusterfs", "lustre", "fuse.sshfs", "afs"}


# Raised with every change of what is written here that an older worker would misread.
_VERSION = 1


class Newer(Exception):
    """A later version has written this state directory: it alone knows what it holds."""


class InUse(Exception):
    """Another worker holds this state directory."""


@dataclass(frozen=True)
class StartedRun:
    """A run as it was journalled."""

    token: int
    task_id: str
    pgid: int
    leader_start: int  # of the group's leader, in ticks since boot: process numbers are used again
    boot_id: str
    started_at: float  # by the wall clock


@dataclass(frozen=True)
class Predecessor:
    """Who had the last session from this directory."""

    instance_id: str
    boot_id: str


class Journal:
    """One state directory, locked for the life of this process."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._runs, self._reports = directory / "runs", directory / "reports"
        for folder in (directory, self._runs, self._reports):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Never unlinked and never inherited: its inode is what a predecessor is recognised by, and a child that kept it
        # open would go on holding the lock.
        self._lock = os.open(directory / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InUse(f"another worker runs with the state directory {directory}") from error
        status = os.fstat(self._lock)
        self.identity = agent.ProcessIdentity(
            boot_id=boot_id(), lock_device=status.st_dev, lock_inode=status.st_ino, pid=os.getpid()
        )
        self._state: dict[str, int | str] = _read_json(directory / "state.json")
        if int(self._state.get("version", _VERSION)) > _VERSION:
            raise Newer(f"a newer worker has written the state directory {directory}; start that one, and drain it first")
        self._state["version"] = _VERSION

    @property
    def highest_token(self) -> int:
        """The highest fencing token ever seen here (P18)."""
        return int(self._state.get("highest_token", 0))

    @property
    def highest_epoch(self) -> int:
        """The highest session epoch ever seen here (P18)."""
        return int(self._state.get("highest_epoch", 0))

    @property
    def predecessor(self) -> Predecessor | None:
        """The last instance that had a session from this directory, if any."""
        if "instance_id" not in self._state:
            return None
        return Predecessor(str(self._state["instance_id"]), str(self._state.get("boot_id", "")))

    def welcomed(self, instance_id: str, epoch: int) -> None:
        """This instance has a session now."""
        self._state |= {"instance_id": instance_id, "boot_id": self.identity.boot_id}
        self._state["highest_epoch"] = max(epoch, self.highest_epoch)
        self._write_state()

    def seen_token(self, token: int) -> None:
        """A token was told to us, started or not."""
        if token > self.highest_token:
            self._state["highest_token"] = token
            self._write_state()

    def proof(self) -> agent.PredecessorProof | None:
        """P5: that the predecessor is dead, for a Hello. To be asked once every group in the journal is gone.

        We hold the lock that it held; the coordinator compares device, inode and boot with what ITS Hello said.
        """
        before, boot_id = self.predecessor, self.identity.boot_id
        if before is None or not boot_id or before.boot_id != boot_id or not _is_local(self._directory):
            return None
        return agent.PredecessorProof(
            instance_id=before.instance_id,
            boot_id=boot_id,
            lock_device=self.identity.lock_device,
            lock_inode=self.identity.lock_inode,
        )

    def start(self, run: StartedRun) -> None:
        """Before exec: after a crash here the run is reported as lost, never forgotten and never started again."""
        _write(self._runs / str(run.token), json.dumps(asdict(run)).encode())

    def end(self, report: agent.Report) -> None:
        """After the whole process group is reaped. The report first: a crash between the two leaves both, and it wins."""
        _write(self._reports / str(report.token), report.SerializeToString())
        (self._runs / str(report.token)).unlink(missing_ok=True)

    def forget(self, token: int) -> None:
        """The report is acknowledged."""
        (self._reports / str(token)).unlink(missing_ok=True)
        (self._runs / str(token)).unlink(missing_ok=True)

    def reports(self) -> list[agent.Report]:
        """Reports that nobody has acknowledged yet, by token."""
        found = [agent.Report.FromString(path.read_bytes()) for path in _tokens(self._reports)]
        return sorted(found, key=lambda report: report.token)

    def unfinished(self) -> list[StartedRun]:
        """Runs that were started and never reported: their end is unknown."""
        reported = {path.name for path in _tokens(self._reports)}
        return [StartedRun(**_read_json(path)) for path in _tokens(self._runs) if path.name not in reported]

    def close(self) -> None:
        """Give the directory back."""
        os.close(self._lock)

    def _write_state(self) -> None:
        _write(self._directory / "state.json", json.dumps(self._state).encode())


def _tokens(folder: Path) -> list[Path]:
    """Whole files only: what a crash left half-written has another name."""
    return [path for path in folder.iterdir() if path.name.isdigit()]


def _write(path: Path, data: bytes) -> None:
    scratch = path.with_name(f".{path.name}.new")
    scratch.write_bytes(data)
    scratch.replace(path)


def _read_json(path: Path) -> dict:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return {}


def boot_id() -> str:
    """One run of this machine's kernel; empty where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _is_local(directory: Path) -> bool:
    """Whether the directory is on a file system of this machine alone; False when that cannot be known."""
    try:
        mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    except OSError:
        return False
    place = directory.resolve()
    best = max((m for m in mounts if place.is_relative_to(m[1])), key=lambda m: len(m[1]), default=None)
    return best is not None and best[2] not in _REMOTE
