"""The way to a host: directly, or through a proxy."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from airflow_provider_datafold.client import failure, lookup
from airflow_provider_datafold.client.channel import Channel, Message
from airflow_provider_datafold.client.stream import Encrypted, Stream, connect
from airflow_provider_datafold.connection.settings import Settings
from airflow_provider_datafold.redaction.secret import Secret

_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
_LONGEST_LOGIN = 255
"""Bytes of a user or a password that SOCKS can send."""

_REFUSES = (401, 403, 407)
"""Statuses of a proxy that refuses to forward the request."""


@dataclass(frozen=True)
class Place:
    """Where to connect to.

    :param scheme: what is spoken there.
    :param host: a name or an address.
    :param port: the port.
    """

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Place:
        """Read a URL.

        :raises ValueError: it is none, or its scheme is unknown.
        """
        parts = urlsplit(url)
        if not parts.hostname or parts.scheme not in _PORTS:
            raise ValueError("no host, or an unknown scheme")
        return cls(parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme])

    @property
    def is_tls(self) -> bool:
        """Whether TLS is spoken there."""
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """Host and port as HTTP writes them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Route:
    """The way to the host of a connection.

    :param settings: of the connection.
    :raises DatafoldConfigurationError: the proxy's URL is wrong.
    """

    def __init__(self, settings: Settings) -> None:
        self._base_url = settings.base_url
        self._target = Place.of(settings.base_url)
        self._proxy, self._login = _proxy(settings.proxy)

    @property
    def needs_tls(self) -> bool:
        """Whether anything on the way speaks TLS."""
        return self._target.is_tls or (self._proxy is not None and self._proxy.is_tls)

    @property
    def _is_socks(self) -> bool:
        return self._proxy is not None and self._proxy.scheme.startswith("socks")

    def target(self, path: str) -> str:
        """Return what a request names as its target.

        :param path: a path on the host.
        """
        if self._is_forwarded:
            return f"{self._base_url}{path}"
        return f"{urlsplit(self._base_url).path}{path}"

    def headers(self) -> list[tuple[str, str]]:
        """Return the header fields that the way needs. They may show the proxy's password."""
        host = ("Host", urlsplit(self._base_url).netloc)
        return [host, *self._proxy_headers()] if self._is_forwarded else [host]

    @property
    def _is_forwarded(self) -> bool:
        """Whether the proxy reads the request, and sends it on."""
        return self._proxy is not None and not self._target.is_tls and not self._is_socks

    def _proxy_headers(self) -> list[tuple[str, str]]:
        if self._login is None:
            return []
        plain = ":".join(self._login.reveal()).encode()
        return [("Proxy-Authorization", f"Basic {b64encode(plain).decode()}")]

    async def open(self, context: ssl.SSLContext | None, on_connected: Any) -> Channel:
        """Connect.

        :param context: the TLS context, where it is needed.
        :param on_connected: is called when the host, or the proxy, has taken the connection.
        :raises DatafoldError: the proxy refuses.
        :raises OSError: that failed.
        :raises h11.ProtocolError: the proxy does not speak HTTP.
        """
        first = self._proxy or self._target
        plain = await connect(await lookup.addresses(first.host, first.port))
        try:
            return Channel(await self._prepare(plain, context, on_connected), context)
        except BaseException:
            plain.close()
            raise

    async def _prepare(
        self, stream: Stream, context: ssl.SSLContext | None, on_connected: Any
    ) -> Stream:
        if self._is_socks:
            await self._pass_socks(stream)
        on_connected()
        if self._proxy is not None and self._proxy.is_tls:
            stream = await _encrypted(stream, context, self._proxy)
        if self._proxy is not None and self._target.is_tls and not self._is_socks:
            await self._pass_tunnel(stream)
        return await _encrypted(stream, context, self._target) if self._target.is_tls else stream

    async def _pass_tunnel(self, stream: Stream) -> None:
        host = self._target.authority
        headers = [("Host", host), ("Accept", "*/*"), *self._proxy_headers()]
        status = await Channel(stream).ask_for_tunnel(Message("CONNECT", host, headers))
        if status in _REFUSES:
            raise failure.proxy_refused()
        if not 200 <= status < 300:
            raise failure.proxy_unreachable()

    async def _pass_socks(self, stream: Stream) -> None:
        try:
            from socksio import SOCKSError
        except ImportError:
            raise failure.proxy_unusable() from None
        try:
            if await _shake_hands_with_socks(stream, self._target, self._login):
                return
        except (SOCKSError, OSError):
            pass
        raise failure.proxy_unreachable()


def _proxy(url: Secret | None) -> tuple[Place | None, Secret | None]:
    """Return where a proxy is, and its user and password if it has any."""
    if url is None:
        return None, None
    try:
        parts, place = urlsplit(url.reveal()), Place.of(url.reveal())
    except ValueError:
        place = None
    if place is None:
        # Not in the handler, whose error quotes the URL.
        raise failure.proxy_unusable()
    if parts.username is None and parts.password is None:
        return place, None
    login = Secret((unquote(parts.username or ""), unquote(parts.password or "")))
    is_socks = place.scheme.startswith("socks")
    if is_socks and any(len(part.encode()) > _LONGEST_LOGIN for part in login.reveal()):
        raise failure.proxy_unusable()
    return place, login


async def _encrypted(stream: Stream, context: ssl.SSLContext | None, place: Place) -> Stream:
    assert context is not None  # noqa: S101 - Route.needs_tls says so
    # Certificates name hosts without the dot at the end.
    encrypted = Encrypted(stream, context, place.host.rstrip("."))
    await encrypted.shake_hands()
    return encrypted


async def _shake_hands_with_socks(stream: Stream, target: Place, login: Secret | None) -> bool:
    """Let a SOCKS proxy connect to a host, whose name it looks up; return whether it did."""
    from socksio import socks5

    socks = socks5.SOCKS5Connection()

    async def ask(question: Any, size: Callable[[bytes], int] = lambda _: 2) -> Any:
        socks.send(question)
        await stream.send(socks.data_to_send())
        reply = b""
        while len(reply) < size(reply):
            if not (received := await stream.receive()):
                raise OSError("the proxy closed the connection")
            reply += received
        return socks.receive_data(reply)

    methods = socks5.SOCKS5AuthMethod
    method = methods.NO_AUTH_REQUIRED if login is None else methods.USERNAME_PASSWORD
    if (await ask(socks5.SOCKS5AuthMethodsRequest([method]))).method != method:
        return False
    if login is not None:
        user, password = (part.encode() for part in login.reveal())
        if not (await ask(socks5.SOCKS5UsernamePasswordRequest(user, password))).success:
            return False
    place = (target.host, target.port)
    connect_to = socks5.SOCKS5Command.CONNECT
    request = socks5.SOCKS5CommandRequest.from_address(connect_to, place)
    reply = await ask(request, _size_of_reply)
    return bool(reply.reply_code == socks5.SOCKS5ReplyCode.SUCCEEDED)


def _size_of_reply(start: bytes) -> int:
    """Return how long a reply to a request is, or how much of it says so (RFC 1928, section 6)."""
    if len(start) < 5:
        return 5
    # Of an IPv4 address, a name or an IPv6 address; any other is refused as it is.
    return {1: 10, 3: 7 + start[4], 4: 22}.get(start[3], 5)
