"""Tests that drafts of forms are sealed anew when the key is changed."""

from __future__ import annotations

import redis
from cryptography.fernet import Fernet

from shared.runtime.credentials import Credentials, Vault
from shared.runtime.secret import Secret
from shared.store import Resealed
from shared.store.records.page_state import PageState
from shared.store.redis import keys


def test_drafts_open_with_the_new_key_alone_after_a_rotation(redis_client: redis.Redis) -> None:
    redis_client.flushdb()
    old, new = Fernet.generate_key(), Fernet.generate_key()
    page, both = PageState(redis_client), Vault([new, old])
    typed = Credentials(login="anna", password=Secret("typed"))
    page.keep_draft("a", Vault([old]).seal("a", "draft", typed), 3600)
    page.keep_draft("lost", Vault([Fernet.generate_key()]).seal("lost", "draft", typed), 3600)
    assert page.renew_drafts(both.rotate) == Resealed(renewed=1, lost=0)
    sealed = page.draft("a")
    assert sealed is not None
    assert Vault([new]).open("a", "draft", sealed) == typed
    assert 0 < redis_client.ttl(keys.draft("a")) <= 3600
