"""Secrets of one installation: made once, kept in its data folder, readable by the owner only."""

import json
import os
import secrets
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path


@dataclass(frozen=True)
class Secrets:
    """All of them; the API key is the one of the first tenant."""

    api_key: str
    database_password: str
    redis_password: str
    token_secret: str

    @classmethod
    def new(cls) -> "Secrets":
        """Fresh ones."""
        return cls(
            "sk_" + secrets.token_urlsafe(32), secrets.token_hex(16), secrets.token_hex(16), secrets.token_urlsafe(48)
        )


def load_secrets(folder: Path) -> Secrets:
    """The secrets of the installation in this folder; those that are missing are made now. Raises OSError."""
    file = folder / "secrets.json"
    stored = json.loads(file.read_text()) if file.exists() else {}
    known = {field.name: stored[field.name] for field in fields(Secrets) if field.name in stored}
    all_of_them = replace(Secrets.new(), **known)
    if asdict(all_of_them) != known:
        write_private(file, json.dumps(asdict(all_of_them), indent=2) + "\n")
    return all_of_them


def write_private(file: Path, text: str) -> None:
    """Write a file, whole or not at all, that only its owner can read (mode 0600)."""
    temporary = file.with_name(file.name + ".tmp")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
        output.write(text)
    temporary.replace(file)
