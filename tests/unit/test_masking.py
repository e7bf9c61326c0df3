"""A secret that somebody repeats is hidden, however it is written; other text stays as it is."""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import json
import re
import time
import unicodedata
import zlib
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.folders.names import encode_name
from shared.wording import masking
from shared.wording.masking import MASK, masked
from shared.wording.readings import TextReading

PASSWORDS = ["CANARY-pw-88", 'se,cr et"1', "back\\slash&<x>", "пароль-Ж€", "four", "x" * 70 + "END-of-it", "a+b/c d=e"]
#: Passwords of characters that notations put between letters.
PASSWORDS += ["correct horse_battery+staple", "x        y", "a\\\\_\\=\\\\ b", "=20ab_=3Dcd%41", "A = \\x41 & b"]


def sasl(password: str) -> bytes:
    return b"\0anna\0" + password.encode()


DRESSES: dict[str, Callable[[str], str]] = {
    "plain": lambda p: p,
    "capitals": lambda p: p.upper(),
    "quoted": lambda p: '"' + p.replace("\\", "\\\\").replace('"', '\\"') + '"',
    "json": lambda p: json.dumps({"password": p}),
    "json twice": lambda p: json.dumps(json.dumps({"password": p}, ensure_ascii=False), ensure_ascii=False),
    "html": lambda p: html.escape(p),
    "html numbers": lambda p: "".join(f"&#{ord(c)};" for c in p),
    "percent": lambda p: quote(p, safe=""),
    "form": lambda p: quote_plus(p),
    "every octet percent": lambda p: "".join(f"%{octet:02X}" for octet in p.encode()),
    "quoted-printable": lambda p: binascii.b2a_qp(p.encode(), quotetabs=True).decode(),
    "hex": lambda p: p.encode().hex(),
    "hex with colons": lambda p: p.encode().hex(":").upper(),
    "escaped octets": lambda p: "".join(f"\\x{octet:02x}" for octet in p.encode()),
    "base64": lambda p: base64.b64encode(p.encode()).decode(),
    "base64 for URLs": lambda p: base64.urlsafe_b64encode(p.encode()).decode(),
    "base64 of SASL PLAIN": lambda p: base64.b64encode(sasl(p)).decode(),
    "base64 in lines": lambda p: base64.encodebytes(sasl(p) * 4).decode(),
    "basic": lambda p: base64.b64encode(b"anna@example.org:" + p.encode()).decode(),
    "split": lambda p: p[:3] + "\r\n\t" + p[3:],
}


def _octal(password: str) -> str:
    return "".join(f"\\{octet:03o}" for octet in password.encode())


#: Further notations, and several at once: they hide the letters of a password that has six of them.
MORE_DRESSES: dict[str, Callable[[str], str]] = {
    "octal": _octal,
    "octal, where it is not ASCII": lambda p: "".join(c if c.isascii() else _octal(c) for c in p),
    "percent twice": lambda p: quote(quote(p, safe=""), safe=""),
    "percent with code units": lambda p: "".join(f"%u{ord(c):04X}" for c in p),
    "html twice": lambda p: html.escape(html.escape("".join(c if c.isascii() else f"&#{ord(c)};" for c in p))),
    "html by name": lambda p: p.replace("ä", "&auml;").replace("ß", "&szlig;"),
    "code points": lambda p: " ".join(f"U+{ord(c):04X}" for c in p),
    "code points in braces": lambda p: "".join(f"\\u{{{ord(c):x}}}" for c in p),
    "octets by number": lambda p: " ".join(str(octet) for octet in p.encode()),
    "octets as in C": lambda p: ", ".join(f"0x{octet:02x}" for octet in p.encode()),
    "UTF-16 in hexadecimal": lambda p: p.encode("utf-16-be").hex(),
    "UTF-16 in base64": lambda p: base64.b64encode(p.encode("utf-16-be")).decode(),
    "base64 twice": lambda p: base64.b64encode(base64.b64encode(sasl(p))).decode(),
    "modified UTF-7": lambda p: encode_name(p).decode(),
    "taken for Latin-1": lambda p: p.encode().decode("latin-1"),
    "taken for Windows-1252": lambda p: p.encode().decode("cp1252", "replace"),
    "marks by themselves": lambda p: unicodedata.normalize("NFD", p),
    "full width": lambda p: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in p),
    "letter by letter": lambda p: ", ".join(map(repr, p)),
    "with dashes": lambda p: "-".join(p),
    "with blanks of no width": lambda p: "\u200b".join(p),
}
OF_LETTERS = ["CANARY-pw-88", "пароль-Жук", "pässwörd-ß1", "hunter2hunter2", "Tr0ub4dor&3"]


