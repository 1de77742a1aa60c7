"""`admin ...`: tenants, users and keys by whoever runs the installation. Answers are JSON, one object a line."""

import argparse
import asyncio
import getpass
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import ValidationError

from services.api.auth import Caller
from services.api.auth_schemas import ApiKeyBody, LoginBody, LoginChangeBody
from services.api.database import Database, DatabaseUnavailable, UnitOfWork
from services.api.errors import ApiError, Conflict, NotFound
from services.api.instants import text_of
from services.api.migrate import OldSchema, check_schema
from services.api.passwords import Passwords
from services.api.scopes import OF_ROLE
from services.api.settings import SLUG
from services.api.use_cases import api_keys, logins
from shared.runtime.process import EXIT_REFUSED, clear_end

NAME = "admin"

EXIT_NOT_DONE = 1
"""What was asked for cannot be: the line on stderr says why."""

_ALL = 1_000_000
_KEY_TYPES = ("secret", "public")

Row = dict[str, Any]
Do = Callable[[UnitOfWork, argparse.Namespace], Awaitable[list[Row]]]


def main(database_url: str, arguments: list[str], program: str) -> None:
    """Do what the arguments after `admin` ask for.

    Ends with code 1 when it cannot be done, 2 when the command or the schema is wrong, 75 when PostgreSQL does not
    answer.
    """
    options = _parser(program).parse_args(arguments)
    if options.do in (_create_user, _set_password):
        options.password = _password()
    try:
        with clear_end(NAME, (OldSchema,), (DatabaseUnavailable,)):
            rows = asyncio.run(_done(database_url, options))
    except ApiError as error:
        _end(_text(error.body), EXIT_NOT_DONE)
    except ValidationError as error:
        _end(_text({str(fault["loc"][0]): fault["msg"] for fault in error.errors()}), EXIT_REFUSED)
    for row in rows:
        print(json.dumps(row))  # noqa: T201 - the command's answer


async def _done(database_url: str, options: argparse.Namespace) -> list[Row]:
    do: Do = options.do
    database = Database(database_url)
    try:
        await check_schema(database)
        async with database.begin_for_all() as work:
            return await do(work, options)
    finally:
        await database.close()


async def _create_tenant(work: UnitOfWork, options: argparse.Namespace) -> list[Row]:
    tenant = await work.tenants.create(options.slug)
    if tenant is None:
        raise Conflict(f"the tenant {options.slug} exists already")
    return [{"id": tenant, "slug": options.slug}]


async def _list_tenants(work: UnitOfWork, _: argparse.Namespace) -> list[Row]:
    return [{"id": tenant, "slug": slug} for slug, tenant in (await work.tenants.all_ids()).items()]


async def _create_user(work: UnitOfWork, options: argparse.Namespace) -> list[Row]:
    body = LoginBody(email=options.email, password=options.password, role=options.role)
    password_hash = await Passwords().hashed(body.password)
    made = await logins.create(work, await _operator(work, options), body.email, password_hash, body.role)
    return [{"id": made.id, "tenant": made.slug, "email": made.email, "role": made.role}]


async def _set_password(work: UnitOfWork, options: argparse.Namespace) -> list[Row]:
    body = LoginChangeBody(password=options.password)
    login = await work.logins.of_email(options.email.lower())
    if login is None:
        raise NotFound("no user has this e-mail")
    change = logins.LoginChange(password_hash=await Passwords().hashed(body.password or ""))
    await logins.change(work, _operator_of(login.tenant_id, login.slug), login.id, change)
    return [{"id": login.id, "tenant": login.slug, "email": login.email, "role": login.role}]


async def _list_users(work: UnitOfWork, options: argparse.Namespace) -> list[Row]:
    _, rows = await work.logins.page((await _operator(work, options)).tenant, 0, _ALL)
    return [{"id": row.id, "email": row.email, "role": row.role, "is_active": row.is_active} for row in rows]


