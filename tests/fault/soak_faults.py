"""The faults of a soak. Each takes the world from working through a fault to where it can recover by itself."""

import signal
from collections.abc import Callable, Iterator, Sequence

from shared.contracts.keys import user_key
from shared.contracts.topics import EVENTS
from tests.fault.supervised import SupervisedEvaluator
from tests.fault.world import World
from tests.support.stream import TENANT

PROGRESS = 2_000
"""So many events a guest works on before it leaves."""
POISON = (
    b'{"tenant":1,"user_id":"u\xff","event_type":"signup"}',
    b'{"tenant":1,"user_id":"user-1","event_type":"sig',
    b'{"tenant":1,"user_id":"user-1","event_type":"signup","payload":{"x":NaN}}',
    None,
)


class Faults:
    """All of them, on a world with a steady worker and some that are faulted."""

    def __init__(self, world: World, victims: list[SupervisedEvaluator], spared: Sequence[str] = ()) -> None:
        self._spared = set(spared)
        self._world, self._victims, self._random = world, victims, world.random
        self.poisoned = 0
        self.wrong: list[str] = []
        """What a fault itself found wrong."""

    def endless(self) -> Iterator[tuple[str, Callable[[], None]]]:
        """Names and faults in random order, each as often as the others."""
        faults = [self.kill_evaluator, self.end_evaluator, self.pause_evaluator, self.join_and_leave, self.poison]
        faults += [self.flush_redis, self.kill_redis, self.pause_redis, self.kill_broker, self.kill_api]
        named = [(fault.__name__.replace("_", " "), fault) for fault in faults]
        if unknown := self._spared - dict(named).keys():
            raise SystemExit(f"no such fault: {', '.join(sorted(unknown))}; there are {', '.join(dict(named))}")
        named = [(name, fault) for name, fault in named if name not in self._spared]
        while True:
            self._random.shuffle(named)
            yield from named

    # --- evaluators ------------------------------------------------------------------------------------------

    def kill_evaluator(self) -> None:
        """SIGKILL; it is started again."""
        self._random.choice(self._victims).kill()

    def end_evaluator(self) -> None:
        """SIGTERM, and a new start."""
        victim = self._random.choice(self._victims)
        self._note_end(victim.stop(), victim.last_lines(1))
        victim.start()

    def pause_evaluator(self) -> None:
        """SIGSTOP for up to three session timeouts: another takes over, or not."""
        victim = self._random.choice(self._victims)
        victim.send(signal.SIGSTOP)
        self._world.at_random(6)
        victim.send(signal.SIGCONT)

    def join_and_leave(self) -> None:
        """A guest takes partitions and gives them back."""
        guest = self._world.new_evaluator().await_ready()
        self._world.await_progress(PROGRESS)
        self._note_end(guest.stop(), guest.last_lines(1))

    def _note_end(self, code: int, line: str) -> None:
        if code:
            self.wrong.append(f"an evaluator that was told to end ended with {code}: {line}")

    # --- servers ---------------------------------------------------------------------------------------------

    def flush_redis(self) -> None:
        """FLUSHALL."""
        self._world.stream.redis.flushall()

    def kill_redis(self) -> None:
        """SIGKILL; back with what its file holds, which may be a second old."""
        self._world.servers.valkey.kill()
        self._world.at_random(2)
        self._world.servers.valkey.start()

    def pause_redis(self) -> None:
        """SIGSTOP for some seconds."""
        self._world.servers.valkey.pause()
        self._world.at_random(8)
        self._world.servers.valkey.resume()

    def kill_broker(self) -> None:
        """SIGKILL, and back."""
        self._world.servers.kafka.kill()
        self._world.at_random(3)
        self._world.servers.kafka.start()

    # --- what goes in ----------------------------------------------------------------------------------------

    def kill_api(self) -> None:
        """SIGKILL, and back."""
        self._world.api.kill()
        self._world.at_random(1)
        self._world.api.start().await_ready()

    def poison(self) -> None:
        """Messages nobody can use, straight into Kafka."""
        producer = self._world.stream.producer
        for _ in range(self._random.randint(20, 200)):
            key = user_key(TENANT, f"user-{self._random.randrange(500)}")
            producer.produce(EVENTS, self._random.choice(POISON), self._random.choice((key, key, None)))
            self.poisoned += 1
        self._world.stream.flush()
