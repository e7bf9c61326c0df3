"""Lists the Redis commands that each role needs, read from the scripts and the code, to check the ACL file.

`python -m tests.deploy.commands` writes the lists of `deploy/redis/users.acl.template` anew.
"""

from __future__ import annotations

import re
from pathlib import Path

from shared.store.redis.scripts import NAMES, sources

#: Scripts of the store that each role runs.
SCRIPTS = {
    "worker": frozenset(
        {
            "restarted",
            "claim",
            "attend",
            "progress",
            "finish",
            "release",
            "split",
            "widen",
            "writing",
            "leave",
            "plan_folder",
            "audit",
            "compared",
            "set_flags",
            "moving",
            "mixed",
            "note_left_out",
            "recheck",
            "account_turn",
            "account_hold",
            "account",
            "maildrop",
            "maildrop_said",
            "share",
            "stand",
            "login_turn",
            "login_told",
            "forgive",
            "token",
            "keep_token",
            "hold",
            "looked",
            "note_unplanned",
            "in_doubt",
            "deleted_too",
        }
    ),
    "coordinator": frozenset(
        {
            "restarted",
            "lead",
            "lanes",
            "steer",
            "reap",
            "sweep",
            "overview",
            "stranded",
            "hours",
            "waits",
            "behind",
            "standing",
            "cutover",
            "tell",
            # A cutover marks what the destination holds, and a rollback opens the import that brings it back.
            "mark",
            "open",
            "submit",
            "seal",
            "login_turn",
            "login_told",
            "token",
            "keep_token",
        }
    ),
    "producer": frozenset(
        {
            "restarted",
            "open",
            "lanes",
            "submit",
            "control",
            "sweep",
            "decide",
            "retry",
            "accept",
            "seal",
            "overview",
            "find",
            "rank",
            "gather",
            "stranded",
            "bury",
            "hours",
            "waits",
            "behind",
            "close",
            "archive",
            "erase",
            "forget",
            "reseal",
            "forgive",
            "wave",
            "move",
            "standing",
            "cutover",
            "mark",
            "lead",
            "tell",
            "spread",
            "take_delivery",
            "settle_delivery",
            "keep_forecast",
            "login_turn",
            "login_told",
            "token",
            "keep_token",  # spool signs in at the source
        }
    ),
}
#: Commands that each role sends without a script: `RedisStore._read`, `_pipeline`, and the coordinator's look at
#: queues.
DIRECT = {
    "worker": {"blmove", "get", "hget", "hgetall", "hmget", "zrange"},
    "coordinator": {"get", "hgetall", "hget", "hmget", "llen", "zrange", "zrevrange"},
    "producer": {
        # `RedisStore.at_once`
        "exec",
        "multi",
        "unwatch",
        "watch",
        "del",
        "incrby",  # redis-py sends this for incr
        "set",
        "type",
        "xadd",
        "xdel",
        "xrange",
        "expire",
        "get",
        "getdel",
        "hdel",
        "hget",
        "hgetall",
        "hmget",
        "hscan",
        "hset",
        "lrange",
        "lrem",
        "rpush",
        "scan",
        "srem",
        "sscan",
        "ttl",
        "zadd",
        "zrange",
        "zrem",
        "zremrangebyscore",
        "zrevrange",
        "zscan",
    },
}
#: Commands of every role: scripts, and the check of the server at the start (`shared.runtime.redis_condition`).
ALWAYS = {"evalsha", "script|load", "script|exists", "info", "time"}

_CALL = re.compile(r"redis\.p?call\(['\"](\w+)['\"]")


#: The commands that a role may send to the audit log.
AUDIT = {"exists", "llen", "lrange", "rpush", "type", "xrange", "xrevrange"}


def needed(role: str) -> set[str]:
    """Returns the commands that the role needs, in lower case."""
    texts = [sources()[name] for name in sorted(SCRIPTS[role])]
    import dramatiq.brokers.redis

    texts.append((Path(dramatiq.brokers.redis.__file__).parent / "redis" / "dispatch.lua").read_text())
    found = {command.lower() for text in texts for command in _CALL.findall(text)}
    return found | DIRECT[role] | ALWAYS


def scripts_of_nobody() -> set[str]:
    """Returns scripts that no role has."""
    return set(NAMES) - set().union(*SCRIPTS.values())


def written(template: str) -> str:
    """Returns the template with the right lists."""
    lines = template.splitlines()
    for at, line in enumerate(lines):
        for role in SCRIPTS:
            if line.startswith(f"user {role} "):
                head = line[: line.index("-@dangerous") + len("-@dangerous")]
                selector = line[line.index(" (") :] if " (" in line else ""
                lines[at] = " ".join([head, *(f"+{command}" for command in sorted(needed(role)))]) + selector
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    path = Path(__file__).resolve().parents[2] / "deploy" / "redis" / "users.acl.template"
    path.write_text(written(path.read_text()))
