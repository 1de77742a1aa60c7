"""Small functions at the edge: instants, query strings, media types, settings."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from services.api.auth import BootstrapKey
from services.api.errors import Invalid
from services.api.hot.query import parse_query
from services.api.instants import text_of, text_of_us
from services.api.secret_texts import digest_of
from services.api.settings import ApiSettings


@pytest.mark.parametrize(
    ("instant_us", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1, "1970-01-01T00:00:00.000001Z"),
        (1_777_118_400_500_000, "2026-04-25T12:00:00.500000Z"),
    ],
)
def test_an_instant_is_written_in_utc_with_no_or_six_digits(instant_us: int, text: str) -> None:
    assert text_of_us(instant_us) == text
    assert text_of(datetime.fromtimestamp(0, UTC) + timedelta(microseconds=instant_us)) == text


def test_moments_of_other_zones_are_written_in_utc() -> None:
    assert text_of(datetime(2026, 4, 25, 14, tzinfo=timezone(timedelta(hours=2)))) == "2026-04-25T12:00:00Z"
    assert text_of(None) is None


def test_a_query_is_undone_once() -> None:
    query = b"user_id=a%2540b+c%2Fd&segment_id=1&x=%ff&segment_id=2&segment_id"
    assert parse_query(query, ("user_id", "segment_id")) == {"user_id": ["a%40b c/d"], "segment_id": ["1", "2", ""]}
    with pytest.raises(Invalid):
        parse_query(b"user_id=%c3%28", ("user_id",))


def test_a_key_that_belongs_to_nobody_yet_is_refused() -> None:
    key = BootstrapKey("sk_0123456789abcdef")
    assert key.caller(digest_of(b"sk_0123456789abcdef")) is None
    key.belongs_to(5, "five")
    found = key.caller(digest_of(b"sk_0123456789abcdef"))
    assert found is not None
    assert found.tenant == 5
    assert key.caller(digest_of(b"sk_0123456789abcdeg")) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("bootstrap_key", "pk_0123456789abcdef"),
        ("bootstrap_key", "sk_short"),
        ("bootstrap_key", "sk_with blank 0123456789"),
        ("bootstrap_tenant", "Not a slug"),
        ("database_url", "mysql://x"),
        ("redis_url", "http://x"),
        ("port", 0),
    ],
)
def test_a_wrong_setting_is_refused(settings: ApiSettings, field: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=field):
        ApiSettings.model_validate(settings.model_dump() | {field: value})


def test_the_key_does_not_show_in_the_settings_text(settings: ApiSettings) -> None:
    assert settings.bootstrap_key not in repr(settings)
