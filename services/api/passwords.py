"""Passwords: kept as Argon2 hashes, and checked in the same time whether there is somebody to check against."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from services.api.errors import Unavailable

_AT_ONCE = 2
"""One check takes 64 MiB and a core for a part of a second."""
_WAITING = 50

T = TypeVar("T")


class Passwords:
    """Hashes and checks passwords beside the event loop."""

    def __init__(self) -> None:
        self.hasher = PasswordHasher()
        """What a hash costs that is made from now on; those that are stored say their own."""
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._under_way = 0
        self._of_nobody: str | None = None

    async def hashed(self, password: str) -> str:
        """The hash to store, with its salt and costs in it. Raises Unavailable when too many ask at once."""
        return await self._done(self.hasher.hash, password)

    async def fits(self, password: str, stored: str | None) -> bool:
        """Whether it is the password of the stored hash; None, that of nobody, fits none and takes as long.

        Raises Unavailable when too many ask at once.
        """
        if self._of_nobody is None:
            self._of_nobody = await self.hashed("")
        fits = await self._done(self._fits, password, stored or self._of_nobody)
        return fits and stored is not None

    async def _done(self, work: Callable[..., T], *arguments: str) -> T:
        if self._under_way >= _AT_ONCE + _WAITING:
            raise Unavailable("too many sign in at once")
        self._under_way += 1
        try:
            async with self._slots:
                return await asyncio.to_thread(work, *arguments)
        finally:
            self._under_way -= 1

    def _fits(self, password: str, stored: str) -> bool:
        try:
            return self.hasher.verify(stored, password)
        except VerificationError:
            return False
