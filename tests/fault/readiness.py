"""What a service says of itself."""

import json
import urllib.error
import urllib.request

from tests.support.evaluators import ServiceProcess, wait_for


def parts(process: ServiceProcess) -> dict[str, str]:
    """The parts of /readyz with `ok` or the reason; empty when nobody answers."""
    try:
        with urllib.request.urlopen(f"{process.url}/readyz", timeout=5) as answer:
            body = answer.read()
    except urllib.error.HTTPError as refusal:
        body = refusal.read()
    except OSError:
        return {}
    found: dict[str, str] = json.loads(body)["parts"]
    return found


def await_trouble(process: ServiceProcess, part: str, words: str, within_s: float = 30) -> str:
    """Wait until the part gives a reason with these words; the reason."""
    return wait_for(
        lambda: said if words in (said := parts(process).get(part, "")) else None,
        within_s,
        f"{process.name} says {words!r} of {part}",
    )


def await_no_trouble(process: ServiceProcess, part: str, within_s: float = 60) -> None:
    """Wait until the part is fine again."""
    wait_for(lambda: parts(process).get(part) == "ok", within_s, f"{part} of the {process.name} is fine again")