@pytest.mark.parametrize("protected", [True, False])
@pytest.mark.parametrize("dress", MORE_DRESSES)
def test_its_letters_are_hidden_in_further_dresses(
    monkeypatch: pytest.MonkeyPatch, dress: str, *, protected: bool
) -> None:
    if not protected:
        monkeypatch.setattr(TextReading, "places", lambda *_: ())
        monkeypatch.setattr(masking, "_in_base64", lambda piece, twice: ())
        monkeypatch.setattr(TextReading, "resembles", lambda *_: False)
    seen = []
    for password in OF_LETTERS:
        worn = MORE_DRESSES[dress](password)
        shown = masked(f"NO cannot do a1 LOGIN u {worn} now", [password])
        assert shown.startswith("NO cannot do a1 LOGIN u ")
        assert shown.endswith(" now")
        if worn in shown:
            seen.append(password)
        else:
            assert MASK in shown
    assert bool(seen) is not protected, seen


@pytest.mark.parametrize(
    "text",
    [
        "[AUTHENTICATIONFAILED] Authentication failed: 10, 20, 30, 40, 50, 60, 70 logins today",
        "see https://mail.example/a%20b?c=%C3%A4&amp;d=\u00e4 or \\134 and 0x41 0x42; U+0041 U+0042; &AOQ-",
        "Доступ запрещён, ÄÖÜ ß",
        "00410042004300440045",
    ],
)
def test_text_in_notations_stays_where_it_holds_no_secret(text: str) -> None:
    assert masked(text, OF_LETTERS) == text


@pytest.mark.parametrize("dress", ["\\101", "0x41 ", "&amp;", "%41", "%u0041", "U+0041 ", "65 ", "Ã¤", "0041", "&AOQ-"])
def test_long_texts_in_notations_take_no_time(dress: str) -> None:
    began = time.process_time()
    for text in (dress * 2_000, dress[:-1] * 2_000, dress * 2_000 + "!"):
        masked(text, ["CANARY-pw-88"] * 3)
    assert time.process_time() - began < 20


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("dress", DRESSES)
def test_it_is_hidden_in_every_dress(password: str, dress: str) -> None:
    worn = DRESSES[dress](password)
    if dress == "split" and len(password) < 5:
        pytest.skip("four letters")
    shown = masked(f"[AUTHENTICATIONFAILED] cannot do a1 LOGIN u {worn} now", [password])
    assert MASK in shown
    assert worn not in shown
    assert shown.startswith("[AUTHENTICATIONFAILED] cannot do a1 LOGIN u ")
    assert shown.endswith(" now")
    rest = shown.removeprefix("[AUTHENTICATIONFAILED] cannot do a1 LOGIN u ")
    for at in range(len(password) - 3):
        assert password[at : at + 4] not in rest, "a part of it is left"


#: Notations that nobody looks for one by one.
STRANGE: dict[str, Callable[[str], str]] = {
    "base64 twice": lambda p: base64.b64encode(base64.b64encode(p.encode())).decode(),
    "base32": lambda p: base64.b32encode(p.encode()).decode(),
    "percent twice": lambda p: quote(quote(p, safe=""), safe=""),
    "hexadecimal numbers": lambda p: " ".join(f"0x{octet:02x}" for octet in p.encode()),
    "hexadecimal numbers in a list": lambda p: ",".join(f"0x{octet:02X}" for octet in p.encode()),
    "numbers": lambda p: " ".join(str(octet) for octet in p.encode()),
    "octal": lambda p: "".join(f"\\{octet:03o}" for octet in p.encode()),
    "letters in a list": lambda p: json.dumps(list(p)),
    "dashes between": "-".join,
    "dots between": ".".join,
    "invisible between": "\u200b".join,
    "NUL between": "\0".join,
    "wide letters": lambda p: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in p),
    "in two halves": lambda p: p[:10] + " and " + p[10:],
    "backwards": lambda p: p[::-1],
    "shifted by thirteen": lambda p: codecs.encode(p, "rot13"),
}


