"""Three nodes: what they have acknowledged survives the loss of any one, and they go on without it."""

from collections.abc import Iterator

import pytest

from shared.contracts.topics import EVENTS, Topic, declare
from shared.runtime.kafka import WrongTopic, ensure_topics
from tests.support.evaluators import wait_for
from tests.support.kafka_cluster import COPIES, NODES, KafkaCluster, kafka_cluster
from tests.support.stream import GROUP, Stream

PARTITIONS = 3
EVENTS_A_ROUND = 500


@pytest.fixture(scope="module")
def cluster() -> Iterator[KafkaCluster]:
    with kafka_cluster() as running:
        yield running


@pytest.fixture
def stream(cluster: KafkaCluster, redis_url: str) -> Iterator[Stream]:
    ensure_topics(cluster.bootstrap_servers, declare(PARTITIONS), COPIES)
    stream = Stream(cluster.bootstrap_servers, redis_url, PARTITIONS)
    yield stream
    stream.close()


def test_two_copies_are_asked_of_the_topics_whatever_the_broker_would_do_itself(cluster: KafkaCluster) -> None:
    topic = Topic("created", 1, {})
    assert ensure_topics(cluster.bootstrap_servers, [topic], COPIES) == ["created"]
    assert ensure_topics(cluster.bootstrap_servers, [topic], COPIES) == []
    ensure_topics(cluster.bootstrap_servers, [Topic("careless", 1, {})], 2)
    with pytest.raises(WrongTopic) as refused:
        ensure_topics(cluster.bootstrap_servers, [Topic("careless", 1, {})], COPIES)
    assert str(refused.value) == "topic careless: min.insync.replicas=2 expected, 1 found"


@pytest.mark.timeout(180)
def test_a_topic_with_three_copies_survives_the_loss_of_each_node_in_turn(
    cluster: KafkaCluster, stream: Stream
) -> None:
    sent = 0
    for number in range(1, NODES + 1):
        cluster.await_in_sync()
        sent += stream.send_many(EVENTS_A_ROUND, 100, seed=number)
        cluster.kill(number)
        # answered by the two that are left
        sent += stream.send_many(EVENTS_A_ROUND, 100, seed=-number)
        assert cluster.leader(EVENTS, 0) != number
        cluster.restart(number)
    assert sum(1 for _ in stream.read(EVENTS, PARTITIONS)) == sent


@pytest.mark.timeout(180)
def test_the_keeper_of_a_group_is_known_and_another_takes_over(cluster: KafkaCluster, stream: Stream) -> None:
    stream.committed()  # asks the group's coordinator, which makes the topic of offsets
    cluster.await_in_sync()
    before = cluster.coordinator(GROUP)
    cluster.kill(before)
    wait_for(lambda: cluster.coordinator(GROUP) not in (before, -1), 60, "another node keeps the group")
    assert stream.committed() == dict.fromkeys(range(PARTITIONS), 0)
    cluster.restart(before)
