"""What a service says of itself."""

from tests.support.evaluators import ServiceProcess, wait_for


def await_trouble(process: ServiceProcess, part: str, words: str, within_s: float = 30) -> str:
    """Wait until the part gives a reason with these words; the reason."""
    return wait_for(
        lambda: said if words in (said := process.readiness().get(part, "")) else None,
        within_s,
        f"{process.name} says {words!r} of {part}",
    )


def await_no_trouble(process: ServiceProcess, part: str, within_s: float = 60) -> None:
    """Wait until the part is fine again."""
    wait_for(lambda: process.readiness().get(part) == "ok", within_s, f"{part} of the {process.name} is fine again")
