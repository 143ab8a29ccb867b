"""What the coordinator knows of this worker's inventory, and its hash: the comment at `message Heartbeat`, line by line.

Both sides keep such a mirror, changed by the same events in the same order, and every heartbeat compares count and hash.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from .protos import agent

Phase = int  # agent.InventoryPhase
ASKED: Phase = agent.INVENTORY_PHASE_ASKED
RUNNING: Phase = agent.INVENTORY_PHASE_RUNNING
STOPPING: Phase = agent.INVENTORY_PHASE_STOPPING
FINISHED: Phase = agent.INVENTORY_PHASE_FINISHED
VOID: Phase = agent.INVENTORY_PHASE_VOID
LOST: Phase = agent.INVENTORY_PHASE_LOST

# What a report makes of its entry; every other kind of report is of a run that has finished.
_OF_REPORT = {agent.REPORT_KIND_NEVER_STARTED: VOID, agent.REPORT_KIND_LOST: LOST}


def phase_of_report(report: agent.Report) -> Phase:
    """The phase of an entry whose report waits to be acknowledged."""
    return _OF_REPORT.get(report.kind, FINISHED)


def entry_hash(token: int, nonce: int, phase: Phase) -> int:
    """FNV-1a, 32 bit, over token and nonce (8 bytes each, little-endian) and the phase (1 byte)."""
    value = 2166136261
    for byte in token.to_bytes(8, "little") + nonce.to_bytes(8, "little") + bytes([phase]):
        value = ((value ^ byte) * 16777619) % 2**32
    return value


@dataclass
class Mirror:
    """The set of entries, as the coordinator has it once it has read what was sent so far."""

    asked: set[int] = field(default_factory=set)
    held: dict[int, Phase] = field(default_factory=dict)

    def replace(self, entries: Iterable[agent.InventoryEntry]) -> None:
        """A Hello, or a full inventory, replaces everything."""
        self.asked, self.held = set(), {}
        for entry in entries:
            if entry.phase == ASKED:
                self.asked.add(entry.nonce)
            else:
                self.held[entry.token] = entry.phase

    def ask(self, nonce: int) -> None:
        """A StartRequest in a heartbeat."""
        self.asked.add(nonce)

    def put(self, token: int, phase: Phase) -> None:
        """A Report in a heartbeat, or an entry of inventory_changes."""
        self.held[token] = phase

    def permit(self, nonce: int, token: int) -> None:
        """A Permit, once applied."""
        self.asked.discard(nonce)
        self.held.setdefault(token, RUNNING)

    def refuse(self, nonce: int) -> None:
        """A Refusal, once applied."""
        self.asked.discard(nonce)

    def acknowledge(self, token: int) -> None:
        """An Acknowledgement, once applied."""
        self.held.pop(token, None)

    def count(self) -> int:
        """How many entries there are."""
        return len(self.asked) + len(self.held)

    def hash(self) -> int:
        """The sum of the entries' hashes modulo 2^32; 0 when there is none."""
        total = sum(entry_hash(0, nonce, ASKED) for nonce in self.asked)
        total += sum(entry_hash(token, 0, phase) for token, phase in self.held.items())
        return total % 2**32
