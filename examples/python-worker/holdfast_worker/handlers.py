"""Python functions that tasks call by name.

    from holdfast_worker.handlers import Context, FinalError, handler

    @handler("resize")
    def resize(input: dict, context: Context) -> dict:
        return {"area": input["width"] ** 2}

Each call is a process of its own: a function that blocks, exits or eats memory costs its own try, and never a heartbeat.
In Python a thread would not do: it shares the interpreter lock with the heartbeats.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn


class FinalError(Exception):
    """The same input would fail the same way: no retries are used."""


class Deferred(Exception):
    """Raised by `Context.defer`; let it pass."""


@dataclass(frozen=True)
class Context:
    """What a call knows of its try."""

    task_id: str
    try_number: int
    token: int  # the fencing token: give it to the stores that you write to
    resumed: dict[str, Any] | None  # {"event", "state"} when the task was deferred and goes on

    def defer(self, kind: str, input: Any, state: Any = None, timeout: str | None = None) -> NoReturn:
        """Give the slot back until a trigger of this kind has its event; then the function is called again."""
        wish: dict[str, Any] = {"trigger": {"kind": kind, "input": input}, "state": state}
        raise Deferred(wish if timeout is None else wish | {"timeout": timeout})


Handler = Callable[[Any, Context], Any]
registered: dict[str, Handler] = {}


def handler(name: str) -> Callable[[Handler], Handler]:
    """Register a function under the name that tasks call it by."""

    def register(function: Handler) -> Handler:
        if name in registered:
            raise ValueError(f"two handlers are named {name!r}")
        registered[name] = function
        return function

    return register
