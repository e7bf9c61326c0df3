"""Generates a Python client from the OpenAPI document and uses it: `make client` (not part of `make test`).

The generator, openapi-python-client, has an environment of its own, since it asks for other versions than mailhaul's.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from producer.web.app import make_app
from producer.web.web_context import WebContext
from shared.runtime.config import load_settings
from shared.store.records.principals import Role
from tests.servers.redis_server import RedisServer
from tests.web.conftest import WebServer

ROOT = Path(__file__).parents[2]
#: What somebody would write who has the generated client alone.
STORY = """
import sys
from mailhaul_client import AuthenticatedClient
from mailhaul_client.api.imports import imports_all_imports as all_imports
from mailhaul_client.api.imports import imports_one_import as one_import
from mailhaul_client.api.imports import imports_open_import as open_import
from mailhaul_client.api.imports import imports_pause as pause
from mailhaul_client.models import ImportBody, ImportState, OneMailboxBody, OpenedAnswer, Problem, ServerBody, SourceBody
client = AuthenticatedClient(base_url=sys.argv[1], token=sys.argv[2])
body = ImportBody(
    name="office", manifest="login,password\\nanna,s3cret\\nbert,\\n", good_rows_only=True,
    source=SourceBody(server="imaps://192.0.2.1"), destination=ServerBody(server="imaps://192.0.2.2"),
)
refused = open_import.sync_detailed(client=client, body=body)
assert refused.status_code == 422, refused
body.source.server, body.destination.server = "imap://127.0.0.1:143", "imap://127.0.0.2:143"
opened = open_import.sync(client=client, body=body)
assert isinstance(opened, OpenedAnswer), opened
assert opened.import_.state is ImportState.OPENING and opened.import_.created_at.year > 2000
assert [error.code for error in opened.report.errors] and opened.import_.mailboxes["queued"] == 1
there = opened.import_.id
assert one_import.sync(there, client=client).name == "office"
assert pause.sync(there, client=client, body=OneMailboxBody()).import_.control == "pause"
assert [found.id for found in all_imports.sync(client=client).imports] == [there]
gone = one_import.sync_detailed("nothing", client=client)
assert gone.status_code == 404 and isinstance(gone.parsed, Problem) and gone.parsed.type_.endswith(":not-found"), gone
print("generated, and works:", there)
"""


def main() -> int:
    """Returns the exit code: 0 if the client was generated and did what it was asked."""
    tools = ROOT / ".tools" / "client"
    document = make_app(cast(WebContext, SimpleNamespace(settings=load_settings()))).openapi()
    with RedisServer() as redis, tempfile.TemporaryDirectory(prefix="client-") as home:
        place = Path(home)
        (place / "openapi.json").write_text(json.dumps(document))
        (place / "config.yml").write_text("package_name_override: mailhaul_client\nproject_name_override: made\n")
        generate = [tools / "bin/openapi-python-client", "generate", "--path", "openapi.json", "--config", "config.yml"]
        made = subprocess.run(list(map(str, generate)), cwd=home, check=False)
        if made.returncode:
            return made.returncode
        server = WebServer(redis, place / "state")
        server.home.mkdir()
        try:
            server.serve(MAILHAUL_WEB_ALLOW="127.0.0.0/8")
            _, token = server.principals.make_token("generated", Role.OPERATOR)
            story = [str(tools / "bin/python"), "-c", STORY, f"http://127.0.0.1:{server.port}", token]
            return subprocess.run(story, cwd=place / "made", check=False).returncode
        finally:
            server.close()


if __name__ == "__main__":
    sys.exit(main())
