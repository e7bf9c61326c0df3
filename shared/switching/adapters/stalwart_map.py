"""Stalwart's lookup list (0.16 or newer): an entry says which route the mail for an address or a domain takes.

The entries are objects `MemoryLookupKeyValue` of its JMAP (RFC 8620), and take effect when the action `ReloadLookupStores`
runs. Whether it ran for an entry that stands there already is not told, so it runs for those too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from shared.model.sides import Side
from shared.runtime.secret import Secret
from shared.switching import SwitchedMailbox, Turned, TurnedBefore, TurnOutcome, TurnRefused
from shared.switching.adapters.hook_program import per_domain
from shared.switching.kinds import SwitchKind, SwitchPlace, SwitchUrl, register
from shared.switching.row import RowChange, value_of
from shared.switching.told import translated
from shared.wording.often_said import ANSWERS_AND_NO_JMAP, SERVICE_SAYS
from shared.wording.phrases import Phrase, text_of

if TYPE_CHECKING:
    from shared.accounts.api import Api

NOTHING_OF_THE_CHANGE: Final = Phrase("nothing_of_the_change", "{switch} says to {call}/set: nothing of the change")
LIST_OF: Final = Phrase("list_of", "the list {list} of {switch}")
SAYS_TO_SET: Final = Phrase("says_to_set", "{switch} says to {call}/set: {said}")
LIST_OF_HAS_ENTRIES: Final = Phrase("list_of_has_entries", "the list {list} of {switch} has {count} entries for {key}")
CANNOT_STAND_IN_LIST: Final = Phrase("cannot_stand_in_list", "{address} cannot stand in the list {list} of {switch}")
GIVE_WHOLE_ADDRESS: Final = Phrase("give_whole_address", "give a whole address")
ANSWERS_NO_JMAP: Final = Phrase("answers_no_jmap", "{switch} answers no JMAP: {said}")
SEE_STALWART_LOG: Final = Phrase("see_stalwart_log", "see the log of Stalwart, and the permissions of the key")

_USING: Final = ["urn:ietf:params:jmap:core", "urn:stalwart:jmap"]
_KIND: Final = "x:MemoryLookupKeyValue"


class StalwartMap:
    """The adapter for one lookup list of a Stalwart server."""

    def __init__(self, api: Api, namespace: str, values: dict[Side, str], *, per_domain: bool) -> None:
        """Knows the list. `values` are names of routes, "none" for no entry."""
        self._api, self._namespace, self._values = api, namespace, values
        self.per_domain, self.shown = per_domain, api.shown

    def rehearse(self, mailbox: SwitchedMailbox, to: Side) -> TurnOutcome:
        """Looks at the list, as `Switch.rehearse` says."""
        return self._done(mailbox, to, write=False)

    def turn(self, mailbox: SwitchedMailbox, to: Side) -> TurnOutcome:
        """Turns as `Switch.turn` says."""
        return self._done(mailbox, to, write=True)

    def close(self) -> None:
        """Closes the connections."""
        self._api.close()

    def _done(self, mailbox: SwitchedMailbox, to: Side, *, write: bool) -> TurnOutcome:
        from shared.accounts.api import Halted

        if not mailbox.domain:
            return TurnRefused(
                words=CANNOT_STAND_IN_LIST.says(address=repr(mailbox.address), list=self._namespace, switch=self.shown),
                advice=GIVE_WHOLE_ADDRESS.says(),
            )
        key = mailbox.domain if self.per_domain else mailbox.address.lower()
        wanted, other = (value_of(self._values[side]) for side in (to, *(set(Side) - {to})))
        try:
            found = self._found(key)
            now = str(found.get("value")) if found else None
            table = LIST_OF.says(list=self._namespace, switch=self.shown)
            outcome = RowChange(table=table, key=key, now=now, wanted=wanted, other=other, to=to).judged()
            if write and isinstance(outcome, Turned):
                self._write(key, wanted, str(found["id"]) if found else "")
            if write and isinstance(outcome, Turned | TurnedBefore):
                self._set("x:Action", {"create": {"r1": {"@type": "ReloadLookupStores"}}}, "created", "r1")
        except Halted as halted:
            return translated(halted.outcome)
        except _Unsaid as unsaid:
            return TurnRefused(words=text_of(unsaid), advice=SEE_STALWART_LOG.says())
        return outcome

    def _found(self, key: str) -> dict[str, Any] | None:
        query, get = f"{_KIND}/query", f"{_KIND}/get"
        said = self._calls(
            [query, {"filter": {"namespace": self._namespace, "key": key}}, "q"],
            [get, {"#ids": {"resultOf": "q", "name": query, "path": "/ids"}}, "g"],
        )
        listed = said.get("list")
        entries = listed.values() if isinstance(listed, dict) else listed if isinstance(listed, list) else []
        mine = [
            entry
            for entry in entries
            if isinstance(entry, dict)
            and entry.get("namespace") == self._namespace
            and str(entry.get("key")).lower() == key
        ]
        if len(mine) > 1:
            raise _Unsaid(LIST_OF_HAS_ENTRIES.says(list=self._namespace, switch=self.shown, count=len(mine), key=key))
        return mine[0] if mine else None

    def _write(self, key: str, value: str | None, known: str) -> None:
        if value is None:
            self._set(_KIND, {"destroy": [known]}, "destroyed", known)
        elif known:
            self._set(_KIND, {"update": {known: {"value": value}}}, "updated", known)
        else:
            entry = {"namespace": self._namespace, "key": key, "value": value, "isGlobPattern": False}
            self._set(_KIND, {"create": {"n1": entry}}, "created", "n1")

    def _set(self, kind: str, arguments: dict[str, Any], done: str, name: str) -> None:
        """Makes one change. Raises `_Unsaid` where the answer does not say that it was made."""
        from shared.accounts.api import shortened

        said = self._calls([f"{kind}/set", arguments, "s"])
        if name in (said.get(done) or ()):
            return
        refused = said.get(f"not{done.capitalize()}") or {}
        why = refused.get(name) if isinstance(refused, dict) else None
        words = " ".join(str(why[k]) for k in ("type", "description") if k in why) if isinstance(why, dict) else ""
        told = SAYS_TO_SET if shortened(words) else NOTHING_OF_THE_CHANGE
        raise _Unsaid(told.says(switch=self.shown, call=kind, said=shortened(words)))

    def _calls(self, *calls: list[Any]) -> dict[str, Any]:
        """Makes the calls in one request. Returns the answer to the last."""
        from shared.accounts.api import shortened

        answer = self._api.ask("POST", "jmap", json={"using": _USING, "methodCalls": list(calls)})
        said = answer.body.get("methodResponses") if isinstance(answer.body, dict) else None
        if answer.status != 200 or not isinstance(said, list) or not said:
            raise _Unsaid(ANSWERS_AND_NO_JMAP.says(service=self.shown, status=answer.status, said=answer.text))
        for one in said:
            if not isinstance(one, list) or len(one) < 2 or not isinstance(one[1], dict):
                raise _Unsaid(ANSWERS_NO_JMAP.says(switch=self.shown, said=answer.text))
            if one[0] == "error":
                words = ", ".join(str(one[1][key]) for key in ("type", "description") if key in one[1])
                raise _Unsaid(SERVICE_SAYS.says(service=self.shown, said=shortened(words)))
        last: dict[str, Any] = said[-1][1]
        return last


class _Unsaid(Exception):
    """An answer that does not say what was asked for."""


def _opened(url: SwitchUrl, secret: Secret) -> StalwartMap:
    # Imported when it is needed: an HTTP client is half as large as a coordinator.
    import base64

    from shared.accounts.api import Api, http_client

    text = secret.reveal()
    login = f"Basic {base64.b64encode(text.encode()).decode()}" if ":" in text else f"Bearer {text}"
    client = http_client(url.place, url.shown, {"Authorization": login}, ca_file=url.options.get("ca", ""))
    values = {
        Side.DESTINATION: url.options.get("new", "local"),
        Side.SOURCE: url.options.get("old", "none"),
    }
    namespace = url.options.get("list", "mailhaul")
    return StalwartMap(Api(client, url.shown), namespace, values, per_domain=per_domain(url))


register(
    SwitchKind(
        name="stalwart",
        place=SwitchPlace.HTTP,
        example="stalwart+https://host?list=mailhaul&new=local&old=none",
        options=frozenset({"ca", "per", "list", "new", "old"}),
        secretive=True,
        open=_opened,
    )
)
