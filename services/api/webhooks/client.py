"""One attempt to send a webhook: a POST with signatures, to where webhooks may lead, within a time."""

import asyncio
from typing import NamedTuple

import aiohttp

from services.api.webhooks.destinations import Destinations
from services.api.webhooks.signatures import signed_headers
from shared.runtime.clock import Clock

GONE = 410
_CONNECT_TIMEOUT_S = 5.0
_SUCCESSES = range(200, 300)
_REDIRECTS = range(300, 400)
_MAX_ERROR_LENGTH = 500


class Answer(NamedTuple):
    """What came of an attempt: the status of the receiver, or None and why there is none."""

    status: int | None
    error: str | None

    @property
    def is_taken(self) -> bool:
        """The receiver has it."""
        return self.error is None


class WebhookClient:
    """Sends to receivers. Every attempt looks the host up and connects anew, so that each address is looked at."""

    def __init__(self, destinations: Destinations, clock: Clock, timeout_s: float) -> None:
        """`timeout_s`: the longest that an attempt takes, from looking up the host to the receiver's status."""
        self._destinations, self._clock = destinations, clock
        self._timeout_s = timeout_s

    async def post(self, url: str, secret: str, message_id: str, body: str) -> Answer:
        """Make one attempt. What the receiver answers beyond its status is not read."""
        content = body.encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Shoal-Webhooks/1",
            **signed_headers(secret, message_id, self._clock.now_us() // 1_000_000, content),
        }
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._session(url) as session,
                session.post(url, data=content, headers=headers, allow_redirects=False) as response,
            ):
                return _answer(response.status)
        except TimeoutError:
            return Answer(None, "no answer in time")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Answer(None, (str(error) or type(error).__name__)[:_MAX_ERROR_LENGTH])

    def _session(self, url: str) -> aiohttp.ClientSession:
        scheme = url.partition(":")[0].lower()
        connector = aiohttp.TCPConnector(
            use_dns_cache=False, force_close=True, socket_factory=self._destinations.sockets(scheme)
        )
        return aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT_S),
            # neither proxies nor credentials of this machine, no cookies of other receivers, no decompression
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )


def _answer(status: int) -> Answer:
    if status in _SUCCESSES:
        return Answer(status, None)
    hint = ", redirects are not followed" if status in _REDIRECTS else ""
    return Answer(status, f"answered {status}{hint}")
