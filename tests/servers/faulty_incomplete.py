"""Sources that hold mail back, each in its own way: how the scripted server is set up, and the expected result.

Each double is a function of a server whose INBOX holds `MESSAGES` messages, UIDs 1 to `MESSAGES`. It changes the
server's answers, never its content.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from tests.servers.faults import Action
from tests.servers.faulty import Fault, FaultyServer
from tests.servers.imap_model import Folder, Quirk
from tests.servers.imap_syntax import compress

#: Number of messages in INBOX.
MESSAGES = 12
#: Number of messages that a server with a limit shows.
SOME = 5
#: UIDs of messages that are held back for good.
HIDDEN = {4, 5, 6, 7, 8}

_FETCH = re.compile(rb"^\* \d+ FETCH ", re.MULTILINE)
_UID = re.compile(rb"\bUID (\d+)")
_SEARCHED = re.compile(rb"^\* SEARCH(.*)\r\n", re.MULTILINE)
_ESEARCHED = re.compile(rb"^(\* ESEARCH.*?)(?: ALL ([\d:,]+))?\r\n", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Double:
    """A way to hold mail back."""

    #: Description of the double.
    what: str
    #: Sets the server up.
    spoil: Callable[[FaultyServer, Folder], object]
    #: Number of messages that never come, whatever the client asks; they must be reported. 0 if all come.
    kept: int = 0


def fetched(answer: bytes) -> tuple[list[bytes], bytes]:
    """Returns the FETCH answers of a whole answer, and what follows them."""
    starts = [found.start() for found in _FETCH.finditer(answer)]
    tagged = answer.rindex(b"\r\n", 0, -2) + 2 if answer.count(b"\r\n") > 1 else 0
    ends = [*starts[1:], tagged][: len(starts)]
    return [answer[a:b] for a, b in zip(starts, ends, strict=True)], answer[tagged:]


def uid(one: bytes) -> int:
    """Returns the UID of a FETCH answer; 0 without one."""
    found = _UID.search(one)
    return int(found[1]) if found else 0


def rewrite(server: FaultyServer, when: bytes, spell: Callable[[bytes], bytes]) -> Fault:
    """Rewrites the answers of matching commands from now on."""
    return server.faults.add(Fault(when=when, action=Action.REWRITE, times=None, spell=spell))


def fetching(server: FaultyServer, choose: Callable[[list[bytes], bytes], bytes], when: bytes = b"^UID FETCH") -> Fault:
    """Rewrites FETCH answers: `choose` gets all that would be sent and the tagged line."""
    return rewrite(server, when, lambda answer: choose(*fetched(answer)))


def searching(server: FaultyServer, choose: Callable[[list[int]], list[int]], code: bytes = b"") -> Fault:
    """Rewrites SEARCH answers to the UIDs that `choose` leaves, with `code` in the OK where it leaves any out."""

    def spell(answer: bytes) -> bytes:
        cut = False

        def left(uids: list[int]) -> list[int]:
            nonlocal cut
            kept = choose(uids)
            cut = cut or len(kept) < len(uids)
            return kept

        def plain(found: re.Match[bytes]) -> bytes:
            return (
                b"* SEARCH" + b"".join(b" %d" % one for one in left([int(word) for word in found[1].split()])) + b"\r\n"
            )

        def extended(found: re.Match[bytes]) -> bytes:
            uids = left(_listed(found[2] or b""))
            return found[1] + (b" ALL " + compress(uids) if uids else b"") + b"\r\n"

        answer = _ESEARCHED.sub(extended, _SEARCHED.sub(plain, answer))
        return answer.replace(b" OK ", b" OK " + code, 1) if cut and code else answer

    return rewrite(server, b"^UID SEARCH", spell)


def _listed(text: bytes) -> list[int]:
    out: list[int] = []
    for part in filter(None, text.split(b",")):
        low, _, high = part.partition(b":")
        out += range(int(low), int(high or low) + 1)
    return out


def _hide(uids: set[int]) -> Callable[[FaultyServer, Folder], object]:
    def spoil(server: FaultyServer, inbox: Folder) -> None:
        fetching(server, lambda them, end: b"".join(one for one in them if uid(one) not in uids) + end)
        searching(server, lambda found: [one for one in found if one not in uids])

    return spoil


def _ends_early(word: bytes) -> Callable[[FaultyServer, Folder], object]:
    def choose(them: list[bytes], end: bytes) -> bytes:
        tag = end.split(b" ")[0]
        return b"".join(them[:SOME]) + (end if len(them) <= SOME else tag + b" " + word + b"\r\n")

    return lambda server, inbox: fetching(server, choose)


def limited(server: FaultyServer, inbox: Folder, *, word: bytes, announced: bool) -> None:
    """Limits answers as in RFC 9738: the newest messages only, and the lowest of them in the response code."""
    code = b"[MESSAGELIMIT %d %d] "

    def choose(them: list[bytes], end: bytes) -> bytes:
        if len(them) <= SOME:
            return b"".join(them) + end
        tag = end.split(b" ")[0]
        if word == b"NO":
            return tag + b" NO [MESSAGELIMIT %d] too many messages\r\n" % SOME
        kept = them[-SOME:]
        return b"".join(kept) + tag + b" OK " + code % (SOME, uid(kept[0])) + b"partial\r\n"

    fetching(server, choose)
    if word == b"NO":

        def refuse(answer: bytes) -> bytes:
            found = _ESEARCHED.search(answer) or _SEARCHED.search(answer)
            uids = _listed(found[2] or b"") if found and found.re is _ESEARCHED else found[1].split() if found else []
            if len(uids) <= SOME:
                return answer
            tag = fetched(answer)[1].split(b" ")[0]
            return tag + b" NO [MESSAGELIMIT %d] too many messages\r\n" % SOME

        rewrite(server, b"^UID SEARCH", refuse)
    else:
        searching(server, lambda found: found[-SOME:], code % (SOME, 0))
    if announced:
        server.behaviour.capabilities.add(f"MESSAGELIMIT={SOME}")


def _exists(number: int) -> Callable[[FaultyServer, Folder], object]:
    return lambda server, inbox: rewrite(
        server, b"^(EXAMINE|SELECT)", lambda answer: re.sub(rb"\* \d+ EXISTS", b"* %d EXISTS" % number, answer)
    )


def _grows_late(server: FaultyServer, inbox: Folder) -> None:
    """Reports no messages when the folder is opened, and the real number with the second EXAMINE."""
    server.faults.add(
        Fault(
            when=b"^EXAMINE",
            action=Action.REWRITE,
            times=1,
            spell=lambda answer: re.sub(rb"\* \d+ EXISTS", b"* 0 EXISTS", answer),
        )
    )


def _states_more(server: FaultyServer, inbox: Folder) -> None:
    rewrite(
        server, b"^STATUS", lambda answer: answer.replace(b"MESSAGES %d" % MESSAGES, b"MESSAGES %d" % (MESSAGES + SOME))
    )


def _never_twice_the_same(them: list[bytes], end: bytes) -> bytes:
    """Sends every FETCH answer with the sequence number 1."""
    return b"".join(re.sub(rb"^\* \d+ ", b"* 1 ", one) for one in them) + end


def _bodiless(server: FaultyServer, inbox: Folder) -> None:
    for number in HIDDEN:
        message = inbox.get(number)
        assert message is not None
        message.quirks = frozenset({Quirk.BODY_ABSENT})


def _silent_bodies(server: FaultyServer, inbox: Folder) -> None:
    """Answers OK to a FETCH of a body and sends nothing; lists and headers show the message."""
    fetching(
        server,
        lambda them, end: b"".join(one for one in them if uid(one) not in HIDDEN or b"BODY[] {" not in one) + end,
    )


DOUBLES = (
    Double(what="fewer in FETCH and SEARCH than EXISTS", spoil=_hide({8, 9, 10, 11, 12}), kept=5),
    Double(what="a gap in the middle", spoil=_hide(HIDDEN), kept=5),
    Double(what="the oldest are not shown", spoil=_hide({1, 2, 3}), kept=3),
    Double(what="one sequence number for all", spoil=lambda server, inbox: fetching(server, _never_twice_the_same)),
    Double(what="FETCH ends early with OK", spoil=_ends_early(b"OK done")),
    Double(what="FETCH ends early with NO", spoil=_ends_early(b"NO could not read the rest")),
    Double(what="FETCH ends early with BAD", spoil=_ends_early(b"BAD internal error")),
    Double(
        what="SEARCH tells the newest alone", spoil=lambda server, inbox: searching(server, lambda found: found[-SOME:])
    ),
    Double(
        what="FETCH and SEARCH tell the newest alone, without a word",
        spoil=lambda server, inbox: (
            searching(server, lambda found: found[-SOME:]),
            fetching(server, lambda them, end: b"".join(them[-SOME:]) + end),
        ),
    ),
    Double(
        what="MESSAGELIMIT, announced, in OK",
        spoil=lambda server, inbox: limited(server, inbox, word=b"OK", announced=True),
    ),
    Double(
        what="MESSAGELIMIT, announced, in NO",
        spoil=lambda server, inbox: limited(server, inbox, word=b"NO", announced=True),
    ),
    Double(
        what="MESSAGELIMIT, not announced, in OK",
        spoil=lambda server, inbox: limited(server, inbox, word=b"OK", announced=False),
    ),
    Double(
        what="MESSAGELIMIT, not announced, in NO",
        spoil=lambda server, inbox: limited(server, inbox, word=b"NO", announced=False),
    ),
    Double(what="EXISTS smaller than what is shown", spoil=_exists(SOME)),
    Double(what="EXISTS is 0 although all is shown", spoil=_exists(0)),
    Double(what="EXISTS grows late", spoil=_grows_late),
    Double(what="UIDNEXT too low", spoil=lambda server, inbox: setattr(inbox, "announced_uidnext", 3)),
    Double(
        what="SEARCH ALL tells less than FETCH",
        spoil=lambda server, inbox: searching(server, lambda found: [one for one in found if one not in HIDDEN]),
    ),
    Double(what="FETCH of a body says OK without the message", spoil=_silent_bodies, kept=5),
    Double(what="FETCH of a body brings all but the body", spoil=_bodiless, kept=5),
    Double(what="STATUS states more than EXAMINE", spoil=_states_more, kept=SOME),
)
