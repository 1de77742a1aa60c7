"""The application without its lifespan: nothing is connected, so only what needs no server can be asked."""

from collections.abc import AsyncIterator

import httpx
import pytest

from services.api.app import create_app
from services.api.hot.dispatcher import Dispatcher
from services.api.settings import ApiSettings
from services.api.wiring import Wiring

KEY = "sk_unit_0123456789abcdef"
TOKEN_SECRET = "token-secret-of-unit-tests-0123456789"


@pytest.fixture
def settings() -> ApiSettings:
    """Settings that name servers nobody runs."""
    values = {
        "kafka_bootstrap_servers": "127.0.0.1:1",
        "redis_url": "redis://127.0.0.1:1",
        "database_url": "postgresql://nobody@127.0.0.1:1/none",
        "history": "/none",
        "exports": "/none",
        "bootstrap_key": KEY,
        "token_secret": TOKEN_SECRET,
    }
    return ApiSettings.model_validate(values)


@pytest.fixture
def app(settings: ApiSettings) -> Dispatcher:
    """The application; its key belongs to tenant 1."""
    wiring = Wiring(settings)
    wiring.authenticator.belongs_to(1, "demo")
    return create_app(settings, wiring)


@pytest.fixture
async def client(app: Dispatcher) -> AsyncIterator[httpx.AsyncClient]:
    """Asks the application in the process, with the key."""
    transport = httpx.ASGITransport(app)
    headers = {"Authorization": f"ApiKey {KEY}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers) as asking:
        yield asking
