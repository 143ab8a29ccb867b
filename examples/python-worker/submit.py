"""Submits a task, follows its output, waits for its end, and says how it went.

    ./submit --coordinator HOST:7400 -- sh -c 'echo hello'
    ./submit --handler resize --input '{"width": 3}'

Exit code 0 when the task succeeded, 3 when it did not.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import grpc
from google.protobuf.message import Message

from holdfast_worker import tls
from holdfast_worker.protos import task, types

SERVICE = "/holdfast.v1.TaskService/"
ENDED = {
    task.TASK_STATE_SUCCESS,
    task.TASK_STATE_FAILED,
    task.TASK_STATE_CANCELLED,
    task.TASK_STATE_SKIPPED,
    task.TASK_STATE_UPSTREAM_FAILED,
}
# What a call is repeated for: the coordinator is away, and will be back.
AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)


class Client:
    """The few calls of TaskService that a submitter needs, over one channel."""

    def __init__(self, address: str, secured: tls.Tls | None) -> None:
        if secured is None:
            self._channel = grpc.insecure_channel(address)
        else:
            self._channel = grpc.secure_channel(address, secured.credentials(), secured.options())

    def submit(self, spec: task.TaskSpec, give_up_after: float = 60.0) -> str:
        """The id of the accepted task. Repeating is safe: the idempotency key makes a second task impossible."""
        spec.idempotency_key = spec.idempotency_key or f"submit.py-{uuid.uuid4()}"
        call = self._channel.unary_unary(
            SERVICE + "SubmitTasks",
            request_serializer=task.SubmitTasksRequest.SerializeToString,
            response_deserializer=task.SubmitTasksResponse.FromString,
        )
        deadline = time.monotonic() + give_up_after
        while True:
            try:
                return call(task.SubmitTasksRequest(tasks=[spec]), timeout=10).tasks[0].task_id
            except grpc.RpcError as error:
                if error.code() not in AWAY or time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    def wait(self, task_id: str) -> task.Task:
        """The task once it has ended, over restarts of the coordinator."""
        newest = None
        while newest is None or newest.state not in ENDED:
            request = task.WatchTasksRequest(task_ids=[task_id])
            for answer in self._stream("WatchTasks", request, task.WatchTasksResponse):
                newest = answer.task
        return newest

    def follow(self, task_id: str) -> None:
        """Copy the output of all tries to ours, until the task has ended. After a loss it begins where it was."""
        seen: dict[tuple[int, int], int] = {}
        request = task.ReadTaskLogsRequest(task_id=task_id, follow=True)
        while True:
            had: dict[tuple[int, int], int] = {}
            try:
                for piece in self._stream("ReadTaskLogs", request, task.ReadTaskLogsResponse, once=True):
                    key = (piece.try_number, piece.fencing_token)
                    begin = had.get(key, 0)
                    had[key] = begin + len(piece.data)
                    fresh = piece.data[max(0, seen.get(key, 0) - begin) :]
                    seen[key] = max(seen.get(key, 0), had[key])
                    out = sys.stderr if piece.stream == types.LOG_STREAM_STDERR else sys.stdout
                    out.buffer.write(fresh)
                    out.flush()
                return
            except grpc.RpcError as error:
                if error.code() not in AWAY:
                    raise
                time.sleep(0.5)

    def _stream(self, method: str, request: Message, answer: type[Message], once: bool = False) -> Iterator[Any]:
        call = self._channel.unary_stream(
            SERVICE + method,
            request_serializer=type(request).SerializeToString,
            response_deserializer=answer.FromString,
        )
        try:
            yield from call(request)
        except grpc.RpcError as error:
            if once or error.code() not in AWAY:
                raise
            time.sleep(0.5)


def parse(argv: list[str]) -> tuple[Client, task.TaskSpec]:
    """The coordinator and the task."""
    parser = argparse.ArgumentParser(prog="submit", description="Submit a task, follow its output, wait for its end.")
    parser.add_argument("--coordinator", default=os.environ.get("HOLDFAST_COORDINATOR", "127.0.0.1:7400"))
    parser.add_argument("--queue", default="default")
    parser.add_argument("--retries", type=int, default=0)
    parser.add_argument("--handler")
    parser.add_argument("--input", help="JSON for the handler")
    parser.add_argument("command", nargs="*", help="program and arguments, after --")
    tls.add_options(parser)
    given = parser.parse_args(argv)
    if bool(given.handler) == bool(given.command):
        parser.error("give a command after --, or --handler NAME")
    spec = task.TaskSpec(queue=given.queue, retries=given.retries)
    if given.handler:
        spec.work.handler.name = given.handler
        if given.input:
            spec.work.handler.input, spec.work.handler.input_type = given.input.encode(), "application/json"
    else:
        spec.work.command.argv.extend(given.command)
    return Client(given.coordinator, tls.given_by(parser, given)), spec


def main() -> int:
    """Submit, follow, wait."""
    client, spec = parse(sys.argv[1:])
    task_id = client.submit(spec)
    print(f"submitted {task_id}", file=sys.stderr)
    follower = threading.Thread(target=client.follow, args=(task_id,), daemon=True)
    follower.start()
    ended = client.wait(task_id)
    follower.join(timeout=5)
    state = task.TaskState.Name(ended.state).removeprefix("TASK_STATE_").lower()
    print(f"{state} after {ended.try_number} tries {ended.reason} {ended.message}".rstrip(), file=sys.stderr)
    if ended.result:
        print(ended.result.decode(errors="replace"))
    return 0 if ended.state == task.TASK_STATE_SUCCESS else 3


if __name__ == "__main__":
    sys.exit(main())
