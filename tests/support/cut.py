"""What Redis says of every user at one instant, while events come and time passes: the workers are stopped to look."""

import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import NamedTuple

from shared.contracts.redis_keys import SOFT, clock_key, head_key, unpack_records
from tests.support.evaluators import EvaluatorProcess, wait_for
from tests.support.stream import Membership, Stream, is_member
from tests.support.truth import Definitions, Truth

_KEYS_AT_ONCE = 1_000


class Cut(NamedTuple):
    """Each partition at its own clock, with the events before `applied` taken in. All are by partition."""

    clocks: dict[int, int]
    applied: dict[int, int]
    values: dict[int, Membership]
    member_sets: dict[int, Membership]


def cut(stream: Stream, workers: Sequence[EvaluatorProcess], within_s: float = 30) -> Cut:
    """What is in Redis when every turn that was due is written, as it is at nearly every instant.

    The workers stand still for less than a second; their session timeout must be longer.
    """

    def look() -> Cut | None:
        with _stopped(workers):
            return _taken(stream)

    return wait_for(look, within_s, "all turns that are due are written")


@contextmanager
def _stopped(workers: Sequence[EvaluatorProcess]) -> Iterator[None]:
    for worker in workers:
        worker.send(signal.SIGSTOP)
    try:
        yield
    finally:
        for worker in workers:
            worker.send(signal.SIGCONT)


def _taken(stream: Stream) -> Cut | None:
    partitions = range(stream.partitions)
    head_keys = [head_key(p) for p in partitions]
    heads = stream.redis.mget(head_keys)
    clocks = dict(zip(partitions, map(int, stream.redis.mget([clock_key(p) for p in partitions])), strict=True))
    values: dict[int, Membership] = {p: {} for p in partitions}
    for key, value in _user_values(stream):
        partition, user_id = _partition_of(key), key.split(b":", 3)[3].decode()
        for record in unpack_records(value):
            if record.turns_at <= clocks[partition] and not record.flags & SOFT:
                return None  # the sweep has not come to this user yet
            if is_member(record, clocks[partition]):
                values[partition].setdefault(record.segment_id, set()).add(user_id)
    sets: dict[int, Membership] = {p: {} for p in partitions}
    for key in stream.redis.scan_iter(match=f"*:members:{stream.tenant}:*", count=5_000):
        users = {user_id.decode() for user_id in stream.redis.zrange(key, 0, -1)}
        sets[_partition_of(key)][int(key.rsplit(b":", 1)[1])] = users
    if stream.redis.mget(head_keys) != heads:
        return None  # a script that was on its way came in between
    return Cut(clocks, stream.applied(), values, sets)


def _user_values(stream: Stream) -> Iterator[tuple[bytes, bytes]]:
    keys = list(stream.redis.scan_iter(match=f"*:user:{stream.tenant}:*", count=5_000))
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        some = keys[start : start + _KEYS_AT_ONCE]
        yield from zip(some, stream.redis.mget(some), strict=True)


def _partition_of(key: bytes) -> int:
    return int(key[1 : key.index(b"}")])


def expected(stream: Stream, definitions: Definitions, cuts: Sequence[Cut]) -> list[dict[int, Membership]]:
    """What each cut must say, by partition, by the naive oracle; on as many processors as there are."""
    addresses = stream.bootstrap, stream.redis_url, stream.partitions
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        asked = {
            p: pool.submit(_expected_in, addresses, p, definitions, [(cut.clocks[p], cut.applied[p]) for cut in cuts])
            for p in range(stream.partitions)
        }
        found = {p: answer.result() for p, answer in asked.items()}
    return [{p: memberships[number] for p, memberships in found.items()} for number in range(len(cuts))]


def _expected_in(
    addresses: tuple[str, str, int], partition: int, definitions: Definitions, moments: list[tuple[int, int]]
) -> list[Membership]:
    stream = Stream(*addresses)
    try:
        truth = Truth(stream.part(partition), definitions)
        return [truth.memberships(as_of, {partition: applied}) for as_of, applied in moments]
    finally:
        stream.close()
