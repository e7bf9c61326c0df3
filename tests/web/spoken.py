"""The sentences of mailhaul, found in its sources: every string that reads as a sentence, with `{}` for each value."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
#: Files with sentences that the page may show.
SOURCES: Final = (
    "producer/intake/*.py",
    "producer/cutover/*.py",
    "producer/operations/finding.py",
    "producer/operations/passes.py",
    "producer/operations/control.py",
    "producer/notices/setup.py",
    "producer/forecast/binding.py",
    "producer/operations/forecasting.py",
    "producer/operations/limits.py",
    "producer/operations/searching.py",
    "producer/operations/token_expiry.py",
    "producer/operations/credentials.py",
    "producer/waves.py",
    "producer/web/*.py",
    "producer/web/*/*.py",
    "shared/accounts/*.py",
    "shared/content/*.py",
    "shared/folders/*.py",
    "shared/mail/*.py",
    "shared/mail/*/*.py",
    "shared/model/*.py",
    "shared/oauth/*.py",
    "shared/rules/*.py",
    "shared/runtime/*.py",
    "shared/sign_in/*.py",
    "shared/wording/*.py",
    "shared/switching/*.py",
    "shared/switching/adapters/*.py",
    "worker/*.py",
)
#: Files whose sentences are not shown: the model of a mail server, those of the terminal alone, those of the API alone,
#: those that only logs or operators of processes read.
_ELSEWHERE: Final = (
    "shared/accounts/address.py",
    "shared/accounts/opening.py",
    "shared/accounts/program.py",
    "shared/accounts/several.py",
    "producer/intake/account_options.py",
    "producer/intake/detect_autoconfig.py",
    "producer/intake/passwords.py",
    "producer/intake/dry_run.py",
    "producer/intake/providers.py",
    "producer/web/__main__.py",
    "producer/web/security/access.py",
    "producer/web/app.py",
    "producer/web/api/request_bodies.py",
    "producer/web/api/auditing.py",
    "producer/web/api/mailboxes.py",
    "producer/web/api/once.py",
    "producer/web/api/principals.py",
    "producer/web/page_health.py",
    "producer/web/security/roles.py",
    "producer/web/security/scrypt.py",
    "shared/mail/answers/fetch_answer.py",
    "shared/mail/answers/responses.py",
    "shared/mail/answers/tokens.py",
    "producer/web/api/spooling.py",
    "producer/web/api/general_routes.py",
    "producer/web/api/described.py",
    "producer/web/problem_types.py",
    "producer/web/api/strange_parameters.py",
    "shared/switching/address.py",
    "shared/switching/kinds.py",  # the settings of switches, read by who starts the process
    "shared/runtime/broker.py",
    "shared/runtime/config.py",
    "shared/runtime/web_settings.py",
    "shared/runtime/embedded.py",
    "shared/sign_in/entrance.py",
    "shared/runtime/logs.py",
    "shared/probe.py",
    "shared/runtime/processes.py",
    "shared/runtime/redis_*.py",
    "shared/runtime/replaced_files.py",
    "shared/folders/special_use.py",
    "shared/runtime/supervise.py",
    "worker/__main__.py",
    "worker/actors.py",
    "worker/worker_health.py",
)
_PLACE: Final = re.compile(r"\{\w*\}|\bIMPORT\b")

#: Words that are no English: names of people, providers and programs, protocols, commands and settings.
_NAMES: Final = re.compile(
    r"mailhaul (?:up|worker|link|token add)[-\w ]*|MAILHAUL_\w+|[\w.+-]*[@/:_\\=]\S*|[\w-]+(?:\.[\w-]+)+|\b[A-Z0-9-]{2,}\b"
    r"|\b\d\S*|\blogin(?:,password)?(?:,new_login)?\b|\b(?:mailhaul|localhost|Message-ID|Google Workspace|Sun, Oracle, Courier)\b"
)
_ENGLISH: Final = re.compile(r"[A-Za-z]{2,}(?:['’-][a-z]+)?(?:[\s,.:;()«»“”]+[A-Za-z]{2,}(?:['’-][a-z]+)?)+")


def english(text: str) -> list[str]:
    """Returns each run of two or more English words."""
    return _ENGLISH.findall(_NAMES.sub(" § ", text))


def shape(text: str) -> str:
    """Returns a template with `{}` for each place; places without a text between them become one."""
    return re.sub(r"(?:\{\})+", "{}", _PLACE.sub("{}", text))


def sentences() -> dict[str, str]:
    """Returns the shape of each sentence → its place in the sources."""
    found: dict[str, str] = {}
    for pattern in SOURCES:
        paths = sorted(ROOT.glob(pattern))
        assert paths, pattern
        for path in paths:
            name = str(path.relative_to(ROOT))
            if not any(fnmatch(name, elsewhere) for elsewhere in _ELSEWHERE):
                for line, text in strings(ast.parse(path.read_text())):
                    found.setdefault(shape(text), f"{name}:{line}")
    return found


def strings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yields (line, template) for each string that reads as a sentence."""
    silent = set(_silent(tree)) | {part for call in _phrases(tree) for part in ast.walk(call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr | ast.Constant) and node not in silent:
            for text in _texts(node):
                if " " in text and len(re.findall(r"[A-Za-z]{2,}", _PLACE.sub("", text))) >= 2:
                    yield node.lineno, text


def phrases() -> dict[str, str]:
    """Returns the English text of each phrase (`shared.wording.phrases`) → its place in the sources."""
    found = {}
    for room in ("shared", "producer", "worker"):
        for path in sorted((ROOT / room).rglob("*.py")):
            for call in _phrases(ast.parse(path.read_text())):
                found[str(ast.literal_eval(call.args[1]))] = f"{path.relative_to(ROOT)}:{call.lineno}"
    return found


def codes() -> list[str]:
    """Returns the code of each phrase in the sources."""
    paths = [path for room in ("shared", "producer", "worker") for path in sorted((ROOT / room).rglob("*.py"))]
    return [str(ast.literal_eval(call.args[0])) for path in paths for call in _phrases(ast.parse(path.read_text()))]


def _phrases(tree: ast.Module) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Phrase":
            yield node


def _silent(tree: ast.Module) -> Iterator[ast.AST]:
    """Yields the strings that are no sentences.

    They are docstrings, parts of f-strings, keys, log entries, and arguments of calls that only search for them or
    cut them off.
    """
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant()):
                yield node.value
            case ast.JoinedStr():
                yield from (part for part in ast.walk(node) if part is not node)
            case ast.Call(
                func=ast.Attribute(attr="compile" | "removeprefix" | "startswith" | "replace" | "debug" | "info")
            ):
                yield from ast.walk(node)
            case ast.Call(func=ast.Name(id="Field" | "Query" | "AssertionError")):
                yield from ast.walk(node)
            case ast.Call(func=ast.Name(id="note" | "noted"), args=[ast.Name(id="known"), *_]):  # audit log
                yield from ast.walk(node)
            case ast.Compare() | ast.Subscript():
                yield from ast.walk(node)


