"""Which Redis commands each role needs, read off the scripts and the code, so that the ACL file can be held against it.

`python -m tests.deploy.commands` writes the lists of `deploy/redis/users.acl.template` anew.
"""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

from shared.store.scripts import NAMES, WITH_RATES

#: Role → the scripts of the store that it runs.
SCRIPTS = {
    "worker": frozenset(
        {
            "claim", "attend", "progress", "finish", "release", "split", "leave", "plan_folder", "audit", "set_flags",
            "note_left_out", "recheck", "account_turn", "account_hold", "account", "maildrop", "maildrop_said", "share", "stand",
            "login_turn", "login_told", "forgive", "token", "keep_token", "hold",
        }
    ),
    "coordinator": frozenset({"lead", "reap", "overview", "stranded", "hours", "waits"}),
    "producer": frozenset(
        {
            "open", "submit", "control", "retry", "accept", "seal", "overview", "find", "stranded", "bury", "hours", "waits",
            "close", "forget", "reseal", "forgive",
            "login_turn", "login_told", "token", "keep_token",  # spool signs in at the source
        }
    ),
}  # fmt: skip
#: Role → what it asks without a script: `RedisStore._read`, `_pipeline`, and the coordinator's look at the queues.
DIRECT = {
    "worker": {"get", "hget", "hgetall", "hmget", "zrange"},
    "coordinator": {"hgetall", "hget", "llen", "zrange", "zrevrange"},
    "producer": {
        "del",
        "incrby",  # what redis-py sends for incr
        "set",
        "xadd",
        "xrange",
        "expire",
        "get",
        "getdel",
        "hdel",
        "hget",
        "hgetall",
        "hmget",
        "hset",
        "lrange",
        "ttl",
        "zadd",
        "zrange",
        "zrem",
        "zremrangebyscore",
        "zrevrange",
    },
}
#: Every role: scripts themselves, and the look at the server when it starts (`shared.redis_condition`).
ALWAYS = {"evalsha", "script|load", "script|exists", "info", "time"}

_CALL = re.compile(r"redis\.p?call\(['\"](\w+)['\"]")


def needed(role: str) -> set[str]:
    """The commands, lower case."""
    folder = resources.files("shared.store") / "lua"
    shared = ("_rates",) if SCRIPTS[role] & WITH_RATES else ()
    texts = [(folder / f"{name}.lua").read_text() for name in ("_common", *shared, *sorted(SCRIPTS[role]))]
    import dramatiq.brokers.redis

    texts.append((Path(dramatiq.brokers.redis.__file__).parent / "redis" / "dispatch.lua").read_text())
    found = {command.lower() for text in texts for command in _CALL.findall(text)}
    return found | DIRECT[role] | ALWAYS


def scripts_of_nobody() -> set[str]:
    """A new script that no role was given yet."""
    return set(NAMES) - set().union(*SCRIPTS.values())


def written(template: str) -> str:
    """The template with the lists as they must be."""
    lines = template.splitlines()
    for at, line in enumerate(lines):
        for role in SCRIPTS:
            if line.startswith(f"user {role} "):
                head = line[: line.index("-@dangerous") + len("-@dangerous")]
                lines[at] = " ".join([head, *(f"+{command}" for command in sorted(needed(role)))])
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    path = Path(__file__).resolve().parents[2] / "deploy" / "redis" / "users.acl.template"
    path.write_text(written(path.read_text()))
