"""The scripted server's protocol: one connection, its commands and their answers. It has no sockets and no faults."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field

from tests.servers.imap_append import NOW, AppendPolicy, No, appenduid, parse, store
from tests.servers.imap_fetch import GMAIL_ITEMS, answer_fetch, answer_search, fetch_items, search, stored_flags
from tests.servers.imap_folders import answer_list, answer_lsub, answer_status, as_word, uidnext
from tests.servers.imap_model import SYSTEM_FLAGS, Account, Folder, Quirk
from tests.servers.imap_syntax import Bad, Command, as_string, is_sendable_flag, number_set

USUAL_CAPABILITIES = (
    "IMAP4rev1 LITERAL+ SASL-IR AUTH=PLAIN ID ENABLE CONDSTORE UIDPLUS MOVE MULTIAPPEND ESEARCH NAMESPACE UNSELECT CHILDREN "
    "LIST-EXTENDED LIST-STATUS SPECIAL-USE STATUS=SIZE"
)

#: Extensions of RFC 9051 appendix E that this server has.
IMAP4REV2_BRINGS = frozenset(
    [
        "ENABLE",
        "ESEARCH",
        "LIST-EXTENDED",
        "LITERAL-",
        "MOVE",
        "NAMESPACE",
        "SASL-IR",
        "SPECIAL-USE",
        "STATUS=SIZE",
        "UIDPLUS",
        "UNSELECT",
    ]
)


@dataclass
class Attempt:
    """A try to sign in."""

    connection: int
    login: str
    password: str
    accepted: bool


@dataclass
class Behaviour:
    """The settings that all connections share."""

    accounts: dict[str, Account] = field(default_factory=dict)
    #: Words of CAPABILITY; read at each command, so they may change while the server runs.
    capabilities: set[str] = field(default_factory=lambda: set(USUAL_CAPABILITIES.split()))
    append: AppendPolicy = field(default_factory=AppendPolicy)
    #: Whether a refused sign-in repeats login and password in its text.
    echo_password: bool = False
    attempts: list[Attempt] = field(default_factory=list)
    #: Answer to the use of an announced extension (`tests.servers.hollow`), by its name.
    hollow: dict[str, bytes] = field(default_factory=dict)
    #: Answer to a command that came before the answer to the one ahead; b"" if such commands are accepted.
    one_at_a_time: bytes = b""
    #: Text of the NO to SELECT and EXAMINE for a client that has not sent ID; b"" to accept it.
    wants_id: bytes = b""
    #: Logins that may become others by PROXYAUTH.
    admins: set[str] = field(default_factory=set)

    def announced(self) -> bytes:
        """Returns the capabilities as an answer line lists them."""
        return " ".join(sorted(self.capabilities, key=lambda word: (word != "IMAP4rev1", word))).encode()


Quiet = Iterator[bytes]
#: A generator that ends with the text of the tagged OK.
Telling = Generator[bytes, None, bytes]


class Session:
    """The state of one connection. `execute` yields the lines to send; the last line is the tagged one."""

    def __init__(self, behaviour: Behaviour, connection: int, ask: Callable[[bytes], bytes]) -> None:
        self._shared = behaviour
        self._connection = connection
        #: Sends a continuation and returns the client's line.
        self._ask = ask
        self.account: Account | None = None
        self.folder: Folder | None = None
        self._read_only = True
        self._introduced = False
        self._view: list[int] = []
        self.over = False

    def execute(self, command: Command) -> Quiet:
        """Carries the command out."""
        handler = getattr(self, "_" + command.name.decode("ascii", "replace").lower().replace(" ", "_"), None)
        try:
            if handler is None or not re.fullmatch(rb"[A-Z ]+", command.name):
                raise Bad("unknown command")
            words = command.tokens()[2 if command.name.startswith(b"UID ") else 1 :]
            text = yield from handler(command, words)
            if command.name.removeprefix(b"UID ") not in (b"FETCH", b"STORE", b"SEARCH"):
                yield from self._news()
            yield b"%b OK %b\r\n" % (command.tag, text or b"done")
        except No as refusal:
            yield b"%b NO %b\r\n" % (command.tag, refusal.text)
        except (Bad, IndexError) as problem:
            yield b"%b BAD %b\r\n" % (command.tag, str(problem).encode())

    def has(self, capability: str) -> bool:
        """Tells whether the capability is announced, or comes with an announced one."""
        announced = self._shared.capabilities
        return capability in announced or (capability in IMAP4REV2_BRINGS and "IMAP4rev2" in announced)

    @property
    def _rev2_only(self) -> bool:
        return self.has("IMAP4rev2") and not self.has("IMAP4rev1")

    # -- any state

    def _capability(self, command: Command, words: list[object]) -> Quiet:
        yield b"* CAPABILITY %b\r\n" % self._shared.announced()

    def _noop(self, command: Command, words: list[object]) -> Quiet:
        yield from ()

    _check = _noop

    def _id(self, command: Command, words: list[object]) -> Quiet:
        self._introduced = True
        yield b'* ID ("name" "scripted")\r\n'

    def _logout(self, command: Command, words: list[object]) -> Quiet:
        self.over = True
        yield b"* BYE bye\r\n"

    # -- signing in

    def _login(self, command: Command, words: list[object]) -> Telling:
        if self.has("LOGINDISABLED"):
            raise No(b"[PRIVACYREQUIRED] Plaintext authentication disallowed")
        login, password = (as_word(word) for word in words)
        yield b""
        return self._sign_in(login, password)

    def _authenticate(self, command: Command, words: list[object]) -> Telling:
        if as_word(words[0]).upper() != b"PLAIN" or not self.has("AUTH=PLAIN"):
            raise No(b"[CANNOT] Unsupported mechanism")
        initial = as_word(words[1]) if len(words) > 1 else self._ask(b"+ \r\n")
        try:
            _, login, password = base64.b64decode(initial, validate=True).split(b"\0")
        except (binascii.Error, ValueError):
            raise Bad("not base64 of three fields") from None
        yield b""
        return self._sign_in(login, password)

    def _sign_in(self, login: bytes, password: bytes) -> bytes:
        name, secret = login.decode("utf-8", "replace"), password.decode("utf-8", "replace")
        account = self._shared.accounts.get(name)
        accepted = account is not None and account.password == secret
        self._shared.attempts.append(Attempt(self._connection, name, secret, accepted))
        if not accepted:
            echo = b" LOGIN %b %b" % (login, password) if self._shared.echo_password else b""
            raise No(b"[AUTHENTICATIONFAILED] Authentication failed." + echo)
        self.account = account
        return b"[CAPABILITY %b] Logged in" % self._shared.announced()

    def _proxyauth(self, command: Command, words: list[object]) -> Quiet:
        if self._signed_in().login not in self._shared.admins:
            raise No(b"you are no administrator")
        account = self._shared.accounts.get(as_word(words[0]).decode("utf-8", "replace"))
        if account is None:
            raise No(b"no such user")
        self.account = account
        yield from ()

    # -- signed in

    def _enable(self, command: Command, words: list[object]) -> Quiet:
        there = {capability.upper() for capability in self._shared.capabilities}
        known = [as_word(word) for word in words if as_word(word).decode("latin-1").upper() in there]
        yield b"* ENABLED" + b"".join(b" " + word for word in known) + b"\r\n"

    def _namespace(self, command: Command, words: list[object]) -> Quiet:
        account = self._signed_in()
        own = b"((%b %b)) NIL NIL" % (as_string(account.prefix), as_string(account.separator))
        yield b"* NAMESPACE %b\r\n" % (own if account.namespace is None else account.namespace)

    def _list(self, command: Command, words: list[object]) -> Quiet:
        yield from answer_list(self._signed_in(), words)

    def _lsub(self, command: Command, words: list[object]) -> Quiet:
        if self._rev2_only:
            raise Bad("unknown command")
        yield from answer_lsub(self._signed_in(), words)

    def _status(self, command: Command, words: list[object]) -> Quiet:
        folder = self._named(words[0])
        if not isinstance(words[1], list):
            raise Bad("items missing")
        yield answer_status(folder, [as_word(item).upper() for item in words[1]])

    def _create(self, command: Command, words: list[object]) -> Quiet:
        account = self._signed_in()
        name = account.key(as_word(words[0]).removesuffix(account.separator))
        if name in account.folders and not account.created_again:
            raise No(b"[ALREADYEXISTS] Mailbox already exists")
        uses = words[1][1] if len(words) > 1 and isinstance(words[1], list) else []
        account.folder(name, attributes=tuple(as_word(use) for use in uses) if isinstance(uses, list) else ())
        yield from ()

    def _delete(self, command: Command, words: list[object]) -> Quiet:
        self._signed_in().folders.pop(self._named(words[0]).name)
        yield from ()

    def _rename(self, command: Command, words: list[object]) -> Quiet:
        account = self._signed_in()
        name, new = self._named(words[0]).name, account.key(as_word(words[1]))
        if new in account.folders:
            raise No(b"[ALREADYEXISTS] Mailbox already exists")
        for old in [one for one in account.folders if one == name or one.startswith(name + account.separator)]:
            folder = account.folders.pop(old)
            folder.name = new + old[len(name) :]
            account.folders[folder.name] = folder
        yield from ()

    def _subscribe(self, command: Command, words: list[object]) -> Quiet:
        self._named(words[0]).subscribed = True
        yield from ()

    def _unsubscribe(self, command: Command, words: list[object]) -> Quiet:
        self._named(words[0]).subscribed = False
        yield from ()

    def _append(self, command: Command, words: list[object]) -> Telling:
        name, messages = parse(words, multi=self.has("MULTIAPPEND"))
        folder = self._named(name, create=True)
        policy = self._shared.append
        account = self._signed_in()
        used = 0
        if policy.quota_bytes is not None:
            used = sum(len(message.body) for each in account.folders.values() for message in each.messages)
        uids = store(folder, messages, policy, used)
        yield b""
        return (appenduid(folder, uids, policy) if self.has("UIDPLUS") else b"") + b"Append completed."

    # -- a folder selected

    def _select(self, command: Command, words: list[object]) -> Telling:
        self.folder = None
        if self._shared.wants_id and not self._introduced:
            raise No(self._shared.wants_id)
        folder = self._named(words[0])
        self.folder, self._read_only = folder, command.name == b"EXAMINE"
        self._view = list(folder.uids)
        keywords = {flag for message in folder._messages.values() for flag in message.flags} - set(SYSTEM_FLAGS)
        yield b"* FLAGS (%b)\r\n" % b" ".join((*SYSTEM_FLAGS, *sorted(keywords)))
        kept = () if self._read_only else folder.flags_kept
        yield b"* OK [PERMANENTFLAGS (%b)] kept\r\n" % b" ".join(kept)
        yield b"* %d EXISTS\r\n" % len(self._view)
        yield b"" if self._rev2_only else b"* 0 RECENT\r\n"
        if not folder.without_uidvalidity:
            yield b"* OK [UIDVALIDITY %d] valid\r\n" % folder.uidvalidity
        if folder.object_id:
            yield b"* OK [MAILBOXID (%b)] its id\r\n" % folder.object_id
        yield b"* OK [UIDNEXT %d] next\r\n" % uidnext(folder)
        if self.has("CONDSTORE"):
            yield b"* OK [HIGHESTMODSEQ %d] highest\r\n" % folder.uidnext
        return b"[READ-ONLY] done" if self._read_only else b"[READ-WRITE] done"

    _examine = _select

    def _unselect(self, command: Command, words: list[object]) -> Quiet:
        self._selected()
        self.folder = None
        yield from ()

    def _close(self, command: Command, words: list[object]) -> Quiet:
        folder = self._selected()
        if not self._read_only:
            for uid in search(folder, [b"DELETED"]):
                folder.remove(uid)
        self.folder = None
        yield from ()

    def _uid_fetch(self, command: Command, words: list[object]) -> Telling:
        folder = self._selected()
        by_uid = command.name.startswith(b"UID")
        chosen = as_word(words[0])
        if by_uid:
            uids = number_set(chosen, folder.uids)
        else:
            uids = [self._view[number - 1] for number in number_set(chosen, list(range(1, len(self._view) + 1)))]
        items = fetch_items(words[1:])
        if not self.has("X-GM-EXT-1") and any(item.upper() in GMAIL_ITEMS for item in items):
            raise Bad("unknown item")
        yield from answer_fetch(folder, uids, items, by_uid=by_uid)
        quirks = {quirk for uid in uids if uid in folder._messages for quirk in folder._messages[uid].quirks}
        if Quirk.REFUSED in quirks:
            raise No(b"[SERVERBUG] FETCH failed")
        return b"[EXPUNGEISSUED] some are gone" if Quirk.BODY_NIL in quirks else b"Fetch completed."

    _fetch = _uid_fetch

    def _uid_search(self, command: Command, words: list[object]) -> Quiet:
        folder = self._selected()
        options: list[bytes] | None = None
        if words and words[0] == b"RETURN" and len(words) > 1 and isinstance(words[1], list):
            if not self.has("ESEARCH"):
                raise Bad("unknown key")
            options, words = [as_word(word) for word in words[1]], words[2:]
            if b"PARTIAL" in options and not self.has("PARTIAL"):
                raise Bad("unknown result option")
        if self._rev2_only and options is None:
            options = [b"ALL"]
        yield answer_search(command.tag, search(folder, words), options)

    def _uid_store(self, command: Command, words: list[object]) -> Quiet:
        folder = self._writable()
        operation = as_word(words[1]).upper()
        raw = words[2] if isinstance(words[2], list) else words[2:]
        flags = [as_word(flag) for flag in raw]
        if not re.fullmatch(rb"[+-]?FLAGS(\.SILENT)?", operation) or not all(is_sendable_flag(flag) for flag in flags):
            raise Bad("invalid flags")
        for uid in number_set(as_word(words[0]), folder.uids):
            message = folder.get(uid)
            if message is not None:
                folder.change(uid, stored_flags(message, operation, flags))
                if not operation.endswith(b".SILENT"):
                    yield from answer_fetch(folder, [uid], [b"FLAGS"], by_uid=True)

    def _uid_copy(self, command: Command, words: list[object]) -> Telling:
        folder, target, policy = self._selected(), self._named(words[1], create=True), self._shared.append
        if policy.refuse_copy:
            raise No(policy.refuse_copy)
        there = [message for uid in number_set(as_word(words[0]), folder.uids) if (message := folder.get(uid))]
        copies = [
            target.add(message.body, message.flags, message.internaldate if policy.copy_dates else NOW).uid
            for message in there
        ]
        yield b""
        if not copies or policy.without_appenduid or not self.has("UIDPLUS"):
            return b"Copied."
        pair = (b",".join(b"%d" % uid for uid in uids) for uids in ((message.uid for message in there), copies))
        return b"[COPYUID %d %b %b] Copied." % (target.uidvalidity, *pair)

    def _uid_move(self, command: Command, words: list[object]) -> Telling:
        if not self.has("MOVE"):
            raise Bad("unknown command")
        folder = self._writable()
        uids = [uid for uid in number_set(as_word(words[0]), folder.uids) if folder.get(uid)]
        told = yield from self._uid_copy(command, words)
        if told != b"Copied.":
            yield b"* OK " + told + b"\r\n"
        for uid in uids:
            folder.remove(uid)
        return b"Moved."

    def _uid_expunge(self, command: Command, words: list[object]) -> Quiet:
        folder = self._writable()
        if not self.has("UIDPLUS"):
            raise Bad("unknown command")
        named = set(number_set(as_word(words[0]), folder.uids))
        for uid in search(folder, [b"DELETED"]):
            if uid in named:
                folder.remove(uid)
        yield from ()

    def _expunge(self, command: Command, words: list[object]) -> Quiet:
        folder = self._writable()
        for uid in search(folder, [b"DELETED"]):
            folder.remove(uid)
        yield from ()

    # -- common to several commands

    def _news(self) -> Iterator[bytes]:
        """Yields what other sessions changed in the selected folder."""
        if self.folder is None or self._view == self.folder.uids:
            return
        current = set(self.folder.uids)
        for number in range(len(self._view), 0, -1):
            if self._view[number - 1] not in current:
                yield b"* %d EXPUNGE\r\n" % number
        self._view = list(self.folder.uids)
        yield b"* %d EXISTS\r\n" % len(self._view)

    def _signed_in(self) -> Account:
        if self.account is None:
            raise Bad("sign in first")
        return self.account

    def _selected(self) -> Folder:
        if self.folder is None:
            raise Bad("no folder selected")
        return self.folder

    def _writable(self) -> Folder:
        if self._read_only:
            raise No(b"[READ-ONLY] opened read-only")
        return self._selected()

    def _named(self, name: object, *, create: bool = False) -> Folder:
        account = self._signed_in()
        folder = account.folders.get(account.key(as_word(name)))
        if folder is None:
            raise No(b"[TRYCREATE] no such mailbox" if create else b"[NONEXISTENT] no such mailbox")
        if not folder.selectable or b"\\Noselect" in folder.attributes:
            raise No(b"[CANNOT] not selectable")
        return folder