def _texts(node: ast.expr) -> list[str]:
    """Returns the f-string with its places, once for each way that its conditions can turn out."""
    match node:
        case ast.Constant(value=str(text)):
            return [text.replace("{", "(").replace("}", ")")]
        case ast.JoinedStr(values=values):
            parts = [_texts(part) for part in values]
            return ["".join(one) for one in itertools.product(*parts)]
        case ast.FormattedValue(value=ast.IfExp(body=ast.Constant() as yes, orelse=ast.Constant() as no)):
            return [*_texts(yes), *_texts(no)]
    return ["{}"]


#: Shapes that no page shows: samples and formats, parts of sentences in `COMPOSED`, and sentences of the terminal
#: alone.
NOT_SHOWN: Final = (
    "divided into {} batches",
    'attachment; filename="check.csv"',
    "Password of {} at the {}: ",
    "{}: no edge for {} in state {}",
    "text/xml, application/xml",
    "the domain's own autoconfig says so",
    "Mozilla's public database says so",
    "signed out",
    "by row",
    "the provider gave no id_token: is `openid` in MAILHAUL_WEB_OIDC_SCOPE?",
    "not a UID set: {}",
    "UID over {} in {}",
    "MAILHAUL_WEB_OIDC_ISSUER is {}, the provider's is {}",
    "UID {} after {}: UIDs must ascend",
    "authentication failed before with {}; it is not tried again",
    "{}: {}, which is not tried for any other mailbox now",
    "a record needs as many UIDs on both sides: {}",
    "the administrator's login {}",
    "what {} signs in with",
    "cannot be read at the source",
    "another secret",
    "the same there",
    "from elsewhere",
    "the file",
    "text/csv; charset=utf-8",
    'attachment; filename="wrong-rows.csv"',
    "A problem (RFC 9457)",
    'attachment; filename="mailboxes.csv"',
    "^(?:sha-?256[ _]*(?:fingerprint)?[:=])",
    "userName eq {}",
    "user={}\x01auth=Bearer {}\x01\x01",
    "n,a={},\x01{}auth=Bearer {}\x01\x01",
    " and {} more",
    "the hook {}",
    "ended with {}, which means nothing",
    "was killed by signal {}",
    "{} took more than {} s",
    "{} cannot be started ({})",
    " (the server said: {})",
    "sent mail",
    "deleted mail",
    "junk mail",
    "archived mail",
    "the destination's folder for",
    " (it offers {})",
    "; use imaps:// or imap+starttls://",
    "takes no password on this connection (LOGINDISABLED){}",
    "takes no OAuth 2 token: offers neither XOAUTH2 nor OAUTHBEARER{}",
    "valid from {}, expires {}",
    "subject {}, issuer {}, names {}, {}, {}",
    ", as in {}://{}:{}",
    "have it renewed on the server; or, {}",
    "check the clocks of both machines; or, {}",
    "give --{} with a name that it holds{}; or, {}",
    "give it as --{}-ca FILE; or, {}",
    "the CA file {}",
    "this machine",
    "is signed by a CA that {} does not know",
    "give that CA's certificate as --{}-ca FILE; or, {}",
    ": let the super admin delegate {} to the client id {}",
    "(own); then run the import command again",
    "; the last: {}",
    # the page has its own advice for this code (`producer.translations.said`)
    "(own); then: mailhaul credentials {} FILE.csv, or mailhaul retry {}. As soon as one login is accepted, all go on",
    "the destination folder cannot hold: ",
    "a batch has a folder",
    "opened first",
    'ID ("name" "mailhaul" "version" {})',
    "one command",
    "{} has {}; nothing was started:",
    "an error",
    "the manifest",
    "Correct it and run the same command again; `mailhaul template` prints an example.",
    "make one with: python3 -c 'import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())'",
    "a Secret is not to be pickled or copied: seal it in a Vault",
    "MAILHAUL_SECRET_KEY: key {}",
    'write a JSON file: ("client_id": "…", "client_secret": "…"), or with "private_key" (PEM) and "thumbprint" instead of '
    "the secret",
    # of cutovers: names for the terminal, and the parts of what the DNS said, which are shown as they are
    "wave {} of import {}",
    "no answer",
    "no MX record",
    "no SPF record",
    ", which differ",
    "the body is no JSON",
    'attachment; filename="check.csv"',
    "divided into {} batches",
)
_SHOWN_CERTIFICATE: Final = (
    "subject CN=a, issuer CN=b, names a.example and 3 more, valid from 2024-01-01, expires 2025-01-01, SHA-256 00ff"
)
_PIN: Final = "if its administrator confirms this certificate, pin it with --source-fingerprint 00ff"
#: Sentences that are composed of parts, and sentences as the form words them about a side.
COMPOSED: Final = (
    "Mozilla's public database says so (https://autoconfig.example/v1.1/)",
    "the domain's own autoconfig says so (https://x.example)",
    "row 2: login looks like a number that Excel rounded: write it as text in the spreadsheet",
    "row 5: password looks like an error of a spreadsheet, not a value: correct the cell",
    "rows 3, 4: login looks like a formula, not its value: save the values",
    "row 3: login begins or ends with a space, which is kept since it is in quotation marks",
    "rows 3, 4 and 12 more: quota holds an invisible character or an unusual space, which is kept",
    "row 3: first_name begins with a typographic quotation mark, which is taken for a part of it",
    "row 3: new_login differs from that of row 2 only in capital letters",
    "without a header row there must be 2, 4 or 6 columns, not 3; write one, e.g. login,password,new_login",
    "since and before: nothing lies between them",
    "unseen: POP3 knows no flags; take the messages by since or before, or use IMAP",
    "source: mail cannot be put into a POP3 server; give its IMAP side, as in imaps://host",
    "source: no login and no password in the URL; they come from the file. Write imaps://host:993",
    "source: nothing may stand behind the host and port; write imaps://host:993",
    "source: write an IPv6 address in brackets, as in imaps://[2001:db8::1]:993",
    "source: the port must be a number from 1 to 65535; write imaps://a.example:993",
    "source: the host is missing; write e.g. imaps://imap.example.org",
    "source: what stands in brackets is no IPv6 address",
    "source: a CA file and a certificate's fingerprint exclude each other; give one of them",
    "source: without TLS there is no certificate to check; use imaps:// or imap+starttls:// (for POP3 pop3s:// or "
    "pop3+starttls://)",
    "destination-fingerprint: must be 64 hexadecimal digits, with or without colons",
    "source: authentication failed before with the administrator's login root; it is not tried again",
    "source: authentication failed before with this login; it is not tried again",
    "source: authentication failed: the administrator's login root, which is not tried for any other mailbox now",
    "source: authentication failed: what a.example.org signs in with, which is not tried for any other mailbox now",
    "source: authentication failed before with what a.example.org signs in with; it is not tried again",
    "source: these rows name no server: 3, 4 …; give it for them, or write theirs into the column server",
    "source: choose a protocol and how it is secured",
    "source: choose a provider, or give the host of a private server",
    "source: authentication failed (the server said: NO; go away)",
    "source: connection lost ([Errno 32] Broken pipe)",
    "source: connection lost",
    f"source: the certificate of a.example:993 has expired ({_SHOWN_CERTIFICATE})",
    "source: the certificate of a.example:993 is signed by a CA that this machine does not know",
    "source: the certificate of a.example:993 is signed by a CA that the CA file /etc/ca.pem does not know",
    f"source: a.example:993 shows another certificate than the pinned one ({_SHOWN_CERTIFICATE})",
    "source: a.example:993 shows another certificate than the pinned one (unreadable, SHA-256 00ff)",
    "source: a.example:993 speaks no TLS and no IMAP but SMTP or FTP (the server said: 220 hi)",
    "source: a.example:110 speaks POP3, not IMAP (the server said: +OK hi)",
    "source: a.example:25 speaks SMTP or FTP, not IMAP (the server said: 220 hi)",
    "give --source pop3://a.example:110, or the port of IMAP; then run the import command again",
    "check the port: IMAP is usually 993 or 143, POP3 995 or 110",
    "give the port of IMAP, usually 993 or 143; then run the import command again",
    "source: this login is not tried, since every login was refused so far",
    f"have it renewed on the server; or, {_PIN}; then run the import command again",
    f"check the clocks of both machines; or, {_PIN}",
    f"give --source with a name that it holds; or, {_PIN}",
    f"give --source with a name that it holds, as in imaps://a.example:993; or, {_PIN}",
    f"give it as --source-ca FILE; or, {_PIN}",
    f"give that CA's certificate as --source-ca FILE; or, {_PIN}",
    "give --source imap+starttls://a.example:143, or imaps://a.example:993",
    "source: does not offer PLAIN (it offers LOGIN, XOAUTH2)",
    "source: takes no password on this connection (LOGINDISABLED)",
    "source: takes no password on this connection (LOGINDISABLED) (it offers LOGIN); use imaps:// or imap+starttls://",
    "source: takes no OAuth 2 token: offers neither XOAUTH2 nor OAUTHBEARER",
    "source: takes no OAuth 2 token: offers neither XOAUTH2 nor OAUTHBEARER (it offers PLAIN)",
    "all attempts failed; the last: source: connection lost",
    "unexpected KeyError",
    "12 before 2024-01-01; 900,000 read already",
    "1,200 messages are larger than the destination takes (limit 1000 bytes)",
    "waiting until 2026-11-24 14:20 UTC: 2.5 GB of the 10 GB of 24 hours are used",
    "waiting until 2026-11-24 14:20 UTC: no more than 3 messages a second may be moved",
    "cannot be read at the source: refused the folder (the server said: NO)",
    "the destination folder cannot hold: $Work $Home",
    *(
        f"the destination's folder for {what}"
        for what in ("sent mail", "drafts", "deleted mail", "junk mail", "archived mail")
    ),
    "by the folder map; Old/Work is another folder there; called Old/Work-7f there",
    "mailcow https://a.example has an internal error (500: oops; sorry)",
    "mailcow https://a.example does not let us in (403: go)",
    "mailcow https://a.example says: it is full; really",
    "mailcow https://a.example says: no, and not why",
    "webhook https://a.example answers 404",
    "the hook /opt/make ended with 3, which means nothing",
    "the hook /opt/make ended with 3, which means nothing: oops",
    "the hook /opt/make was killed by signal 9",
    "the hook /opt/make was killed by signal 9: oops",
    "the hook /opt/make took more than 30 s",
    "the hook /opt/make cannot be started (Permission denied)",
    "destination: the account is there already, and its password is never changed",
    "write its password as new_password",
    "see what the service says",
    "try again later",
    "authentication failed; the account was there before, and its password is never changed",
    "Google gives no token: let the super admin delegate https://mail.google.com/ to the client id 7",
)
