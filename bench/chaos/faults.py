"""The table of faults: what each does, how often it is drawn, and whether it needs the same command again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from bench.chaos import people, surroundings
from bench.chaos.oracle import delivered
from bench.chaos.scene import Scene
from shared.model import UnitKind
from shared.store.redis import keys
from tests.integration.process_cluster import Child
from tests.mail import Mail, make_message, populate
from tests.servers.process import await_ready, free_port
from tests.servers.proxy import Rule
from tests.servers.redis_server import RedisServer
from tests.servers.wire import Refused, Wire, quote

#: Pause in seconds that is longer than a lease, which lasts three seconds here (`tests.integration.process_cluster.QUICK`).
PAST_THE_LEASE = (3.5, 5.0)


@dataclass(frozen=True)
class Fault:
    """A kind of fault."""

    name: str
    #: Frequency in comparison with the other faults.
    weight: int
    act: Callable[[Scene], None]
    #: Whether the result is exact only after the same command again (Redis wiped or restored, late delivery, new mail
    #: or flags at the source).
    again: bool = False


# -- processes


def _struck(child: Child) -> None:
    child.kill()
    child.start()


def worker_killed(scene: Scene) -> None:
    """Kills one worker."""
    _struck(scene.chance.choice(scene.workers))


def workers_killed(scene: Scene) -> None:
    """Kills all workers before the first one is started again."""
    for child in scene.workers:
        child.kill()
    for child in scene.workers:
        child.start()


def worker_frozen(scene: Scene) -> None:
    """Stops a worker until its leases have expired, while the others go on."""
    child = scene.chance.choice(scene.workers)
    pid = child.pid
    child.freeze()
    scene.pause(*PAST_THE_LEASE)
    assert child.pid == pid
    child.thaw()


def machine_rebooted(scene: Scene) -> None:
    """Kills every process but the mail servers at once, and starts them again, Redis first."""
    for child in scene.office.children:
        child.kill()
    scene.office.redis.kill()
    scene.office.redis.start()
    for child in scene.office.children:
        child.start()


def coordinator_killed(scene: Scene) -> None:
    """Kills the coordinator."""
    _struck(scene.chance.choice(scene.coordinators))


# -- Redis


def redis_killed(scene: Scene) -> None:
    """Kills Redis, which reads its append-only file when it starts again."""
    scene.office.redis.kill()
    scene.pause(0.0, 1.0)
    scene.office.redis.start()


def redis_frozen(scene: Scene) -> None:
    """Stops Redis for longer than a lease."""
    scene.office.redis.freeze()
    scene.pause(*PAST_THE_LEASE)
    scene.office.redis.thaw()


def redis_power_lost(scene: Scene) -> None:
    """Kills Redis and drops the last second of its append-only file, as a power cut under `everysec` does."""
    redis = scene.office.redis
    sizes = redis.written()
    scene.pause(0.5, 1.0)
    redis.kill()
    redis.cut_back(sizes)
    redis.start()


def redis_restored(scene: Scene) -> None:
    """Brings Redis back from a copy of its files that is some seconds old."""
    redis = scene.office.redis
    copy = redis.home / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(redis.data / "appendonlydir", copy)
    scene.pause(1.0, 3.0)
    redis.kill()
    shutil.rmtree(redis.data / "appendonlydir")
    shutil.copytree(copy, redis.data / "appendonlydir")
    redis.start()


def redis_failed_over(scene: Scene) -> None:
    """Puts a replica that lags behind by up to a second in the place of the server, which dies."""
    redis = scene.office.redis
    with RedisServer() as replica:
        port = free_port()
        with redis.client() as client, replica.client() as other:
            client.config_set("port", port)
            other.replicaof("127.0.0.1", port)
            await_ready(lambda: other.info("replication").get("master_link_status") == "up", 180, "the replica")
            # From now on it gets nothing more: the master had not sent it.
            other.replicaof("NO", "ONE")
            scene.pause(0.3, 1.0)
        redis.kill()
        replica.stop()
        shutil.rmtree(redis.data / "appendonlydir")
        shutil.copytree(replica.data / "appendonlydir", redis.data / "appendonlydir")
    redis.start()


def redis_full(scene: Scene) -> None:
    """Leaves Redis no memory for writes for a while."""
    with scene.office.redis.client() as client:
        client.config_set("maxmemory", 1)
    scene.pause(1.0, 3.0)
    with scene.office.redis.client() as client:
        client.config_set("maxmemory", 0)


def redis_read_only(scene: Scene) -> None:
    """Makes Redis a replica of a server that does not answer: it refuses writes for a while."""
    with scene.office.redis.client() as client:
        client.replicaof("127.0.0.1", 1)
    scene.pause(1.0, 3.0)
    with scene.office.redis.client() as client:
        client.replicaof("NO", "ONE")


def redis_wiped(scene: Scene) -> None:
    """Wipes Redis while the workers go on, and gives the same command again."""
    scene.office.redis.flush()
    scene.submit()


def job_repeated(scene: Scene) -> None:
    """Delivers the jobs of all leased units a second time."""
    with scene.office.redis.client(1) as client:
        for unit_id in client.zrange(keys.LEASES, 0, -1):
            kind = client.hget(keys.unit(unit_id.decode()), "kind")
            if kind and scene.import_:
                scene.office.repeat_job(UnitKind(kind.decode()), unit_id.decode(), scene.import_.import_id)


# -- wires


def wire_reset(scene: Scene) -> None:
    """Resets every connection to one of the servers."""
    scene.wire().cut_all(rst=True)


def wire_closed(scene: Scene) -> None:
    """Closes every connection to one of the servers in order."""
    scene.wire().cut_all(rst=False)


def wire_away(scene: Scene) -> None:
    """Refuses connections to one of the servers for a while."""
    wire = scene.wire()
    wire.refuse()
    wire.cut_all()
    scene.later(0.5, 3.0, lambda: wire.refuse(False))


def wire_cut_at_a_byte(scene: Scene) -> None:
    """Cuts the next connections, each at a byte of its own, in either direction."""
    wire = scene.wire()
    kind = scene.chance.choice(["rst", "fin"])
    for _ in range(scene.chance.randint(1, 4)):
        side = scene.chance.choice(["c2s", "s2c"])
        wire.plan(Rule(kind, side, at=scene.chance.randint(1, 20_000)))  # type: ignore[arg-type]
    wire.cut_all()


def wire_stalled(scene: Scene) -> None:
    """Holds up the next connection in its middle for some seconds."""
    wire = scene.wire()
    rule = Rule("stall", scene.chance.choice(["c2s", "s2c"]), at=scene.chance.randint(200, 20_000))
    wire.plan(rule)
    wire.cut_all()
    scene.later(2.0, 6.0, rule.release)


def wire_dripping(scene: Scene) -> None:
    """Lets the next connection pass byte by byte for some thousand bytes."""
    wire = scene.wire()
    wire.plan(Rule("trickle", "s2c", at=scene.chance.randint(500, 5_000), pause_seconds=0.0005))
    wire.cut_all()
    scene.later(2.0, 5.0, wire.cut_all)
    scene.later(20.0, 30.0, wire.cut_all)  # the next connection may have come after that


def append_delivered_late(scene: Scene) -> None:
    """Resets the next connection in an APPEND.

    The server gets the data that was sent after the settle time of one second.
    """
    rule = Rule("late", "c2s", at=b" APPEND ", nth=scene.chance.randint(1, 5))
    scene.destination_wire.plan(rule)
    scene.destination_wire.cut_all()
    scene.later(1.0, 4.0, rule.release)


# -- servers


def server_killed(scene: Scene) -> None:
    """Kills every process of one mail server."""
    server = scene.server()
    server.kill()
    scene.pause(0.0, 1.0)
    server.start()


def server_restarted(scene: Scene) -> None:
    """Restarts one mail server in order."""
    scene.server().restart()


def server_frozen(scene: Scene) -> None:
    """Stops every process of one mail server for some seconds."""
    server = scene.server()
    server.freeze()
    scene.pause(1.0, 4.0)
    server.thaw()


# -- users


def import_of_another_name(scene: Scene) -> None:
    """Opens another import of the same mailboxes, as in a second terminal."""
    scene.others.append(scene.office.submit(f"chaos {len(scene.others) + 2}"))


def _new_mail(scene: Scene) -> Mail:
    when = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=scene.chance.randrange(10**7))
    return Mail(make_message(scene.chance.getrandbits(48), 1_000), ("\\Seen",), when)


def source_gets_mail(scene: Scene) -> None:
    """Delivers some mail at the source."""
    person, folder = scene.person(), "INBOX"
    new = [_new_mail(scene) for _ in range(scene.chance.randint(1, 5))]
    populate(scene.source.host, scene.source.port, person.login, person.password, {folder: new})
    scene.note_source()


def source_changes_flags(scene: Scene) -> None:
    """Flags a message at the source."""
    person = scene.person()
    with Wire(scene.source.host, scene.source.port, person.login, person.password) as wire:
        wire.command(b"SELECT " + quote(b"INBOX"))
        wire.command(b"STORE %d +FLAGS (\\Flagged)" % scene.chance.randint(1, 20))
    scene.note_source()


def destination_gets_mail(scene: Scene) -> None:
    """Delivers a message of another sender at the destination, unless its disk is full."""
    person, one = scene.person(), _new_mail(scene)
    server = scene.destination
    try:
        populate(server.host, server.port, person.login, person.password, {"INBOX": [one]})
    except Refused:
        return
    scene.delivered[person.login][delivered("INBOX", one.body, one.flags, one.internaldate)] += 1


FAULTS: Final = (
    Fault("worker_killed", 5, worker_killed),
    Fault("workers_killed", 2, workers_killed),
    Fault("worker_frozen", 3, worker_frozen),
    Fault("coordinator_killed", 2, coordinator_killed),
    Fault("redis_killed", 3, redis_killed),
    Fault("redis_frozen", 1, redis_frozen),
    Fault("redis_power_lost", 1, redis_power_lost),
    Fault("redis_restored", 1, redis_restored, again=True),
    Fault("redis_full", 1, redis_full),
    Fault("redis_read_only", 1, redis_read_only),
    Fault("redis_wiped", 1, redis_wiped, again=True),
    Fault("job_repeated", 2, job_repeated),
    Fault("wire_reset", 3, wire_reset),
    Fault("wire_closed", 2, wire_closed),
    Fault("wire_away", 2, wire_away),
    Fault("wire_cut_at_a_byte", 4, wire_cut_at_a_byte),
    Fault("wire_stalled", 2, wire_stalled),
    Fault("wire_dripping", 1, wire_dripping),
    Fault("append_delivered_late", 2, append_delivered_late, again=True),
    Fault("server_killed", 2, server_killed),
    Fault("server_restarted", 1, server_restarted),
    Fault("server_frozen", 1, server_frozen),
    Fault("source_gets_mail", 2, source_gets_mail, again=True),
    Fault("source_changes_flags", 1, source_changes_flags, again=True),
    Fault("destination_gets_mail", 1, destination_gets_mail),
)
#: Kinds that seeds from `LATER_SEED` on draw, too: those before it had been played, and replay what they did.
LATER: Final = (
    Fault("redis_failed_over", 2, redis_failed_over),
    Fault("machine_rebooted", 2, machine_rebooted),
    Fault("import_of_another_name", 1, import_of_another_name),
)
LATER_SEED: Final = 2_000
#: Kinds that seeds from `LATEST_SEED` on draw, too: people in both mailboxes, and the surroundings.
LATEST: Final = (
    Fault("source_moves", 2, people.source_moves, again=True),
    Fault("source_deletes", 2, people.source_deletes, again=True),
    Fault("source_renames", 2, people.source_renames, again=True),
    Fault("destination_moves", 2, people.destination_moves),
    Fault("destination_deletes", 2, people.destination_deletes),
    Fault("destination_flags", 2, people.destination_flags),
    Fault("destination_renames", 2, people.destination_renames),
    Fault("clock_jumps", 3, surroundings.clock_jumps),
    Fault("coordinators_clock_jumps", 1, surroundings.coordinators_clock_jumps),
    Fault("clock_wrong_from_the_start", 1, surroundings.clock_wrong_from_the_start),
    Fault("disk_full", 3, surroundings.disk_full, again=True),
    Fault("other_state_folder", 2, surroundings.other_state_folder, again=True),
    Fault("copied_state_folder", 2, surroundings.copied_state_folder, again=True),
)
LATEST_SEED: Final = 3_000
BY_NAME: Final = {fault.name: fault for fault in (*FAULTS, *LATER, *LATEST)}
#: Kinds after which a Redis at work knows nothing of something: it forgot it, or was never told.
FORGETTING: Final = frozenset(
    {
        "redis_wiped",
        "redis_restored",
        "redis_power_lost",
        "redis_failed_over",
        "other_state_folder",
        "copied_state_folder",
    }
)


def kinds_of(seed: int) -> tuple[Fault, ...]:
    """Returns the kinds from which a seed draws."""
    if seed < LATER_SEED:
        return FAULTS
    return (*FAULTS, *LATER) if seed < LATEST_SEED else (*FAULTS, *LATER, *LATEST)
