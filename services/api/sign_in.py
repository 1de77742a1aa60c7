"""Signing in: a password, or a refresh token, for a pair of tokens."""

from datetime import timedelta
from typing import NamedTuple
from uuid import UUID, uuid4

from services.api.database import Database, UnitOfWork
from services.api.errors import TooMany, Unauthorized
from services.api.passwords import Passwords
from services.api.secret_texts import digest_of, new_text
from services.api.tokens import Tokens
from shared.runtime.metrics import API_REFRESH_REUSES, API_SIGN_INS

_REFRESH_LIFE = timedelta(days=14)
_ATTEMPTS = 10
_WINDOW = timedelta(minutes=15)


class Pair(NamedTuple):
    """An access token, and a refresh token for the next pair."""

    access: str
    refresh: str


class SignIn:
    """Gives tokens to those who prove who they are."""

    def __init__(self, database: Database, passwords: Passwords, tokens: Tokens) -> None:
        self._database, self._passwords, self._tokens = database, passwords, tokens

    async def with_password(self, email: str, password: str) -> Pair:
        """The pair for an e-mail (lower case) and its password.

        Raises:
            Unauthorized: they are not those of an active login; as slowly for an unknown e-mail.
            TooMany: ten attempts within 15 minutes were not successful, whether there is such a login or not.
        """
        async with self._database.begin_for_all() as work:
            # counted before the password is looked at, so that attempts at once are no way around
            attempts, left_s = await work.logins.count_attempt(email, _WINDOW)
            login = await work.logins.of_email(email)
        if attempts > _ATTEMPTS:
            API_SIGN_INS.labels(outcome="limited").inc()
            raise TooMany("too many attempts with this e-mail: try again later", max(1, int(left_s)))
        known = login if login is not None and login.is_active else None
        if await self._passwords.fits(password, known and known.password_hash) and known is not None:
            async with self._database.begin_for_all() as work:
                # deactivated meanwhile, or with another password: what was true is not any more
                if await work.logins.get(known.id) == known:
                    await work.logins.forget_attempts(email)
                    API_SIGN_INS.labels(outcome="done").inc()
                    return await self._pair(work, known.id, uuid4())
        API_SIGN_INS.labels(outcome="refused").inc()
        raise Unauthorized("no active user has this e-mail and this password")

    async def refresh(self, token: str) -> Pair:
        """The next pair. A token that comes a second time ends all that came from the same sign-in: one of the two
        who brought it has stolen it. Raises Unauthorized.
        """
        digest = digest_of(token.encode())
        async with self._database.begin_for_all() as work:
            found = await work.logins.refresh_token(digest)
            if found is not None and found.is_used:
                API_REFRESH_REUSES.inc()
                await work.logins.end_family(found.family)
            elif found is not None and not found.is_expired:
                login = await work.logins.get(found.login_id)
                if login is not None and login.is_active:
                    await work.logins.use_refresh_token(digest)
                    return await self._pair(work, login.id, found.family)
        # only here, after the commit: an error inside would undo the end of the family
        raise Unauthorized("this refresh token is unknown, expired or was used before: sign in again")

    async def _pair(self, work: UnitOfWork, login_id: int, family: UUID) -> Pair:
        refresh = new_text("rt_")
        await work.logins.add_refresh_token(digest_of(refresh.encode()), login_id, family, _REFRESH_LIFE)
        return Pair(self._tokens.access(login_id), refresh)