@pytest.mark.parametrize("password", ['se,cr et"1-Canary88', "correct horse_battery+staple"])
@pytest.mark.parametrize("dress", STRANGE)
def test_of_an_answer_that_resembles_it_only_the_code_is_kept(
    password: str, dress: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    worn = STRANGE[dress](password)
    text = f"[AUTHENTICATIONFAILED] no {worn} now"
    shown = masked(text, [password])
    assert shown.startswith("[AUTHENTICATIONFAILED] ")
    assert shown == f"[AUTHENTICATIONFAILED] {MASK}" or (MASK in shown and shown.endswith(" now"))
    assert not set(re.findall(r"\w{3,}", worn)) & set(re.findall(r"\w+", shown)), "a part of it is left"
    assert masked(text, ["another-Password-1"]) == text, "the control: of somebody else's it is left"
    monkeypatch.setattr(TextReading, "resembles", lambda *_: False)
    monkeypatch.setattr(TextReading, "places", lambda *_: ())
    monkeypatch.setattr(masking, "_in_base64", lambda piece, twice: ())
    assert worn in masked(text, [password]), "the negative control"


def _folded(coded: str, size: int, word: str) -> str:
    """Returns a header that is folded into encoded words of so many characters (RFC 2047)."""
    return "\r\n ".join(f"=?utf-8?{word}?{coded[at : at + size]}?=" for at in range(0, len(coded), size))


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


#: Notations that were thought of after the code was written.
UNSEEN: dict[str, Callable[[str], str]] = {
    "backwards in base64": lambda p: _base64(p[::-1].encode()),
    "shifted in base64": lambda p: _base64(codecs.encode(p, "rot13").encode()),
    "small base32": lambda p: base64.b32encode(p.encode()).decode().lower(),
    "base85": lambda p: json.dumps({"password": base64.b85encode(p.encode()).decode()}),
    "UTF-16 in hexadecimal, the other order": lambda p: p.encode("utf-16-le").hex(),
    "numbers of HTML without an end": lambda p: "".join(f"&#{ord(c)}" for c in p),
    "a folded header in base64": lambda p: _folded(_base64(p.encode()), 12, "B"),
    "a folded header in quoted-printable": lambda p: _folded("".join(f"={o:02X}" for o in p.encode()), 12, "Q"),
    "hexadecimal with commas": lambda p: p.encode().hex(",").upper(),
    "hexadecimal in quotes": lambda p: ", ".join(f"'{octet:02x}'" for octet in p.encode()),
    "hexadecimal of base64": lambda p: _base64(p.encode()).encode().hex(),
    "base64 of hexadecimal": lambda p: _base64(p.encode().hex().encode()),
    "binary": lambda p: " ".join(f"{octet:08b}" for octet in p.encode()),
    "octal in a list": lambda p: " ".join(f"{octet:o}" for octet in p.encode()),
    "over two untagged lines": lambda p: f"{p[: len(p) // 2]}\r\n* NO [ALERT] {p[len(p) // 2 :]}",
    "over three untagged lines": lambda p: f"{p[:4]}\r\n* NO {p[4:8]}\r\n* NO {p[8:]}",
    "right to left, joined": lambda p: f"\u202e{chr(0x2060).join(p)}\u202c",
}


@pytest.mark.parametrize("protected", [True, False])
@pytest.mark.parametrize("dress", UNSEEN)
def test_it_is_hidden_in_dresses_of_later(monkeypatch: pytest.MonkeyPatch, dress: str, *, protected: bool) -> None:
    if not protected:
        monkeypatch.setattr(TextReading, "places", lambda *_: ())
        monkeypatch.setattr(TextReading, "resembles", lambda *_: False)
    shown = {}
    for password in [*OF_LETTERS, 'se,cr et"1-Canary88', "correct horse_battery+staple"]:
        worn = UNSEEN[dress](password)
        text = f"[AUTHENTICATIONFAILED] no {worn} now"
        shown[password] = worn in masked(text, [password])
        assert masked(text, ["another-Password-1"]) == text, "the control: of somebody else's it is left"
    assert any(shown.values()) is not protected, shown


#: Whoever wants to can find a code that no list has: N18 of docs/threat-model.md.
NOT_RECOGNISED: dict[str, Callable[[str], str]] = {
    "octets turned over": lambda p: _base64(bytes(octet ^ 0x5A for octet in p.encode())),
    "compressed": lambda p: _base64(zlib.compress(p.encode())),
    "base64 three times": lambda p: _base64(_base64(_base64(p.encode()).encode()).encode()),
    "shifted by three": lambda p: "".join(chr(ord(c) + 3) for c in p),
    "every other letter first": lambda p: f"{p[::2]} {p[1::2]}",
    "numbers from a thousand on": lambda p: " ".join(str(ord(c) + 1000) for c in p),
    "letters with words between": " then ".join,
    "base32 with another alphabet": lambda p: base64.b32hexencode(p.encode()).decode(),
}


@pytest.mark.parametrize("dress", NOT_RECOGNISED)
def test_a_code_of_ones_own_is_not_recognised(dress: str) -> None:
    text = f"no {NOT_RECOGNISED[dress]('CANARY-pw-88')} now"
    assert masked(text, ["CANARY-pw-88"]) == text


@pytest.mark.parametrize("kept", range(6, 12))
def test_its_beginning_is_hidden_where_the_text_was_cut(kept: int) -> None:
    assert masked("cannot do LOGIN u " + "CANARY-pw-88"[:kept], ["CANARY-pw-88"]) == f"cannot do LOGIN u {MASK}"
    assert masked(f"no: {'CANARY-pw-88'[:kept]}…", ["CANARY-pw-88"]).startswith(f"no: {MASK}")


def test_other_words_stay() -> None:
    words = "[AUTHENTICATIONFAILED] Authentication failed: invalid password (base64 YWJjZGVm), try again in 30 s"
    assert masked(words, ["CANARY-pw-88", "q", "hunter2"]) == words.replace("q", MASK)


@pytest.mark.parametrize("password", ["password1", "login-2026", "Invalid1", "mail-server-7"])
def test_words_that_a_weak_password_has_too_stay(password: str) -> None:
    words = "[AUTHENTICATIONFAILED] Invalid login or password: the mail server of example.org refused it"
    assert masked(words, [password]) == words


def test_a_short_one_is_hidden_as_it_is() -> None:
    assert masked("LOGIN u abc ABC", ["abc"]) == f"LOGIN u {MASK} ABC"


def test_a_long_token_and_a_long_text_take_no_time() -> None:
    token = base64.b64encode(bytes(range(256)) * 8).decode()
    began = time.process_time()
    assert token[40:60] not in masked("A" * 6000 + token[:1000] + "=" * 5000, [token])
    assert time.process_time() - began < 20


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ("x" + " " * 20 + "y", "NO x" + " " * 11_000),
        ("x" + "\\" * 20 + "y", "NO x" + "\\" * 11_000),
        ("ab = cd" + " =" * 12 + "y", "NO ab = cd" + " =" * 5_000),
        (" " * 31 + "y", " " * 12_000),
        ("_" * 32, "_ " * 6_000 + "x"),
        ("abcdef" + " " * 20 + "y", "abcdef" * 1_000 + " " * 6_000 + "."),
        ("%25" * 10 + "y", "%25" * 4_000),
        ("xxu00" * 6, "x78x78u0078" * 1_000),
        ("&amp;" * 6 + "y", "&amp;amp;" * 1_300),
    ],
)
def test_no_secret_and_no_text_take_time_without_bound(secret: str, text: str) -> None:
    """Whoever writes a row of the list chooses the password, and their server the answer: each other worker would stand."""
    began = time.process_time()
    for said in (text, text + secret[: len(secret) // 2] + "!", "\u2007".join(text)):
        masked(said, [secret])
    assert time.process_time() - began < 20


@given(st.text(max_size=200), st.text(min_size=4, max_size=60), st.text(max_size=200))
def test_never_left_and_never_an_error(before: str, secret: str, after: str) -> None:
    assert secret not in masked(before + secret + after, [secret]) or secret in MASK


@st.composite
def _dressed(draw: st.DrawFn) -> tuple[str, str]:
    """A secret, and a text that may hold it or a part of it, in some notation."""
    secret = draw(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=4, max_size=40))
    coded = base64.b64encode(f"\0someone\0{secret}".encode()).decode()
    ways = (secret, secret.upper(), " ".join(secret), secret.encode().hex(":"), secret.encode().hex().upper(), coded)
    parts = draw(st.lists(st.sampled_from(ways) | st.text("abc =%-_.:\t", max_size=8), max_size=5))
    cut = draw(st.integers(0, 60))
    return secret, "".join(parts)[: cut or None]


@given(_dressed())
def test_the_quick_look_hides_as_much_as_the_whole_pattern(case: tuple[str, str]) -> None:
    secret, text = case
    quick = masked(text, [secret])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(masking, "_may_stand_in", lambda *_: True)
        patched.setattr(masking, "_one_alphabet", lambda _: "")
        assert masked(text, [secret]) == quick
