"""What the settings of webhooks say by default, and how they are written."""

import itertools

import pytest

from services.api.settings import ApiSettings
from services.api.webhooks.payloads import recomputed, uncounted_segment, with_count
from shared.runtime.settings import InvalidSettings
from tests.unit.api.conftest import KEY, TOKEN_SECRET

HOUR_S = 3600
ENVIRON = {
    "SHOAL_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    "SHOAL_REDIS_URL": "redis://127.0.0.1:1",
    "SHOAL_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    "SHOAL_HISTORY": "/none",
    "SHOAL_EXPORTS": "/none",
    "SHOAL_API_BOOTSTRAP_KEY": KEY,
    "SHOAL_API_TOKEN_SECRET": TOKEN_SECRET,
}


def test_a_delivery_is_attempted_eleven_times_over_a_day() -> None:
    delays_s = ApiSettings.load(ENVIRON).webhook_retry_delays_s
    assert list(delays_s) == [5, 30, 120, 600, 1800, HOUR_S, 2 * HOUR_S, 4 * HOUR_S, 7 * HOUR_S, 9 * HOUR_S]
    # the tenth attempt comes well within a day, also when all that chance may add is added
    *_, tenth, last = itertools.accumulate(delays_s)
    assert 14 * HOUR_S < tenth < 1.2 * tenth < 18 * HOUR_S
    assert 23.5 * HOUR_S < last < 1.2 * last < 29 * HOUR_S


def test_no_network_is_exempt_by_default() -> None:
    assert ApiSettings.load(ENVIRON).webhook_allowed_networks == ()


def test_lists_are_separated_by_commas() -> None:
    given = {
        "SHOAL_API_WEBHOOK_ALLOWED_NETWORKS": "10.1.0.0/16, fd00::/8",
        "SHOAL_API_WEBHOOK_RETRY_DELAYS_S": "0.5, 1,2",
    }
    settings = ApiSettings.load(ENVIRON | given)
    assert [str(network) for network in settings.webhook_allowed_networks] == ["10.1.0.0/16", "fd00::/8"]
    assert settings.webhook_retry_delays_s == (0.5, 1, 2)


@pytest.mark.parametrize(
    ("name", "value"),
    [("WEBHOOK_ALLOWED_NETWORKS", "10.1.0.0/40"), ("WEBHOOK_RETRY_DELAYS_S", "1,-1"), ("WEBHOOK_TIMEOUT_S", "0")],
)
def test_a_setting_that_says_nothing_sensible_is_named(name: str, value: str) -> None:
    with pytest.raises(InvalidSettings, match=f"SHOAL_API_{name}"):
        ApiSettings.load(ENVIRON | {f"SHOAL_API_{name}": value})


def test_members_are_counted_once() -> None:
    body = recomputed("acme", 42, "High LTV Buyers", "2026-05-02T14:32:00Z")
    assert uncounted_segment("segment.recomputed", body) == 42
    counted = with_count(body, 1842)
    assert uncounted_segment("segment.recomputed", counted) is None
    assert counted == (
        '{"event":"segment.recomputed","tenant_slug":"acme","segment_id":42,"segment_name":"High LTV Buyers",'
        '"member_count":1842,"computed_at":"2026-05-02T14:32:00Z"}'
    )
    assert uncounted_segment("membership.changed", '{"changes":[]}') is None
