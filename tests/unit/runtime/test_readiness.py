"""Readiness: the answer names the part that is degraded, and why."""

from shared.runtime.health import readiness


def test_all_parts_fine_is_ready() -> None:
    assert readiness({"kafka": None, "redis": None}) == (
        200,
        {"status": "ready", "parts": {"kafka": "ok", "redis": "ok"}},
    )


def test_one_degraded_part_is_named_beside_the_others() -> None:
    assert readiness({"kafka": "no answer for 3 s", "redis": None}) == (
        503,
        {"status": "degraded", "parts": {"kafka": "no answer for 3 s", "redis": "ok"}},
    )


def test_an_empty_reason_is_a_reason() -> None:
    assert readiness({"kafka": ""})[0] == 503
