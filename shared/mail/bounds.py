"""How much mailhaul takes from a server: a source may be hostile, a worker's memory and its lanes are shared.

Every bound is far above what honest mail needs, and each is told with its number where it is reached.
"""

from __future__ import annotations

from typing import Final

#: Bytes of a folder's name. Dovecot makes none longer than 4,096 in all, Cyrus 490, and a path of 40 levels fits.
NAME_BYTES: Final = 4096
#: Folders of one account. The largest that was ever told of had 9,000.
MOST_FOLDERS: Final = 20_000
#: Bytes of names that one account lists, answers that name nothing new included: 20,000 names of 800 bytes.
LISTING_BYTES: Final = 16 * 1024 * 1024
#: Messages in one folder. Servers get slow at one million; at ten, a list of sizes takes minutes and still little memory.
MOST_MESSAGES: Final = 10_000_000
#: Ranges of UIDs in one answer to a search: a million messages none of which stands beside another, 140 MB while they are held.
MOST_RANGES: Final = 1_000_000
#: Answers to one search. One is usual; some servers begin a new line every few hundred UIDs.
SEARCH_ANSWERS: Final = 20_000
