"""Three nodes: what they have acknowledged survives the loss of any one, and they go on without it."""

import pytest

from shared.contracts.topics import EVENTS, declare
from shared.runtime.kafka import ensure_topics
from tests.support.evaluators import wait_for
from tests.support.kafka_cluster import COPIES, NODES, KafkaCluster, kafka_cluster
from tests.support.stream import GROUP, Stream

PARTITIONS = 3
EVENTS_A_ROUND = 500


@pytest.mark.timeout(180)
def test_a_topic_with_three_copies_survives_the_loss_of_each_node_in_turn(redis_url: str) -> None:
    with kafka_cluster() as cluster:
        ensure_topics(cluster.bootstrap_servers, declare(PARTITIONS), COPIES)
        stream = Stream(cluster.bootstrap_servers, redis_url, PARTITIONS)
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
        stream.close()


@pytest.mark.timeout(180)
def test_the_keeper_of_a_group_is_known_and_another_takes_over(redis_url: str) -> None:
    with kafka_cluster() as cluster:
        ensure_topics(cluster.bootstrap_servers, declare(PARTITIONS), COPIES)
        stream = Stream(cluster.bootstrap_servers, redis_url, PARTITIONS)
        stream.send_many(EVENTS_A_ROUND, 100, seed=1)
        stream.committed()  # asks the group's coordinator, which makes the topic of offsets
        cluster.await_in_sync()
        before = cluster.coordinator(GROUP)
        cluster.kill(before)
        wait_for(lambda: taken_over(cluster, before), 30, "another node keeps the group")
        assert stream.committed() == dict.fromkeys(range(PARTITIONS), 0)
        stream.close()


def taken_over(cluster: KafkaCluster, before: int) -> bool:
    return cluster.coordinator(GROUP) not in (before, -1)
