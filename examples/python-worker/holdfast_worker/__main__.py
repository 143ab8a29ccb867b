"""`./worker --coordinator HOST:PORT --agent-id NAME ...`"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

# Before gRPC is imported: children are made by exec alone, and its fork handlers would stop its threads for each.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

from . import tls  # noqa: E402
from .journal import InUse, Newer  # noqa: E402
from .worker import Options, Worker  # noqa: E402


def parse(argv: list[str]) -> Options:
    """The command line; each option may also be a HOLDFAST_ variable."""
    env = os.environ
    parser = argparse.ArgumentParser(prog="worker", description="A Holdfast worker in Python.")
    parser.add_argument("--coordinator", default=env.get("HOLDFAST_COORDINATOR", "127.0.0.1:7400"), help="HOST:PORT")
    parser.add_argument("--agent-id", default=env.get("HOLDFAST_AGENT_ID", "python-worker"))
    parser.add_argument("--state-dir", type=Path, default=env.get("HOLDFAST_STATE_DIR"))
    parser.add_argument("--queue", action="append", help="repeat for several; default: default")
    parser.add_argument("--slots", type=int, default=int(env.get("HOLDFAST_SLOTS", "4")))
    parser.add_argument("--label", action="append", default=[], help="NAME=VALUE; repeat for several")
    parser.add_argument("--handlers", type=Path, help="a Python file that registers handlers")
    parser.add_argument("--drain-timeout", type=float, help="seconds that runs may take after SIGTERM; default: for ever")
    tls.add_options(parser)
    given = parser.parse_args(argv)
    queues = given.queue or [name for name in env.get("HOLDFAST_QUEUE", "default").split(",") if name]
    return Options(
        coordinator=given.coordinator,
        agent_id=given.agent_id,
        state_directory=(given.state_dir or Path(f"./{given.agent_id}.state")).resolve(),
        queues=tuple(queues),
        slots=given.slots,
        labels=tuple((name, value) for name, _, value in (text.partition("=") for text in given.label)),
        handlers_file=given.handlers.resolve() if given.handlers else None,
        handlers=handlers_of(given.handlers) if given.handlers else (),
        drain_timeout=given.drain_timeout,
        tls=tls.given_by(parser, given),
    )


def handlers_of(path: Path) -> tuple[str, ...]:
    """The names that a file registers, asked in another process: its imports are no business of the worker's."""
    command = [sys.executable, "-m", "holdfast_worker.call", str(path.resolve()), "--list"]
    listed = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=Path(__file__).parent.parent)
    return tuple(json.loads(listed.stdout.splitlines()[-1]))


async def serve(options: Options) -> None:
    """Until SIGTERM and the drain after it; a second signal ends it at once, and its runs with it."""
    worker = Worker(options)
    asked = False

    def asked_to_end() -> None:
        nonlocal asked
        if asked:
            os._exit(130)  # the keepers see the end of their pipes, and end the runs
        asked = True
        worker.drain()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked_to_end)
    await worker.run()


def main() -> None:
    """Exit code 0 after a drain, 1 when the state directory is another's, or of a newer worker."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        asyncio.run(serve(parse(sys.argv[1:])))
    except InUse as error:
        sys.exit(f"{error}\nTry another --state-dir, or end the other worker.")
    except Newer as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
