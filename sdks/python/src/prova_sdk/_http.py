"""Sends one request and reads one answer: no redirects, a deadline for the whole, bounded sizes.

It is http.client and not urllib's opener, because only then is the socket at hand: a
server that sends a byte now and then must not hold a request for longer than its deadline.
"""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
import threading
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Mapping

from .errors import ProvaError, Unreachable

DEFAULT_BASE_URL = "http://127.0.0.1:7788"

# What is read of an answer, in bytes: four times the largest request, because an ingest answers with signed receipts.
MAX_ANSWER = 64 << 20


@dataclass(frozen=True)
class Answer:
    """What came back. The names of the headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    data: bytes


class _Watch:
    """Ends an exchange that takes too long, or that somebody gives up."""

    def __init__(self, connection: http.client.HTTPConnection, seconds: float) -> None:
        self.ended = False
        self._connection = connection
        self._timer: threading.Timer | None = threading.Timer(seconds, self.end)
        self._timer.daemon = True
        try:
            self._timer.start()
        except RuntimeError:  # an interpreter that ends starts no threads; each read is still bounded
            self._timer = None

    def end(self) -> None:
        self.ended = True
        sock = self._connection.sock
        if sock is not None:
            try:
                # Not the method of an SSLSocket, which would take the session away from the thread that reads.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:
                pass

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


class Transport:
    """Speaks to one server. It is safe for concurrent use."""

    def __init__(self, base_url: str, api_key: str, agent: str, timeout: float) -> None:
        address = base_url or DEFAULT_BASE_URL
        if "@" in address:  # the address is not shown: it may hold a password
            raise ProvaError("base URL: want no user in it; the API key is given on its own")
        try:
            parts = urllib.parse.urlsplit(address)
            host, self._port = parts.hostname, parts.port
        except ValueError:
            raise ProvaError(f"base URL {address!a}: want an address such as https://prova.example.com or {DEFAULT_BASE_URL}") from None
        if parts.scheme not in ("http", "https") or not host:
            raise ProvaError(f"base URL {address!a}: want an address such as https://prova.example.com or {DEFAULT_BASE_URL}")
        if parts.query or parts.fragment:
            raise ProvaError(f"base URL of {host}: want no query and no fragment")
        if not address.isascii() or any(not "!" <= c <= "~" for c in address):
            raise ProvaError(f"base URL of {host}: it holds a space or another character that no address has")
        if any(not "!" <= c <= "~" for c in api_key):
            raise ProvaError("the API key holds a space, a line end or another character that no key has; was it copied whole?")
        self.base_url = address.rstrip("/")
        self._host, self._https = host, parts.scheme == "https"
        self._netloc, self._prefix = parts.netloc, parts.path.rstrip("/")
        self._key, self._agent, self.timeout = api_key, agent, timeout
        self._context: ssl.SSLContext | None = None

    def exchange(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, wait: float = 0, watches: set[_Watch] | None = None
    ) -> Answer:
        """Sends a request and reads its answer, whatever its status, within the timeout and wait seconds.

        Whoever holds watches can end the exchange. Raises Unreachable.
        """
        seconds = self.timeout + wait
        try:
            connection, target, extra = self._connect(path, seconds)
        except (OSError, ValueError) as e:  # certificates that cannot be read, a proxy that is no address
            raise Unreachable(self.base_url, _cause(e)) from e
        watch = _Watch(connection, seconds)
        if watches is not None:
            watches.add(watch)
        sent = {"User-Agent": self._agent, "Accept": "application/json", "Connection": "close", **extra, **headers}
        if self._key:
            sent["Authorization"] = "Bearer " + self._key
        try:
            return self._exchange(connection, method, target, sent, body, watch)
        except (OSError, http.client.HTTPException, ValueError) as e:
            raise Unreachable(self.base_url, "no answer in time" if watch.ended else _cause(e)) from e
        finally:
            watch.cancel()
            if watches is not None:
                watches.discard(watch)
            connection.close()

    def _exchange(
        self, connection: http.client.HTTPConnection, method: str, target: str, headers: Mapping[str, str], body: bytes | None, watch: _Watch
    ) -> Answer:
        connection.connect()
        if watch.ended:  # there was no socket yet that could be shut
            raise TimeoutError
        try:
            connection.request(method, target, body, dict(headers))
        except (BrokenPipeError, ConnectionResetError):
            if connection.sock is None:
                raise
            # A server that refuses a body unread may have answered before it hung up.
        response = connection.getresponse()
        data = response.read(MAX_ANSWER + 1)
        if watch.ended:  # an answer without a length seems to be whole where it was cut
            raise TimeoutError
        if len(data) > MAX_ANSWER:
            raise ValueError(f"the answer has more than {MAX_ANSWER} bytes; ask for fewer items")
        wanted = response.length
        if wanted:
            raise http.client.IncompleteRead(data, wanted)
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, data)

    def _connect(self, path: str, seconds: float) -> tuple[http.client.HTTPConnection, str, dict[str, str]]:
        """A connection that is not open yet, what to ask it for, and headers that it needs."""
        target = self._prefix + path
        proxy = self._proxy()
        if proxy is None:
            return self._to(self._host, self._port, self._https, seconds), target, {}
        login = {}
        if proxy.username:
            pair = urllib.parse.unquote(proxy.username) + ":" + urllib.parse.unquote(proxy.password or "")
            login["Proxy-Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        host, port = proxy.hostname or "", proxy.port
        if not self._https:
            return self._to(host, port, proxy.scheme == "https", seconds), f"http://{self._netloc}{target}", login
        connection = self._to(host, port or 80, True, seconds)
        connection.set_tunnel(self._host, self._port or 443, login)
        return connection, target, {}

    def _to(self, host: str, port: int | None, https: bool, seconds: float) -> http.client.HTTPConnection:
        if not https:
            return http.client.HTTPConnection(host, port, timeout=seconds)
        if self._context is None:
            self._context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=seconds, context=self._context)

    def _proxy(self) -> urllib.parse.SplitResult | None:
        """The proxy of HTTP_PROXY, HTTPS_PROXY and NO_PROXY; this machine is never asked through one."""
        if self._host == "localhost" or self._host.startswith("127.") or self._host == "::1":
            return None
        url = urllib.request.getproxies().get("https" if self._https else "http")
        if not url or urllib.request.proxy_bypass(self._netloc):
            return None
        return urllib.parse.urlsplit(url if "://" in url else "http://" + url)


def _cause(e: BaseException) -> str:
    if isinstance(e, TimeoutError):
        return "no answer in time"
    if isinstance(e, socket.gaierror):
        return "no address is known for it"
    if isinstance(e, http.client.IncompleteRead):
        return "the answer broke off"
    if isinstance(e, OSError) and e.strerror:
        return e.strerror.lower() if not isinstance(e, ssl.SSLError) else str(e)
    return str(e) or type(e).__name__


def segment(name: str) -> str:
    """Makes an id or a name safe as one part of a path."""
    if name in ("", ".", ".."):
        return "%00"  # a server in between would clean it away and reach another route
    return urllib.parse.quote(name, safe="")
