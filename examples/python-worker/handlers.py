"""Functions for `./worker --handlers handlers.py`."""

from __future__ import annotations

import time

from holdfast_worker.handlers import Context, FinalError, handler


@handler("resize")
def resize(input: dict, context: Context) -> dict:
    """An area; a width that is no number will not become one by trying again."""
    if not isinstance(input.get("width"), (int, float)):
        raise FinalError("width must be a number")
    return {"area": input["width"] ** 2, "token": context.token}


@handler("sleep")
def sleep(input: dict, context: Context) -> None:
    """Holds a slot for so many seconds."""
    print(f"sleeping {input['seconds']} s under token {context.token}", flush=True)
    time.sleep(input["seconds"])


@handler("wait")
async def wait(input: dict, context: Context) -> str:
    """Gives its slot back for so long, and goes on."""
    if context.resumed is None:
        context.defer("delta", {"for": input["for"]}, state={"asked": input["for"]})
    return f"waited {context.resumed['state']['asked']}"
