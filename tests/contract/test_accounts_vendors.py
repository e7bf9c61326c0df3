"""Tests the parts of Google's directory and Microsoft's Graph that no other account service has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from shared.accounts import NewAccount, vendor_tokens
from shared.accounts.address import parse_service
from shared.accounts.api import Api, Halted, http_client
from shared.accounts.graph import Graph
from shared.accounts.opening import open_service
from shared.accounts.vendor_tokens import Bearer, graph_token
from shared.model.accounts import Adopted, Created, Missing, Rejected, Retry
from shared.model.errors import UsageError
from shared.runtime.secret import Secret
from tests.servers.account_apis import DOMAIN, SECRET, WEAK, GoogleApi, GraphApi
from tests.servers.http_api import Said

ANNA = NewAccount(login=f"anna@{DOMAIN}", password=Secret("pass-canary"), first_name="Anna")


@pytest.fixture(scope="module")
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    kind = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption()).decode()


@pytest.fixture
def google() -> Iterator[GoogleApi]:
    with GoogleApi() as api:
        yield api


def _google(api: GoogleApi, private_key: str) -> Any:
    key = {"client_email": "sa@project.example", "private_key": private_key, "token_uri": f"{api.url}/token"}
    url = parse_service(f"google://admin@{DOMAIN}?api={api.url}&unit=/Sales")
    assert url
    return open_service(url, Secret(json.dumps(key)))


def test_google_is_waited_for_until_the_mailbox_is_set_up(google: GoogleApi, private_key: str) -> None:
    service = _google(google, private_key)
    assert isinstance(service.look(ANNA), Missing)
    found = service.ensure(ANNA, lambda: None)
    assert isinstance(found, Retry)
    assert (found.everyone, found.reached) == (False, True)
    assert isinstance(service.ensure(ANNA, lambda: None), Adopted)
    assert google.wanted[ANNA.login]["orgUnitPath"] == "/Sales"
    assert google.wanted[ANNA.login]["name"] == {"givenName": "Anna", "familyName": "anna"}
    assert [one.path for one in google.asked].count("/token") == 1, "a token is kept"


def test_google_says_what_it_refuses(google: GoogleApi, private_key: str) -> None:
    service = _google(google, private_key)
    weak = service.ensure(replace(ANNA, password=Secret(f"{WEAK}-pass-canary")), lambda: None)
    assert isinstance(weak, Rejected)
    assert "Invalid Password" in weak.reason
    google.aliases.add(ANNA.login)
    assert "taken" in service.ensure(ANNA, lambda: None).reason
    google.instead = [Said(status=403, body={"error": {"errors": [{"reason": "userRateLimitExceeded"}]}})]
    assert isinstance(service.ensure(ANNA, lambda: None), Retry)
    google.instead = [Said(status=403, body={"error": {"message": "Not Authorized to access this resource/api"}})]
    assert isinstance(service.ensure(ANNA, lambda: None), Rejected)


def test_google_without_a_token_is_a_rejection_and_a_broken_key_a_usage_error(
    google: GoogleApi, private_key: str
) -> None:
    google.instead = [Said(status=401, body={"error": "unauthorized_client", "error_description": "not delegated"})]
    found = _google(google, private_key).ensure(ANNA, lambda: None)
    assert isinstance(found, Rejected)
    assert "unauthorized_client" in found.reason
    with pytest.raises(UsageError, match="service account"):
        _google(google, "no key")


@pytest.fixture
def graph() -> Iterator[GraphApi]:
    with GraphApi() as api:
        yield api


def _graph(api: GraphApi, *, sku: str = GraphApi.sku, location: str = "DE") -> Graph:
    client = http_client(api.url, "graph", {}, auth=Bearer(lambda: SECRET))
    return Graph(Api(client, "graph"), sku=sku, location=location, settling_seconds=1)


def test_graph_makes_a_user_and_gives_the_licence(graph: GraphApi) -> None:
    service = _graph(graph)
    assert isinstance(service.look(ANNA), Missing)
    assert isinstance(service.ensure(ANNA, lambda: None), Created)
    assert graph.wanted[ANNA.login]["skus"] == [graph.sku]
    assert isinstance(service.ensure(ANNA, lambda: None), Adopted)


def test_graph_finishes_what_a_killed_worker_began_and_no_licence_goes_to_anybody_else(graph: GraphApi) -> None:
    graph.add(ANNA.login, "theirs", {"usageLocation": "DE"})
    service = _graph(graph)
    assert isinstance(service.ensure(ANNA, lambda: None), Adopted)
    assert "skus" not in graph.wanted[ANNA.login]
    assert isinstance(service.ensure(replace(ANNA, ours=True), lambda: None), Adopted)
    assert graph.wanted[ANNA.login]["skus"] == [graph.sku]
    assert graph.accounts[ANNA.login] == "theirs"


def test_graph_says_what_it_refuses(graph: GraphApi) -> None:
    found = _graph(graph, location="").ensure(ANNA, lambda: None)
    assert isinstance(found, Rejected)
    assert "usage location" in found.reason
    weak = _graph(graph).ensure(replace(ANNA, login=f"b@{DOMAIN}", password=Secret(WEAK)), lambda: None)
    assert isinstance(weak, Rejected)
    graph.aliases.add(f"c@{DOMAIN}")
    assert "taken" in getattr(_graph(graph).ensure(replace(ANNA, login=f"c@{DOMAIN}"), lambda: None), "reason", "")


class _Msal:
    """A double of the network for MSAL."""

    def __init__(self, token: dict[str, Any]) -> None:
        self._token = token

    def get(self, url: str, **_: Any) -> Any:
        """Returns the tenant's metadata."""
        base = "https://login.microsoftonline.com/acme"
        ends = {"authorization_endpoint": f"{base}/a", "token_endpoint": f"{base}/t", "issuer": f"{base}/v2.0"}
        return self._answer(ends)

    def post(self, url: str, **_: Any) -> Any:
        """Returns a token, or a refusal."""
        return self._answer(self._token)

    @staticmethod
    def _answer(body: dict[str, Any]) -> Any:
        class Answer:
            status_code, text, headers = 200, json.dumps(body), {}

            def raise_for_status(self) -> None:
                """Does nothing: the answer is never an HTTP error."""

        return Answer()


def test_a_token_of_microsoft_comes_by_msal() -> None:
    app = {"client_id": "c", "client_secret": "s"}
    more = {"instance_discovery": False}
    given = graph_token("acme", app, "graph", http_client=_Msal({"access_token": "t", "expires_in": 3600}), **more)
    assert given() == "t"
    refusal = {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret"}
    refused = graph_token("acme", app, "graph", http_client=_Msal(refusal), **more)
    with pytest.raises(Halted) as halted:
        refused()
    assert "AADSTS7000215" in getattr(halted.value.outcome, "reason", "")
    assert vendor_tokens.GRAPH_SCOPE.startswith("https://graph.microsoft.com")
