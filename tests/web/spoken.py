"""The phrases of mailhaul, found in its sources, and strings there that read as a sentence and have no code."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
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
    "producer/cli/doctor.py",
    "producer/notices/*.py",
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
    "shared/model/**/*.py",
    "shared/oauth/*.py",
    "shared/rules/*.py",
    "shared/runtime/*.py",
    "shared/sign_in/*.py",
    "shared/wording/*.py",
    "shared/switching/*.py",
    "shared/switching/adapters/*.py",
    "worker/**/*.py",
)
#: Files whose sentences are not shown: the model of a mail server, those of the terminal alone, those of the API alone,
#: those that only logs or operators of processes read.
_ELSEWHERE: Final = (
    "producer/notices/wording.py",  # its own catalogue, `producer/notices/ru.po`
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
    "producer/web/api/import_bodies.py",
    "producer/web/api/request_bodies.py",
    "producer/web/api/auditing.py",
    "producer/web/api/mailboxes.py",
    "producer/web/api/once.py",
    "producer/web/api/principals.py",
    "producer/web/page_health.py",
    "producer/web/security/roles.py",
    "producer/web/security/scrypt.py",
    "shared/mail/answers/fetch_answer.py",
    "shared/mail/answers/folder_answers.py",
    "shared/mail/answers/responses.py",
    "shared/mail/answers/tokens.py",
    "producer/web/api/report_routes.py",
    "producer/web/pages/filled_forms.py",
    "producer/web/api/spooling.py",
    "producer/web/api/general_routes.py",
    "producer/web/api/described.py",
    "producer/web/problem_types.py",
    "producer/web/api/strange_parameters.py",
    "shared/runtime/broker.py",
    "shared/runtime/config.py",
    "shared/runtime/web_settings.py",
    "shared/sign_in/entrance.py",
    "shared/runtime/logs.py",
    "shared/probe.py",
    "shared/runtime/processes.py",
    "shared/runtime/redis_client.py",
    "shared/runtime/redis_urls.py",
    "shared/folders/special_names.py",
    "shared/folders/special_use.py",
    "shared/runtime/supervise.py",
    "worker/__main__.py",
    "worker/actors.py",
    "worker/worker_health.py",
)
#: Rooms of which no file is read: what only the terminal shows, files for people, and texts that only logs and tests have.
SILENT_ROOMS: Final = (
    "producer/coordinator",
    "producer/demo",
    "producer/reports",
    "producer/show",
    "producer/spool",
    "producer/translations",
    "shared",
    "shared/metrics",
    "shared/store",
    "shared/store/memory",
    "shared/store/ports",
    "shared/store/records",
    "shared/store/redis",
    "shared/testing",
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


def shown() -> list[str]:
    """Returns the paths of the files with sentences that the page may show."""
    found = []
    for pattern in SOURCES:
        names = [str(path.relative_to(ROOT)) for path in sorted(ROOT.glob(pattern))]
        assert names, pattern
        found += [name for name in names if not any(fnmatch(name, elsewhere) for elsewhere in _ELSEWHERE)]
    return found


def sentences() -> dict[str, str]:
    """Returns the shape of each sentence that has no code → its place in the sources."""
    found: dict[str, str] = {}
    for name in shown():
        for line, text in strings(ast.parse((ROOT / name).read_text())):
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


@cache
def phrases() -> dict[str, str]:
    """Returns the English text of each phrase (`shared.wording.phrases`) → its place in the sources."""
    return {str(ast.literal_eval(call.args[1])): f"{name}:{call.lineno}" for name, call in _all_phrases()}


def codes() -> list[str]:
    """Returns the code of each phrase in the sources."""
    return [str(ast.literal_eval(call.args[0])) for _, call in _all_phrases()]


@cache
def _all_phrases() -> list[tuple[str, ast.Call]]:
    paths = [path for room in ("shared", "producer", "worker") for path in sorted((ROOT / room).rglob("*.py"))]
    return [(str(path.relative_to(ROOT)), call) for path in paths for call in _phrases(ast.parse(path.read_text()))]


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


#: Shapes that no page shows: samples, formats, names of programs, and sentences of the terminal or of errors in mailhaul.
NOT_SHOWN: Final = (
    "python3 -c 'import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())'",
    "waiting for Redis {}",
    "Password of {} at the {}: ",
    "{}: no edge for {} in state {}",
    "text/xml, application/xml",
    "signed out",
    "by row",
    "the provider gave no id_token: is `openid` in MAILHAUL_WEB_OIDC_SCOPE?",
    "not a UID set: {}",
    "UID over {} in {}",
    "MAILHAUL_WEB_OIDC_ISSUER is {}, the provider's is {}",
    "UID {} after {}: UIDs must ascend",
    "a record needs as many UIDs on both sides: {}",
    "cannot be read at the source",
    # of settings, which are told where a process is started
    "must be a whole number, {} or more",
    "must be a whole number from {} to {}",
    "must be a number above 0, and {} at most",
    "must be one of {}",
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
    "the destination's folder for",
    "a batch has a folder",
    "opened first",
    'ID ("name" "mailhaul" "version" {})',
    "one command",
    "{} has {}; nothing was started:",
    "an error",
    "the manifest",
    "Correct it and run the same command again; `mailhaul template` prints an example.",
    "a Secret is not to be pickled or copied: seal it in a Vault",
    'write a JSON file: ("client_id": "…", "client_secret": "…"), or with "private_key" (PEM) and "thumbprint" instead of '
    "the secret",
    # of cutovers: names for the terminal, and the parts of what the DNS said, which are shown as they are
    "wave {} of import {}",
    "the body is no JSON",
    'attachment; filename="check.csv"',
    "divided into {} batches",
    "  … and {} more",
    "Faults of a row of the manifest, of a field, or of a place of a body that has the wrong form.",
    "The kind of a fault of a row or a field; it stays.",
    "--skip-special {}",
    "Google Workspace",
    "passwd-file of Dovecot",
    "application/scim+json, application/json;q=0.9",
    "lanes wrote into the folder that is to be planned anew: it is planned in {} s",
    "command:/usr/local/bin/token (user)",
    "no parameter of a sentence: {}",
    # labels, which `producer.translations.said` lists
    "Sync again",
    "Go on",
)
