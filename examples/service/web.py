"""HTTP/1.1 (RFC 9112) over asyncio, as far as this service needs it: requests with a Content-Length, kept connections.

A request has limits in bytes and in seconds, counted from its first byte to its last, so a client that sends slowly
cannot hold more than its connection. What is ambiguous is refused rather than guessed. A refusal that leaves a part of
a request unread ends the connection: what is left is read and dropped for a moment, so that the client gets the answer
and not a reset.
"""

import asyncio
import dataclasses
import http
import json
import re
import urllib.parse

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_REQUEST_LINE = re.compile(rb"([A-Z]{1,16}) ([!-~]{1,8000}) HTTP/([0-9])\.([0-9])")
_LINGER_SECONDS = 2.0


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a client may ask of a worker."""

    header_bytes_max: int = 16 << 10
    body_bytes_max: int = 1 << 20
    read_seconds: float = 10.0  #: for one request, from its first byte to its last
    idle_seconds: float = 75.0  #: between two requests
    answer_seconds: float = 10.0  #: until a search that waits for others, or takes long, is answered with 503
    connection_count_max: int = 512  #: of one worker; more wait until one ends
    job_count_max: int = 64  #: searches of one worker that are being answered or wait; one more is answered with 503
    k_max: int = 100
    ef_max: int = 1000
    text_length_max: int = 2000
    filter_key_count_max: int = 10000


class Refusal(Exception):
    """A request that is answered with an error."""

    def __init__(self, status, message, *, close=False, headers=()):
        super().__init__(message)
        self.status, self.message, self.close, self.headers = status, message, close, headers


@dataclasses.dataclass
class Request:
    """A request that was read whole."""

    method: str
    path: str  #: decoded
    query: dict  #: name: value; a name that is there twice is refused
    headers: dict  #: names in lower case
    body: bytes
    keep: bool  #: whether the client goes on with this connection


@dataclasses.dataclass
class Answer:
    """What is sent back."""

    status: int
    body: bytes
    kind: str = "application/json"
    headers: tuple = ()

    @classmethod
    def of(cls, value, status=200, headers=()):
        return cls(status, json.dumps(value, ensure_ascii=False, allow_nan=False).encode() + b"\n", headers=headers)

    @classmethod
    def refusal(cls, refusal):
        error = {"status": refusal.status, "message": refusal.message}
        return cls.of({"error": error}, refusal.status, tuple(refusal.headers))


class Connection:
    """One client. `idle` says that it has not begun a request, so the connection may be ended without a loss."""

    def __init__(self, reader, writer, limits):
        self._reader, self._writer, self._limits = reader, writer, limits
        self.idle = True
        address = writer.get_extra_info("peername") or ("unknown",)
        self.client = str(address[0])

    async def read(self, idle_seconds):
        """The next request; None once the client has ended the connection, or did not begin one in `idle_seconds`."""
        self.idle = True
        first = await self._first_byte(idle_seconds)
        self.idle = False
        if not first:
            return None
        try:
            async with asyncio.timeout(self._limits.read_seconds):
                return await self._read_rest(first)
        except TimeoutError:
            message = f"the request was not complete after {self._limits.read_seconds:g} seconds"
            raise Refusal(408, message, close=True) from None
        except (asyncio.IncompleteReadError, ConnectionError):
            return None  # the client went away in the middle

    async def _first_byte(self, idle_seconds):
        try:
            async with asyncio.timeout(idle_seconds):
                while True:
                    first = await self._reader.read(1)
                    if first not in (b"\r", b"\n"):  # empty lines may come before a request
                        return first
        except (TimeoutError, ConnectionError):
            return b""

    async def _read_rest(self, first):
        try:
            head = first + await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            message = f"more than {self._limits.header_bytes_max:,} bytes of headers"
            raise Refusal(431, message, close=True) from None
        method, target, version, headers = _parsed_head(head)
        keep = _keeps(version, headers)
        size = _body_size(headers, self._limits.body_bytes_max)
        if headers.get("expect", "").lower() == "100-continue" and size:
            self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await self._reader.readexactly(size) if size else b""
        path, query = _parsed_target(target)
        return Request(method, path, query, headers, body, keep)

    async def send(self, answer, *, keep, with_body=True):
        """Sends an answer; `with_body` is false for what HEAD asks."""
        lines = [
            f"HTTP/1.1 {answer.status} {http.HTTPStatus(answer.status).phrase}",
            f"Content-Type: {answer.kind}",
            f"Content-Length: {len(answer.body)}",
            "X-Content-Type-Options: nosniff",
            *(f"{name}: {value}" for name, value in answer.headers),
            f"Connection: {'keep-alive' if keep else 'close'}",
        ]
        head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        self._writer.write(head + answer.body if with_body else head)
        async with asyncio.timeout(self._limits.read_seconds):  # a client that does not read
            await self._writer.drain()

    async def linger(self):
        """Reads what a refused client still sends, for a moment."""
        try:
            async with asyncio.timeout(_LINGER_SECONDS):
                self._writer.write_eof()
                while await self._reader.read(1 << 16):
                    pass
        except (TimeoutError, OSError, RuntimeError):
            pass

    async def close(self):
        """Ends the connection; what a client does not take within a moment is dropped."""
        self._writer.close()
        try:
            async with asyncio.timeout(_LINGER_SECONDS):
                await self._writer.wait_closed()
        except (TimeoutError, OSError):
            self._writer.transport.abort()


def _parsed_head(head):
    """(method, target, (major, minor), headers) of the bytes up to and including the empty line."""
    first, *lines = head[:-4].split(b"\r\n")
    found = _REQUEST_LINE.fullmatch(first)
    if found is None:
        raise Refusal(400, "the first line is not that of an HTTP request, or is too long", close=True)
    method, target, major, minor = (part.decode("ascii") for part in found.groups())
    if major != "1":
        raise Refusal(505, f"HTTP/1.1 expected, found HTTP/{major}.{minor}", close=True)
    headers = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not _TOKEN.fullmatch(name):
            raise Refusal(400, "a header is not 'name: value'", close=True)
        name = name.decode("ascii").lower()
        value = value.strip(b" \t").decode("latin-1")
        if any(ord(letter) < 32 and letter != "\t" for letter in value):
            raise Refusal(400, f"header {name}: a control character", close=True)
        if name in headers and name in ("content-length", "host", "transfer-encoding"):
            raise Refusal(400, f"header {name}: more than once", close=True)
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    if minor != "0" and "host" not in headers:
        raise Refusal(400, "header host: missing", close=True)
    return method, target, (int(major), int(minor)), headers


def _keeps(version, headers):
    wishes = {wish.strip().lower() for wish in headers.get("connection", "").split(",")}
    return "keep-alive" in wishes if version == (1, 0) else "close" not in wishes


def _body_size(headers, body_bytes_max):
    if "transfer-encoding" in headers:
        raise Refusal(411, "Transfer-Encoding is not supported: send a Content-Length", close=True)
    size = headers.get("content-length", "0")
    if not (size.isascii() and size.isdigit()):
        raise Refusal(400, "header content-length: not a number", close=True)
    if len(size) > 18 or int(size) > body_bytes_max:
        raise Refusal(413, f"a body of at most {body_bytes_max:,} bytes expected, found {size[:18]}", close=True)
    return int(size)


def _parsed_target(target):
    """(path, query) of a target such as /api/search?k=3, decoded."""
    if not target.startswith("/"):
        raise Refusal(400, "the target of the request does not begin with /", close=True)
    path, _, text = target.partition("?")
    try:
        pairs = urllib.parse.parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=50)
        path = urllib.parse.unquote(path, errors="strict")
    except ValueError:
        raise Refusal(400, "the target of the request is not UTF-8, or has too many fields") from None
    query = dict(pairs)
    if len(query) != len(pairs):
        raise Refusal(400, "the same field twice in the query")
    return path, query
