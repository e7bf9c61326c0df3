"""The bounds on what mailhaul takes from a server: a source may be hostile, and a worker's memory and lanes are shared.

Every bound is far above what honest mail needs, and the error names it where it is reached.
"""

from __future__ import annotations

from typing import Final

#: Bytes of a folder's name. Dovecot makes none longer than 4,096 in all, Cyrus 490, and a path of 40 levels fits.
NAME_BYTES: Final = 4096
#: Folders of one account. The largest that was ever told of had 9,000.
MOST_FOLDERS: Final = 20_000
#: Bytes of names that one account lists, answers that name nothing new included: 20,000 names of 800 bytes.
LISTING_BYTES: Final = 16 * 1024 * 1024
#: Messages in one folder. Servers get slow at one million; the UIDs of three million take 120 MB where they are held
#: one by one.
MOST_MESSAGES: Final = 3_000_000
#: Ranges of UIDs in one answer to a search: a million messages with no two adjacent UIDs, 140 MB while they are held.
MOST_RANGES: Final = 1_000_000
#: Bytes that a server may send before the login, and in answer to a question about the quota.
OPENING_BYTES: Final = 4 * 1024 * 1024
#: Bytes of all answers to one command that brings no messages: three million UIDs take 33 MB, all names 16 MiB.
ANSWERS_BYTES: Final = 128 * 1024 * 1024
#: Messages and bytes of one listing of a maildrop (POP3), and bytes of a line of it (RFC 2449 §4 has 512): a million unique-ids
#: of 50 letters. It is held one by one, and a maildrop of a hundred thousand is told of as a wonder.
MAILDROP_MESSAGES: Final = 1_000_000
MAILDROP_BYTES: Final = 64 * 1024 * 1024
MAILDROP_LINE: Final = 2048
#: FETCH answers to one request that make no sense: with more of them, nothing of the connection can be believed.
UNREADABLE_ANSWERS: Final = 1_000
#: Bytes of the keywords of one message: Dovecot keeps 26 in a folder, Cyrus 128.
KEYWORDS_BYTES: Final = 8192
#: The part by which a message may be larger than announced. Exchange is wrong by a third, one provider by a factor of three, and
#: for a small message by its whole header.
SIZE_FACTOR: Final = 4
SIZE_SLACK_BYTES: Final = 1024 * 1024
#: The same where LIST of POP3 announces the size: some servers count line ends once, some guess.
LISTED_SLACK_BYTES: Final = 32 * 1024 * 1024
#: Bytes of the largest message; no provider takes a quarter of that.
LARGEST_BYTES: Final = 1024 * 1024 * 1024
#: Bytes a second at which a whole message must come, beside `MESSAGE_LEAST_SECONDS`.
MESSAGE_RATE: Final = 8 * 1024
MESSAGE_LEAST_SECONDS: Final = 600.0
#: Longest wait for one message, seconds: 200 MB take as long at 10 kB/s.
MESSAGE_SECONDS: Final = 6 * 3600.0


def most_body(size_bytes: int, slack: int = SIZE_SLACK_BYTES) -> int:
    """Returns the most bytes that a message announced with `size_bytes` may have; 0 stands for not announced."""
    return min(LARGEST_BYTES, SIZE_FACTOR * size_bytes + slack) if size_bytes > 0 else LARGEST_BYTES


def message_seconds(size_bytes: int) -> float:
    """Returns the seconds that a message of this size may be waited for.

    A server that sends slowly holds a lane no longer.
    """
    return min(MESSAGE_SECONDS, MESSAGE_LEAST_SECONDS + size_bytes / MESSAGE_RATE)
