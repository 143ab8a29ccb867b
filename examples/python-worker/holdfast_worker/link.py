"""One stream: a channel of its own, one writer, one reader, and the silence that ends it (P4)."""

from __future__ import annotations

import asyncio

import grpc
import grpc.aio

from .protos import agent
from .tls import Tls

METHOD = "/holdfast.v1.AgentService/Connect"
OPTIONS = [
    # gRPC shares subchannels, and their own back-off, between channels to one address: a stream that is dialled anew would
    # wait for up to two minutes behind our back. P9's back-off is the only one here.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.max_send_message_length", 64 * 1024 * 1024),
    # Proxies of the environment are for the web, and break long streams.
    ("grpc.enable_http_proxy", 0),
]


class StreamEnded(Exception):
    """The stream is over, for whatever reason: a status, silence, or the server's own end of it."""

    def __init__(self, why: str, denied: bool = False) -> None:
        super().__init__(why)
        self.denied = denied


class Link:
    """One call of Connect."""

    def __init__(self, address: str, tls: Tls | None) -> None:
        self._channel = _channel(address, tls)
        connect = self._channel.stream_stream(
            METHOD,
            request_serializer=agent.ConnectRequest.SerializeToString,
            response_deserializer=agent.ConnectResponse.FromString,
        )
        self._call = connect()

    async def send(self, message: agent.ConnectRequest) -> None:
        """Write one message; returns when the transport has room for the next."""
        try:
            await self._call.write(message)
        except (grpc.RpcError, asyncio.InvalidStateError, asyncio.CancelledError) as error:
            _pass_on_if_ours(error)
            raise await self._ended() from error

    async def receive(self, within: float) -> agent.ConnectResponse:
        """The next message, within so many seconds; nobody talks to a stream that is silent for longer (P4)."""
        try:
            async with asyncio.timeout(within):
                message = await self._call.read()
        except TimeoutError as error:
            raise StreamEnded(f"silent for {within:.1f} s") from error
        except (grpc.RpcError, asyncio.InvalidStateError, asyncio.CancelledError) as error:
            _pass_on_if_ours(error)
            raise await self._ended() from error
        if message is grpc.aio.EOF:
            raise await self._ended()
        return message

    async def _ended(self) -> StreamEnded:
        try:
            async with asyncio.timeout(1.0):
                code, details = await self._call.code(), await self._call.details()
        except TimeoutError:
            return StreamEnded("ended without a status")
        denied = code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
        return StreamEnded(f"{code.name}: {details}", denied)

    async def close(self) -> None:
        """Tear it down: cancelling, since a half-close towards a dead peer would wait for its answer."""
        self._call.cancel()
        await self._channel.close()


def _channel(address: str, tls: Tls | None) -> grpc.aio.Channel:
    if tls is None:
        return grpc.aio.insecure_channel(address, options=OPTIONS)
    try:
        credentials = tls.credentials()
    except OSError as error:  # the certificate is being changed, say: no reason to leave what runs alone
        raise StreamEnded(f"cannot read {error.filename}: {error.strerror}") from error
    return grpc.aio.secure_channel(address, credentials, options=OPTIONS + tls.options())


def _pass_on_if_ours(error: BaseException) -> None:
    """A call that ended with CANCELLED raises CancelledError, which is not ours unless this task is being cancelled."""
    task = asyncio.current_task()
    if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0:
        raise error
