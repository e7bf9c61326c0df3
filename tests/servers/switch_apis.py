"""Doubles of the services that turn a mailbox, as their documentation describes them."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from tests.servers.account_apis import SECRET
from tests.servers.http_api import Asked, HttpApi, Said


class SwitchWebhook(HttpApi):
    """A webhook that checks the signature, and keeps where each address is turned to."""

    def __init__(self) -> None:
        super().__init__()
        self.turned: dict[str, str] = {}
        self.keys: list[str] = []

    def answer(self, asked: Asked) -> Said:
        stamp = asked.headers["mailhaul-timestamp"].encode()
        wanted = hmac.new(SECRET.encode(), stamp + b"." + asked.body, hashlib.sha256).hexdigest()
        if asked.headers["mailhaul-signature"] != f"v1={wanted}":
            return Said(status=401, body={"reason": f"the signature of {SECRET} is wrong"})
        told = asked.json
        self.keys.append(asked.headers["idempotency-key"])
        if told["address"].startswith("no"):
            return Said(status=422, body={"reason": f"not this one ({SECRET})", "advice": "ask the boss"})
        if self.turned.get(told["address"], "source") == told["to"]:
            return Said(status=208, body={})
        if told["action"] == "turn":
            self.turned[told["address"]] = told["to"]
        return Said(status=200, body={"reason": "as you wish"})


class StalwartLists(HttpApi):
    """Stalwart's JMAP for lookup lists: what is set takes effect when the lists are rebuilt."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[str, dict[str, Any]] = {}
        #: The lists that mail is routed by.
        self.built: dict[str, str] = {}
        #: Whether the next rebuild fails.
        self.fails = False

    def answer(self, asked: Asked) -> Said:
        if asked.headers.get("authorization") != f"Bearer {SECRET}":
            return Said(status=401, body={"title": "Unauthorized"})
        assert asked.path == "/jmap"
        found: list[Any] = []
        for name, arguments, call in asked.json["methodCalls"]:
            found.append([name, self._call(name, arguments, found), call])
        return Said(body={"methodResponses": found, "sessionState": "s"})

    def _call(self, name: str, arguments: dict[str, Any], before: list[Any]) -> Any:
        if name == "x:MemoryLookupKeyValue/query":
            wanted = arguments["filter"]["key"]
            # The filter finds more than what is equal.
            return {"ids": [known for known, entry in self.entries.items() if wanted in entry["key"]]}
        if name == "x:MemoryLookupKeyValue/get":
            return {"list": [{"id": known, **self.entries[known]} for known in before[-1][1]["ids"]]}
        if name == "x:MemoryLookupKeyValue/set":
            return self._set(arguments)
        assert (name, arguments) == ("x:Action/set", {"create": {"r1": {"@type": "ReloadLookupStores"}}})
        if self.fails:
            self.fails = False
            return {"notCreated": {"r1": {"type": "serverFail", "description": "the lists could not be rebuilt"}}}
        self.built = {entry["key"]: entry["value"] for entry in self.entries.values()}
        return {"created": {"r1": {"id": "a1"}}}

    def _set(self, arguments: dict[str, Any]) -> Any:
        done: dict[str, Any] = {"created": {}, "updated": {}, "destroyed": []}
        for name, entry in arguments.get("create", {}).items():
            known = f"e{len(self.asked)}"
            self.entries[known] = entry
            done["created"][name] = {"id": known}
        for known, change in arguments.get("update", {}).items():
            self.entries[known] |= change
            done["updated"][known] = None
        for known in arguments.get("destroy", []):
            del self.entries[known]
            done["destroyed"].append(known)
        return done
