"""Secrets of one installation: made once, kept in its data folder, readable by the owner only."""

import json
import os
import secrets
from dataclasses import asdict, dataclass, fields
from pathlib import Path


@dataclass(frozen=True)
class Secrets:
    """All of them; the API key is the one of the first tenant."""

    api_key: str
    database_password: str
    redis_password: str

    @classmethod
    def new(cls) -> "Secrets":
        """Fresh ones."""
        return cls("sk_" + secrets.token_urlsafe(32), secrets.token_hex(16), secrets.token_hex(16))


def load_secrets(folder: Path) -> Secrets:
    """The secrets of the installation in this folder, made now if it is new. Raises OSError."""
    file = folder / "secrets.json"
    if file.exists():
        stored = json.loads(file.read_text())
        return Secrets(**{field.name: stored[field.name] for field in fields(Secrets)})
    made = Secrets.new()
    write_private(file, json.dumps(asdict(made), indent=2) + "\n")
    return made


def write_private(file: Path, text: str) -> None:
    """Write a file, whole or not at all, that only its owner can read (mode 0600)."""
    temporary = file.with_name(file.name + ".tmp")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
        output.write(text)
    temporary.replace(file)
