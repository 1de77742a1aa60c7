"""Passwords: what fits, and that nobody's takes as long as somebody's."""

import asyncio
import time

import pytest

from services.api import passwords as module
from services.api.errors import Unavailable
from services.api.passwords import Passwords


async def test_a_password_fits_its_own_hash_only() -> None:
    passwords = Passwords()
    stored = await passwords.hashed("correct horse")
    assert stored.startswith("$argon2id$")
    assert "correct" not in stored
    assert await passwords.fits("correct horse", stored)
    assert not await passwords.fits("correct horsf", stored)
    assert not await passwords.fits("", None)


async def test_nobody_is_checked_as_long_as_somebody() -> None:
    passwords = Passwords()
    stored = await passwords.hashed("correct horse")
    await passwords.fits("", None)
    spent: dict[str | None, float] = {stored: 0.0, None: 0.0}
    for _ in range(3):
        for each in spent:
            started_s = time.perf_counter()
            await passwords.fits("a guess", each)
            spent[each] += time.perf_counter() - started_s
    # without the check it would take no time at all
    assert spent[None] > spent[stored] / 3


async def test_too_many_at_once_are_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WAITING", 0)
    passwords = Passwords()
    outcomes = await asyncio.gather(*(passwords.hashed("x") for _ in range(3)), return_exceptions=True)
    assert [isinstance(outcome, Unavailable) for outcome in outcomes] == [False, False, True]
