"""The process of one handler call: `python -m holdfast_worker.call FILE NAME`; with `--list` it names what FILE has."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

from . import handlers

DEFER_EXIT_CODE = 75


def load(path: str) -> None:
    """Import the module that registers the handlers."""
    spec = importlib.util.spec_from_file_location("handlers_of_this_worker", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(Path(path).resolve().parent))
    spec.loader.exec_module(module)


def fail(reason: str, message: str, final: bool = False) -> NoReturn:
    """Leave the reason where the worker looks for it."""
    traceback.print_exc()
    Path(os.environ["HOLDFAST_ERROR_FILE"]).write_text(
        json.dumps({"reason": reason, "message": message, "final": final})
    )
    sys.exit(1)


def call(path: str, name: str) -> None:
    """Call one handler, and leave its result."""
    try:
        load(path)
    except Exception as error:
        fail("start_failed", f"{path}: {type(error).__name__}: {error}")
    function = handlers.registered.get(name)
    if function is None:
        fail("handler_unknown", f"this worker has no handler {name!r}")
    raw = Path(os.environ["HOLDFAST_INPUT_FILE"]).read_bytes()
    try:
        value: Any = json.loads(raw) if raw else None
    except ValueError as error:
        fail("handler_input_invalid", f"the input is not JSON: {error}", final=True)
    resume = os.environ.get("HOLDFAST_RESUME_FILE")
    context = handlers.Context(
        task_id=os.environ["HOLDFAST_TASK_ID"],
        try_number=int(os.environ["HOLDFAST_TRY_NUMBER"]),
        token=int(os.environ["HOLDFAST_FENCING_TOKEN"]),
        resumed=json.loads(Path(resume).read_text()) if resume else None,
    )
    try:
        result = function(value, context)
        if inspect.isawaitable(result):
            result = asyncio.run(_await(result))
    except handlers.Deferred as deferred:
        Path(os.environ["HOLDFAST_DEFER_FILE"]).write_text(json.dumps(deferred.args[0]))
        sys.exit(DEFER_EXIT_CODE)
    except Exception as error:
        final = isinstance(error, handlers.FinalError)
        fail("handler_failed", f"{type(error).__name__}: {error}", final)
    if result is not None:
        data = result if isinstance(result, bytes) else _encode(result)
        Path(os.environ["HOLDFAST_RESULT_FILE"]).write_bytes(data)


async def _await(result: Any) -> Any:
    return await result


def _encode(result: Any) -> bytes:
    try:
        return json.dumps(result).encode()
    except (TypeError, ValueError) as error:
        fail("handler_output_invalid", f"JSON cannot hold the result: {error}")


if __name__ == "__main__":
    if sys.argv[2] == "--list":
        load(sys.argv[1])
        print(json.dumps(sorted(handlers.registered)))
    else:
        call(sys.argv[1], sys.argv[2])
