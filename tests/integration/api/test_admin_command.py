"""`python -m services.api admin`: the first owner, keys and passwords, without the api."""

import io
import json
import sys
from typing import Any, NamedTuple

import pytest

from services.api import admin_command
from tests.integration.api.test_process import environment, run
from tests.support.callers import KEYS, PASSWORD, ask, signed_in
from tests.support.served_api import ServedApi
from tests.support.servers import Servers


class Done(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


class Command:
    """The command line on the database of an api, in this process: a new one takes longer than the command."""

    def __init__(
        self, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: "pytest.CaptureFixture[str]"
    ) -> None:
        self._database_url, self._monkeypatch, self._capsys = database_url, monkeypatch, capsys

    def __call__(self, *arguments: str, stdin: str = "") -> Done:
        self._monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        code: Any = 0
        try:
            admin_command.main(self._database_url, list(arguments), "api")
        except SystemExit as end:
            code = end.code
        return Done(int(code or 0), *self._capsys.readouterr())

    def rows(self, *arguments: str, stdin: str = "") -> list[Any]:
        """What a command that succeeds answers."""
        done = self(*arguments, stdin=stdin)
        assert (done.code, done.err) == (0, "")
        return [json.loads(line) for line in done.out.splitlines()]


@pytest.fixture
def command(api: ServedApi, monkeypatch: pytest.MonkeyPatch, capsys: "pytest.CaptureFixture[str]") -> Command:
    return Command(api.wiring.settings.database_url, monkeypatch, capsys)


def test_from_nothing_to_an_owner_who_signs_in_and_a_key_that_works(command: Command, api: ServedApi) -> None:
    (tenant,) = command.rows("create-tenant", "shop")
    assert tenant in command.rows("list-tenants")
    owner = ("--tenant", "shop", "--email", "Ada@shop.example", "--role", "owner")
    (user,) = command.rows("create-user", *owner, stdin=PASSWORD + "\n")
    assert (user["email"], user["role"]) == ("ada@shop.example", "owner")
    assert command.rows("list-users", "--tenant", "shop") == [
        {"id": user["id"], "email": "ada@shop.example", "role": "owner", "is_active": True}
    ]
    bearer = signed_in(api, "ada@shop.example")
    (key,) = command.rows("create-key", "--tenant", "shop", "--name", "of the shop")
    made = ask(api, "POST", "/api/segments/", f"ApiKey {key['key']}", {"name": "first"})
    assert (made.status_code, made.json()["tenant"]) == (201, tenant["id"])
    (listed,) = command.rows("list-keys", "--tenant", "shop")
    assert (listed["id"], listed["created_by"]) == (key["id"], "operator")
    assert "key" not in listed
    assert [each["id"] for each in ask(api, "GET", KEYS, bearer).json()["results"]] == [key["id"]]
    command.rows("revoke-key", str(key["id"]))
    assert command.rows("list-keys", "--tenant", "shop") == []
    command.rows("set-password", "--email", "ada@shop.example", stdin="another long password\n")
    body = {"email": "ada@shop.example", "password": PASSWORD}
    assert ask(api, "POST", "/api/auth/token/", None, body).status_code == 401


def test_a_public_key_comes_with_its_secret(command: Command) -> None:
    command.rows("create-tenant", "site")
    origins = ("--origin", "https://a.example", "--origin", "https://b.example")
    (key,) = command.rows("create-key", "--tenant", "site", "--name", "site", "--type", "public", *origins)
    assert key["key"].startswith("pk_")
    assert len(bytes.fromhex(key["hmac_secret"])) == 32


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "said"),
    [
        (("create-tenant", "demo"), "", 1, "demo exists already"),
        (("create-tenant", "Not a slug"), "", 2, "a slug has"),
        (("list-users", "--tenant", "nowhere"), "", 1, "no tenant nowhere"),
        (("create-user", "--tenant", "demo", "--email", "x", "--role", "owner"), PASSWORD, 2, "email: "),
        (("create-user", "--tenant", "demo", "--email", "x@y", "--role", "owner"), "short", 2, "password: "),
        (("create-user", "--tenant", "demo", "--email", "x@y", "--role", "king"), "", 2, "invalid choice"),
        (("create-key", "--tenant", "demo", "--name", "x", "--origin", "https://x"), "", 1, "allowed_origins: only"),
        (("revoke-key", "999999"), "", 1, "no key 999999"),
        (("set-password", "--email", "nobody@x"), PASSWORD, 1, "no user has this e-mail"),
        (("unknown",), "", 2, "invalid choice"),
        ((), "", 2, "required"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_a_code(
    command: Command, arguments: tuple[str, ...], stdin: str, code: int, said: str
) -> None:
    done = command(*arguments, stdin=stdin)
    assert (done.code, done.out) == (code, "")
    assert said in done.err.splitlines()[-1]


def test_as_a_process_it_says_what_is_missing(servers: Servers, database_url: str) -> None:
    done = run(environment(servers, database_url), "admin", "list-tenants")
    assert done.returncode == 2
    assert "run python -m services.api migrate" in done.stderr
    done = run(environment(servers, "postgresql://a@127.0.0.1:1/b"), "admin", "list-tenants")
    assert done.returncode == 75


def test_a_password_is_no_argument(command: Command) -> None:
    assert "--password" not in command("create-user", "--help").out
