"""Refuses, before gradio sees them, requests from other sites and bodies that are too large; and
what visitors have sent runs nothing in the browsers of others."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable, Collection
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 16 * 2**20  # bytes; the largest painting takes 10.4 MB as the page sends it
MAX_BODIES = 2**28  # bytes, of all requests that are still arriving
SLOWEST = 120.0  # seconds, for a body
API = "/gradio_api/"
UPLOADS = f"{API}upload"  # where gradio takes files
# What gradio serves beside, and no page or program of ours asks for: files into an ffmpeg of its
# own, files past every quota, calls into components, other servers, and code.
UNUSED = (
    *("process_recording", "deep_link", "component_server", "stream", "proxy=", "run-history"),
    *("vibe-", "undo-vibe-", "profiling"),
)
FILES = re.compile(rf"{API}file[=/]")
ELSEWHERE = re.compile(rf"{API}file[=/]\s*https?:", re.IGNORECASE)  # gradio would fetch these
# A file of a visitor may be a page with a program in it, which would run as if it were ours.
LIFELESS = "sandbox; default-src 'none'; img-src 'self'; media-src 'self'"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class Guard:
    """ASGI middleware: our own page and programs only, bounded bodies, an upload folder with room.

    A page elsewhere may post to a studio on this machine, and read the answer where gradio's CORS
    allows it; the browser then names its Origin, which has to be ours, also when it asks beforehand
    (OPTIONS). Programs send none and are let through.
    A page elsewhere may also point a name of its own at this machine, so that its Origin and Host
    are one (DNS rebinding): where `hosts` is given, only requests to this machine's own names and
    to those are answered. None is for a server that is reached by names we cannot know.
    `serves` says which files gradio may be asked for at all.
    """

    def __init__(
        self,
        app: ASGIApp,
        room_for_upload: Callable[[], bool] = lambda: True,
        max_body: int = MAX_BODY,
        max_upload: float = math.inf,
        hosts: Collection[str] | None = None,
        comes_in: Callable[[], None] = lambda: None,
        max_bodies: int = MAX_BODIES,
        slowest: float = SLOWEST,
        serves: Callable[[str], bool] = lambda path: True,
    ) -> None:
        self.app = app
        self.room_for_upload = room_for_upload
        self.max_body = max_body
        self.max_upload = max_upload
        self.hosts = None if hosts is None else frozenset(host.lower() for host in hosts)
        self.comes_in = comes_in
        self.max_bodies = max_bodies
        self.slowest = slowest
        self.serves = serves
        self.arriving = 0  # bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host = host_name(headers.get("host", ""))
        if self.hosts is not None and not (is_loopback(host) or host in self.hosts):
            words = "The studio is not served under this name: start it with --allow-host NAME."
            await _refuse(421, words, scope, receive, send)
        elif is_unused(scope["path"]) or not self._serves(scope["path"]):
            await _refuse(404, "There is nothing here.", scope, receive, send)
        elif not self._is_ours(headers, reads=scope["method"] in SAFE_METHODS):
            await _refuse(403, "This request comes from another site.", scope, receive, send)
        elif scope["method"] in SAFE_METHODS:
            lifeless = FILES.search(scope["path"]) is not None
            await self.app(scope, receive, _lifeless(send) if lifeless else send)
        elif scope["path"].rstrip("/").endswith(UPLOADS):
            await self._upload(headers, scope, receive, send)
        else:
            await self._bounded(headers, scope, receive, send)

    def _serves(self, path: str) -> bool:
        """Whether a path, decoded as gradio has it, is of no file or of one for visitors."""
        asked = FILES.search(path)
        return asked is None or self.serves(path[asked.end() :])

    def _is_ours(self, headers: Headers, reads: bool) -> bool:
        """Whether the request names no Origin, or one that the studio is served under."""
        origin = headers.get("origin")
        if origin is None:  # as a link on another page, which may read nothing
            return reads or headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
        try:
            asked = urlsplit(origin).netloc.lower()
        except ValueError:
            return False
        # A page elsewhere can send X-Forwarded-Host too, though not before its OPTIONS is answered.
        proxy = headers.get("x-forwarded-host", "").lower()
        named = self.hosts is None or host_name(proxy) in self.hosts
        return bool(asked) and asked in (headers.get("host", "").lower(), proxy if named else "")

    async def _upload(self, headers: Headers, scope: Scope, receive: Receive, send: Send) -> None:
        """Gradio bounds each file, but takes a thousand in a request."""
        declared = headers.get("content-length", "")
        told = declared.isdecimal() and len(declared) < 13 and "transfer-encoding" not in headers
        if not told or int(declared) > self.max_upload:
            words = "The upload is too large, or does not say how large it is."
            await _refuse(413, words, scope, receive, send)
        elif await anyio.to_thread.run_sync(self.room_for_upload):
            await self.app(scope, receive, send)
        else:
            words = "The upload folder is full. Try again later."
            await _refuse(507, words, scope, receive, send)

    async def _bounded(self, headers: Headers, scope: Scope, receive: Receive, send: Send) -> None:
        words = f"The request is larger than {self.max_body >> 20} MB: use fewer frames or steps."
        declared = headers.get("content-length", "")
        if declared.isdigit() and int(declared) > self.max_body:
            await _refuse(413, words, scope, receive, send)
            return
        self.comes_in()
        body = bytearray()
        try:
            with anyio.fail_after(self.slowest):
                more = True
                while more:  # read it whole: gradio would too, but without a bound
                    message = await receive()
                    if message["type"] != "http.request":
                        return
                    part = message.get("body", b"")
                    body += part
                    self.arriving += len(part)
                    more = message.get("more_body", False)
                    if len(body) > self.max_body:
                        await _refuse(413, words, scope, receive, send)
                        return
                    if self.arriving > self.max_bodies:
                        await _refuse(503, "Too much arrives at once.", scope, receive, send)
                        return
        except TimeoutError:
            await _refuse(408, "The request took too long to arrive.", scope, receive, send)
            return
        finally:
            self.arriving -= len(body)
        replay: Message | None = {"type": "http.request", "body": bytes(body), "more_body": False}

        async def receive_again() -> Message:
            nonlocal replay
            message, replay = replay, None
            return message if message is not None else await receive()

        await self.app(scope, receive_again, send)


def is_unused(path: str) -> bool:
    """Whether a path leads to a part of gradio that is not offered here."""
    _, served, rest = path.partition(API)  # what follows may hold an address of its own
    return bool(served) and (rest.startswith(UNUSED) or ELSEWHERE.search(path) is not None)


def _lifeless(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Content-Security-Policy"] = LIFELESS
            headers["X-Content-Type-Options"] = "nosniff"
        await send(message)

    return sent


def host_name(host: str) -> str:
    """A Host header without its port, in small letters."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    """Whether a host's name or address can only be this machine: no one else can be given it."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _refuse(status: int, words: str, scope: Scope, receive: Receive, send: Send) -> None:
    await JSONResponse({"detail": words}, status)(scope, receive, send)
