"""The options that say what to import, in the operator's words."""

from __future__ import annotations

import pytest

from producer.intake.selection_options import SelectionOptions
from producer.intake.wanted import read_folder_map, read_into, read_moment, read_size, read_uses, read_wanted, unmatched
from shared.model import Endpoint, Options, Tls
from shared.model.errors import UsageError

POP3 = Endpoint(protocol="pop3", host="old.example", port=995, tls=Tls.IMPLICIT)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("", None),
        ("2024-02-01", 1_706_745_600),
        ("2024-02-01 00:00:01", 1_706_745_601),
        ("2024-02-01T03:00:00+03:00", 1_706_745_600),
        ("2024-02-01T00:00:00Z", 1_706_745_600),
    ],
)
def test_moments(text: str, moment: int | None) -> None:
    assert read_moment(text) == moment


@pytest.mark.parametrize("text", ["yesterday", "1.2.2024", "2024-13-01", "1969-01-01", "2038-06-01"])
def test_what_is_no_moment_is_told(text: str) -> None:
    with pytest.raises(UsageError):
        read_moment(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [("", None), ("10", 10), ("10k", 10_000), ("1.5 MB", 1_500_000), ("1MiB", 1 << 20), ("2gb", 2_000_000_000)],
)
def test_sizes(text: str, size: int | None) -> None:
    assert read_size(text) == size


@pytest.mark.parametrize("text", ["big", "-1", "10 X", "1e9", "1,5M"])
def test_what_is_no_size_is_told(text: str) -> None:
    with pytest.raises(UsageError):
        read_size(text)


def test_special_folders_have_the_names_that_people_use() -> None:
    assert read_uses("Spam, trash,spam,,DRAFTS") == ("junk", "trash", "drafts")
    with pytest.raises(UsageError, match="outbox"):
        read_uses("spam,outbox")


@pytest.mark.parametrize("text", ["a//b", "INBOX", "/", "a\r\nb", "x" * 121, "я" * 60])
def test_a_folder_for_everything_must_be_one(text: str) -> None:
    with pytest.raises(UsageError):
        read_into(text)
    assert read_into("/Archive/Old/") == "Archive/Old"


def test_the_folder_map_is_a_table_with_a_header_or_without() -> None:
    assert read_folder_map("Old;New\nРабота;Work\ninbox/x;Y".encode()) == (("Работа", "Work"), ("INBOX/x", "Y"))
    assert read_folder_map('"a, b",c\r\nINBOX,Old/INBOX\nWork,Inbox\n'.encode("utf-16")) == (
        ("a, b", "c"),
        ("INBOX", "Old/INBOX"),
        ("Work", "INBOX"),
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Work,Other", "line 3: the folder stands in line 2 already"),
        ("Home,Projects", "line 3: line 2 leads to the same folder"),
        ("Home", "line 3: two columns"),
        ("Home,", "line 3: a name"),
        ("Home,a//b", "line 3: a name, or a level"),
        ("Home,INBOX", "line 3: INBOX is where"),
        ('Home,"x', "line 3"),
        ("Home,\x07bell", "line 3"),
    ],
)
def test_a_fault_of_the_folder_map_has_its_line(line: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_folder_map(f"old,new\nWork,Projects\n{line}\n".encode())


def test_an_empty_map_is_a_mistake() -> None:
    for content in (b"", b"old,new\n", b"just text\n"):
        with pytest.raises(UsageError):
            read_folder_map(content)


def test_names_that_nobody_has_are_told() -> None:
    assert unmatched((("Work", "a"), ("inbox", "b"), ("Typo", "c")), ["INBOX", "Work"]) == ["Typo"]


def test_nothing_asked_is_everything() -> None:
    assert Options(**read_wanted(SelectionOptions(), [])) == Options()


def test_every_fault_is_told_at_once() -> None:
    said = SelectionOptions(
        since="2024-02-02",
        before="2024-02-01",
        larger="10k",
        smaller="10k",
        into="INBOX",
        skip_special="foo",
        gmail_labels="x",
        unseen=True,
        flagged=True,
        folder_map="m.csv",
        folder_map_content=b"a,b\na,c\n",
    )
    with pytest.raises(UsageError) as caught:
        read_wanted(said, [POP3])
    text = str(caught.value)
    names = ("--since and", "--larger and", "--into", "--skip-special", "--gmail", "--unseen: POP3", "--flagged: POP3")
    assert [name for name in (*names, "m.csv: line 2") if name not in text] == []


def test_pop3_can_be_asked_for_age_and_size() -> None:
    found = read_wanted(SelectionOptions(since="2024-02-01", larger="1k", not_deleted=True), [POP3])
    assert (found["since"], found["larger"]) == (1_706_745_600, 1000)
