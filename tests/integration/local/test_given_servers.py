"""Servers given by the environment are asked before anything is started."""

import pytest

from deploy.local.addresses import Addresses
from deploy.local.errors import LocalRunError
from tests.support.servers import Servers


@pytest.mark.parametrize(
    ("addresses", "said"),
    [
        (Addresses(redis_url="redis://u:p@127.0.0.1:1/0"), r"SHOAL_REDIS_URL does not answer: 127\.0\.0\.1:1: "),
        (Addresses(kafka_bootstrap_servers="127.0.0.1:1,localhost:x"), r"BOOTSTRAP_SERVERS .*:1: .*; localhost:0: "),
        (Addresses(database_url="postgresql://u:p@127.0.0.1:99999/x"), r"SHOAL_DATABASE_URL does not answer"),
    ],
)
def test_a_given_server_that_does_not_answer_is_named_without_its_password(addresses: Addresses, said: str) -> None:
    with pytest.raises(LocalRunError, match=said) as error:
        addresses.require_answers()
    assert "u:p" not in str(error.value)


def test_those_that_answer_are_fine(servers: Servers) -> None:
    Addresses(*servers).require_answers()
    one_of_two = f"127.0.0.1:1,{servers.kafka_bootstrap_servers}"
    Addresses(kafka_bootstrap_servers=one_of_two).require_answers()
    Addresses().require_answers()