async def _create_key(work: UnitOfWork, options: argparse.Namespace) -> list[Row]:
    body = ApiKeyBody(
        name=options.name,
        type=options.type,
        allowed_origins=options.origin,
        require_signed_user_id=options.require_signed_user_id,
    )
    wished = api_keys.WishedKey(body.name, body.type, body.allowed_origins, body.require_signed_user_id)
    made = await api_keys.create(work, await _operator(work, options), wished, 0)
    secret = {"hmac_secret": made.hmac_secret.hex()} if made.hmac_secret else {}
    return [{"id": made.row.id, "tenant": made.row.slug, "name": made.row.name, "key": made.key, **secret}]


async def _list_keys(work: UnitOfWork, options: argparse.Namespace) -> list[Row]:
    _, rows = await work.api_keys.page((await _operator(work, options)).tenant, 0, _ALL)
    return [
        {
            "id": row.id,
            "type": row.type,
            "name": row.name,
            "created_by": row.created_by,
            "last_used_at": text_of(row.last_used_at),
            "expires_at": text_of(row.expires_at),
        }
        for row in rows
    ]


async def _revoke_key(work: UnitOfWork, options: argparse.Namespace) -> list[Row]:
    row = await work.api_keys.get(options.id)
    if row is None:
        raise NotFound(f"there is no key {options.id}, or it is revoked already")
    await api_keys.revoke(work, _operator_of(row.tenant_id, row.slug), row.id)
    return [{"id": row.id, "tenant": row.slug, "name": row.name, "revoked": True}]


async def _operator(work: UnitOfWork, options: argparse.Namespace) -> Caller:
    """Whoever runs the installation, at work for the tenant that is named. Raises NotFound."""
    tenant = (await work.tenants.all_ids()).get(options.tenant)
    if tenant is None:
        raise NotFound(f"there is no tenant {options.tenant}")
    return _operator_of(tenant, options.tenant)


def _operator_of(tenant: int, slug: str) -> Caller:
    return Caller(tenant, slug, "operator", OF_ROLE["owner"])


def _password() -> str:
    """From a person at the terminal, without echo, or else the first line of stdin: never of the command line, which
    everybody on the machine can read.
    """
    return getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"{program} {NAME}", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, do: Do, text: str, *, of_tenant: bool = True) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text)
        made.set_defaults(do=do)
        if of_tenant:
            made.add_argument("--tenant", required=True, metavar="SLUG")
        return made

    command("create-tenant", _create_tenant, "a new tenant", of_tenant=False).add_argument("slug", type=_slug)
    command("list-tenants", _list_tenants, "all tenants", of_tenant=False)
    user = command("create-user", _create_user, "somebody who may sign in; the password is asked for, or read of stdin")
    user.add_argument("--role", required=True, choices=OF_ROLE)
    user.add_argument("--email", required=True)
    password = command("set-password", _set_password, "another password, asked for as above", of_tenant=False)
    password.add_argument("--email", required=True)
    command("list-users", _list_users, "who may sign in")
    key = command("create-key", _create_key, "a new API key, shown this once")
    key.add_argument("--name", required=True)
    key.add_argument("--type", choices=_KEY_TYPES, default="secret")
    key.add_argument("--origin", action="append", default=[], help="of a public key: where it may be used from")
    key.add_argument("--require-signed-user-id", action="store_true", help="of a public key")
    command("list-keys", _list_keys, "the keys, without their secrets")
    command("revoke-key", _revoke_key, "end a key within 5 seconds", of_tenant=False).add_argument("id", type=int)
    return parser


def _slug(text: str) -> str:
    if SLUG.fullmatch(text) is None:
        raise argparse.ArgumentTypeError("a slug has 1 to 64 of a-z, 0-9 and -, none of these at its ends")
    return text


def _text(body: Row) -> str:
    return "; ".join(
        str(said) if field == "detail" else f"{field}: {', '.join(said) if isinstance(said, list) else said}"
        for field, said in body.items()
    )


def _end(line: str, code: int) -> None:
    print(f"{NAME}: {line}", file=sys.stderr)  # noqa: T201 - the command's answer
    raise SystemExit(code)
