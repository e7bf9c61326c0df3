"""The language of the code: how docstrings begin, and the names of public classes and of files.

The list of words outside the GLOSSARY may only shrink: it is exact.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("producer", "worker", "shared", "bench", "deploy", "tests")
#: The rooms of the product.
PRODUCT = ("producer", "worker", "shared")
#: A pronoun, preposition or conjunction, by which a docstring has no subject and no verb.
HEADLESS = re.compile(
    r"(What|Who|Whose|Whom|Which|As|Of|With|From|By|To|Whether|That|Those|These|How|One|The same|So|Up|For|In|On|At|Where|When|It|"
    r"If|There|Then|Both|And|Not|No|Why|Until|After|Before|Only)\b"
)
#: An opening by which the comment on a field or a constant names nothing: "How long …" instead of "The time for which …".
HEADLESS_FIELD = re.compile(r"^ *#: (?:How|Who|Whose|What|So|Of|By|As|(?:After|For) so|For how)\b")
#: Turns of phrase that a reader with school English has to read twice, or that say nothing: who does what is to be named.
WORN = re.compile(
    r"\b(?:to and fro|in one go|for nobody|with everybody|takes its time|nobody knows|whoever else)\b", re.IGNORECASE
)
#: Words of public class names that GLOSSARY.md does not define: ordinary ones, and names from outside.
ORDINARY = frozenset(
    """
    2 256 3 360 5 acts admission adopted adoption ahead alike allowed answer answers app append appended arrivals
    asked auth authentication authorization autoconfig awaited bearer before beside body book books bound
    broken browser by canonical caps catalogue cell certificate change changed check checked choice choosing chunks
    closed column columns comparison condition conflict conversation coordination counted counts cram created
    credentials criterion crowded csv date dates dating delayed delivered delta detect detection dialer difference
    discreet display dns doctor domain double dovecot dramatiq driver dry duplicates earlier effects embedded end
    ended endless ends entrance entry error errors event extension facts failed failure fetch file finding first
    flight flying folding foreign forgotten found gate glances globs gmail google granted graph grouped guard halted
    hand handler head headline held help here hook hours identities illegal imap invalid json judged kept kind known
    label labels late later limit limits listed listing live local login logins looked looking loop made mail
    mailboxes mailcow mailhaul map mapped maybe md meaning measured mechanism memory metrics microsoft mismatch mode
    name names namespace network new no not noted nothing o offer one opened options over overheard overview owned
    owner paired part passdb passwd passwords plain planned planner plot pop postfix prepared preview process
    processes profile protocol proxied public queued quota reach reached read reader reading readings reaper
    recognised recognition redis refusal refused rehearsal rehearsals rejected remainder remainders renamed renewed
    replaced report request requested requests resealed resolved response restarted result retried retry role roles
    rollback room route row rows run same sample sampler sasl saying scan scim scram scripts secret secrets seen
    selected selection sent server servers set settings settled sha sharing sheet shortfall shown sighting sign
    signed signer site size span speed spooled spooling stalwart status steered step steps stopped store stored
    stranded submitted such supervisor swapped switched table tagged text throttled tls to told totals
    traits transition translator transport tree tried turned uid uids under unreachable url usage use value vault
    verdict verification verified view violation visitor waited waiting wanted watch webhook whole wire work
    workplace worth writer wrong xo yandex zip
    """.split()  # noqa: SIM905
)
#: The most files of one name; a traceback or an editor's tab shows no more than that.
MOST_OF_ONE_NAME = 2
#: Names of files that Python and pytest give.
GIVEN_NAMES = {"__init__.py", "__main__.py", "conftest.py"}


@cache
def _trees() -> dict[Path, ast.Module]:
    paths = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    return {path.relative_to(ROOT): ast.parse(path.read_text("utf-8")) for path in paths}


def _docstrings(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield ast.get_docstring(node) or ""


def test_docstrings_begin_with_a_verb_or_a_noun() -> None:
    found = [(str(path), text) for path, tree in _trees().items() for text in _docstrings(tree) if HEADLESS.match(text)]
    assert found == []


def _fields_without_a_noun(text: str) -> list[str]:
    """Returns the comments on fields and constants that open with no noun."""
    return [line.strip() for line in text.splitlines() if HEADLESS_FIELD.match(line)]


def test_comments_on_fields_begin_with_a_noun() -> None:
    texts = {str(path): (ROOT / path).read_text("utf-8") for path in _trees() if path.parts[0] in PRODUCT}
    found = {path: comments for path, text in texts.items() if (comments := _fields_without_a_noun(text))}
    assert found == {}


def test_a_comment_on_a_field_without_a_noun_would_be_found() -> None:
    text = (
        "#: How long it waits.\nONE = 1\n    #: So many at once.\n    #: The time that it waits.\n# What it is not.\n"
    )
    assert _fields_without_a_noun(text) == ["#: How long it waits.", "#: So many at once."]


def test_no_text_has_a_worn_turn_of_phrase() -> None:
    files = [path for room in PRODUCT for end in ("py", "lua") for path in (ROOT / room).rglob(f"*.{end}")]
    files += [*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md")]
    found = [
        (path.name, one)
        for path in files
        if path.name != "CHANGELOG.md"
        for one in WORN.findall(path.read_text("utf-8"))
    ]
    assert found == []
    assert WORN.findall("It goes to and fro, and nobody knows why.") == ["to and fro", "nobody knows"]  # the control


def _public_classes(trees: dict[Path, ast.Module]) -> dict[str, list[Path]]:
    """Returns the public classes of the product by name, with the files that define them."""
    places: defaultdict[str, list[Path]] = defaultdict(list)
    for path, tree in trees.items():
        if path.parts[0] in PRODUCT:
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places[node.name].append(path)
    return places


def _doubled(trees: dict[Path, ast.Module]) -> dict[str, list[Path]]:
    return {name: where for name, where in _public_classes(trees).items() if len(where) > 1}


def test_no_two_public_classes_have_one_name() -> None:
    assert _doubled(_trees()) == {}


def test_a_second_public_class_of_one_name_would_be_found() -> None:
    trees = {Path("worker/one.py"): ast.parse("class Row: ..."), Path("shared/two.py"): ast.parse("class Row: ...")}
    assert list(_doubled(trees)) == ["Row"]


def _words(name: str) -> list[str]:
    """Returns the words of a class name in lower case: `ImapSource` is imap, source."""
    return [word.lower() for word in re.findall(r"[A-Z][a-z]+|[A-Z]+(?![a-z])|[A-Z]|[0-9]+", name)]


def _defined() -> set[str]:
    """Returns the words that GLOSSARY.md defines, singular and plural."""
    rows = re.findall(r"^\| ([^|]+) \|", (ROOT / "GLOSSARY.md").read_text("utf-8"), re.MULTILINE)
    words = {word for row in rows for word in re.findall(r"[a-z]+", row.lower())}
    return words | {f"{word}s" for word in words}


def test_each_word_of_a_public_class_name_is_in_the_glossary_or_ordinary() -> None:
    words = {word for name in _public_classes(_trees()) for word in _words(name)}
    unknown = words - _defined()
    assert unknown - ORDINARY == set(), "define these words in GLOSSARY.md, or use words that it has"
    assert ORDINARY - unknown == set(), "take these off the list: no class name has them, or the GLOSSARY defines them"


def test_a_class_name_is_split_at_its_capitals() -> None:
    assert _words("XOAuth2") == ["xo", "auth", "2"]
    assert _words("ImapSource") == ["imap", "source"]
    assert _words("MD5At") == ["md", "5", "at"]


#: Metaphors for what the field has a word for.
METAPHORS = re.compile(r"^_*(?:Attendant|Crew|Desk|Farm|Ground|House|Office|Pulse|Shelf|Town|Undertaker)$")


def test_no_class_is_named_by_a_metaphor() -> None:
    names = [
        node.name
        for path, tree in _trees().items()
        if path.parts[0] not in ("bench", "deploy")
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    ]
    assert [name for name in names if METAPHORS.match(name)] == []
    assert METAPHORS.match("_Office"), "the control"


def test_a_request_is_one_of_http() -> None:
    named = re.compile(r"\b_?request: (?:Import|ImportSpecification)\b")
    found = [
        str(path) for path in _trees() if path.parts[0] in PRODUCT and named.search((ROOT / path).read_text("utf-8"))
    ]
    assert found == []
    assert named.search("def act(request: Import) -> None: ..."), "the control"


def test_few_files_have_one_name() -> None:
    names = Counter(path.name for path in _trees() if path.name not in GIVEN_NAMES)
    assert [name for name, count in names.items() if count > MOST_OF_ONE_NAME] == []


def test_the_formatter_lays_out_every_line() -> None:
    by_hand = re.compile(r"#\s*fmt: *(?:skip|off)")
    assert [str(path) for path in _trees() if by_hand.search((ROOT / path).read_text("utf-8"))] == []


def test_each_layer_of_the_import_contracts_exists() -> None:
    # The linter passes over a layer in parentheses that is not there: a module that was renamed would be free.
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    modules = {".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in _trees()}
    named = {
        f"{container}.{name}"
        for contract in contracts
        for container in contract.get("containers", ())
        for layer in contract["layers"]
        for name in re.findall(r"[\w.]+", layer)
    }
    named |= {name for contract in contracts for name in contract.get("source_modules", ())}
    assert named - modules == set()


def test_a_headless_docstring_would_be_counted() -> None:
    tree = ast.parse('"""Whether it is so."""\ndef one() -> None:\n    """Returns what there is."""')
    assert [bool(HEADLESS.match(text)) for text in _docstrings(tree)] == [True, False]
