from __future__ import annotations

import pytest

from tests.servers.faulty import FaultyServer
from tests.servers.faulty_kit import PASSWORD


@pytest.fixture
def server(faulty_server: FaultyServer) -> FaultyServer:
    """Returns the scripted server with one account, `user`."""
    faulty_server.add_account("user", PASSWORD)
    return faulty_server
