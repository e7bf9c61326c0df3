"""Decides which wish counts where several things are wanted of a lane at once. Pure."""

from __future__ import annotations

from typing import Final

from shared.model.lifecycle import Wish

#: The wishes before which the end of the process comes.
_WEAKER: Final = (Wish.RUN, Wish.YIELD, Wish.LEAVE)


def strongest(told: Wish, *, ends: bool) -> Wish:
    """Returns what counts, where the store has `told` a wish and the process `ends`.

    A lost lease comes first, since nothing may be written any more; then what a person wants; then the end of the process,
    which is as a pause; then what other work wants of the lane, which could go on until its message or folder is done.
    """
    return Wish.PAUSE if ends and told in _WEAKER else told
