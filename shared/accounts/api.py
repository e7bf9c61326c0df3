"""The HTTP for the adapters: one client for each service, verified TLS, no redirects and bounded answers.

The module also reads the statuses that mean the same to every API.

Nothing is retried here: a service that asks to wait is an outcome, and the caller comes back later.
"""

from __future__ import annotations

import base64
import ssl
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

import httpx2

from shared.model.accounts import Rejected, Retry
from shared.nouns import dataclass

if TYPE_CHECKING:
    from shared.accounts.address import BAD_URL
    from shared.accounts.kinds import ServiceUrl
    from shared.runtime.secret import Secret
from shared.wording.often_said import (
    ASKS_TO_WAIT_S,
    DOES_NOT_LET_US_IN,
    HAS_INTERNAL_ERROR,
    SERVICE_DOES_NOT_LET_US_IN,
    SERVICE_HAS_INTERNAL_ERROR,
    SERVICE_SAYS,
)
from shared.wording.phrases import Phrase

CANNOT_BE_REACHED: Final = Phrase("cannot_be_reached", "{service} cannot be reached ({kind})")
GIVE_SECRET_THAT_MAY_CREATE: Final = Phrase(
    "give_secret_that_may_create",
    "give a secret that may create accounts (--accounts-secret-file), and run the import command again",
)
SERVICE_REDIRECTS_ELSEWHERE: Final = Phrase(
    "service_redirects_elsewhere", "{service} sends us to another place, where a secret must not follow"
)
GIVE_FINAL_ADDRESS: Final = Phrase("give_final_address", "give the final address as --accounts")
ANSWER_IS_TOO_LARGE: Final = Phrase("answer_is_too_large", "the answer is too large")
ANSWER_IS_COMPRESSED: Final = Phrase("answer_is_compressed", "the answer is compressed, which was not asked for")
ANSWER_IS_NESTED_TOO_DEEPLY: Final = Phrase("answer_is_nested_too_deeply", "the answer is nested too deeply")

_TIMEOUT: Final = httpx2.Timeout(30, connect=10)
_MOST_BYTES: Final = 4 << 20
#: The wait where a service asks to wait and does not say how long, seconds.
_USUAL_WAIT: Final = 30.0
_LONGEST_WAIT: Final = 6 * 3600.0
_LONGEST_REASON: Final = 300


class Halted(Exception):
    """Ends the call; `outcome` is what the call returns."""

    def __init__(self, outcome: Retry | Rejected) -> None:
        self.outcome = outcome
        super().__init__(type(outcome).__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceAnswer:
    """The answer of a service."""

    #: HTTP status.
    status: int
    #: The body as JSON; None when it is no JSON.
    body: Any
    #: The beginning of the body.
    text: str


def http_client(
    base_url: str, shown: str, headers: Mapping[str, str], *, ca_file: str = "", auth: Any = None
) -> httpx2.Client:
    """Opens a client that verifies TLS, follows no redirect, and reads no more than a few MB of an answer.

    The client raises `Halted` for a status that means the same everywhere. `shown` is the service's name for people.
    """
    verify: ssl.SSLContext | bool = ssl.create_default_context(cafile=ca_file) if ca_file else True

    def checked(response: httpx2.Response) -> None:
        response.read()
        # JSON is UTF-8 (RFC 8259 §8.1). A header could name an encoding that takes hours to read, as punycode does.
        response.encoding = "utf-8"
        try:
            response.json()
        except RecursionError:
            raise httpx2.RemoteProtocolError(ANSWER_IS_NESTED_TOO_DEEPLY.says()) from None
        except ValueError:
            pass
        after = response.headers.get("Retry-After", "")
        if outcome := common(response.status_code, after, response.text, shown):
            raise Halted(outcome)

    try:
        return httpx2.Client(
            base_url=base_url,
            headers={**headers, "Accept-Encoding": "identity"},
            auth=auth,
            event_hooks={"response": [checked]},
            transport=_Bounded(httpx2.HTTPTransport(verify=verify)),
            timeout=_TIMEOUT,
            follow_redirects=False,
            trust_env=False,
        )
    except httpx2.InvalidURL:
        raise BAD_URL.error("accounts") from None


class Api:
    """Requests to one service."""

    def __init__(self, client: httpx2.Client, shown: str) -> None:
        self.client, self.shown = client, shown

    def ask(
        self, method: str, path: str, *, json: Any = None, params: Mapping[str, str] | None = None, **more: Any
    ) -> ServiceAnswer:
        """Returns the answer when its status may mean something to the adapter.

        Raises `Halted` for every other status, and when no answer came.
        """
        try:
            response = self.client.request(method, path, json=json, params=params, **more)
        except httpx2.HTTPError as error:
            raise Halted(unreachable(self.shown, error)) from error
        try:
            body = response.json()
        except ValueError:
            body = None
        return ServiceAnswer(status=response.status_code, body=body, text=shortened(response.text))

    def refusal(self, said: str, advice: str = "") -> Halted:
        """Returns the end of a call that the service refused in these words. `Discreet` takes secrets out of them."""
        return Halted(Rejected(reason=SERVICE_SAYS.says(service=self.shown, said=shortened(said)), advice=advice))

    def close(self) -> None:
        """Closes the connections."""
        self.client.close()


def _with(alone: Phrase, more: Phrase, shown: str, status: int, said: str) -> str:
    """Words a status, with what the service said where it said something."""
    phrase = more if said else alone
    return phrase.says(service=shown, status=str(status), said=said)


def common(status: int, retry_after: str, text: str, shown: str) -> Retry | Rejected | None:
    """Returns the outcome of a status that means the same to every API; None when the adapter has to decide."""
    said = shortened(text) if text.strip() else ""
    if status in (429, 503) or (status == 403 and "ateLimitExceeded" in text):  # Google's userRateLimitExceeded
        seconds = wait_of(retry_after, time.time())
        return Retry(after_seconds=seconds, why=ASKS_TO_WAIT_S.says(service=shown, num=f"{seconds:.0f}"), everyone=True)
    if status >= 500:
        return Retry(
            after_seconds=15,
            why=_with(HAS_INTERNAL_ERROR, SERVICE_HAS_INTERNAL_ERROR, shown, status, said),
            reached=False,
        )
    if status in (401, 403):
        return Rejected(
            reason=_with(DOES_NOT_LET_US_IN, SERVICE_DOES_NOT_LET_US_IN, shown, status, said),
            advice=GIVE_SECRET_THAT_MAY_CREATE.says(),
        )
    if 300 <= status < 400:
        return Rejected(
            reason=SERVICE_REDIRECTS_ELSEWHERE.says(service=shown),
            advice=GIVE_FINAL_ADDRESS.says(),
        )
    return None


def unreachable(shown: str, error: Exception) -> Retry:
    """Returns the outcome of a request that got no answer."""
    return Retry(
        after_seconds=15,
        why=CANNOT_BE_REACHED.says(service=shown, kind=type(error).__name__),
        everyone=True,
        reached=False,
    )


def wait_of(retry_after: str, now: float) -> float:
    """Returns the seconds of a Retry-After header (RFC 9110 §10.2.3), which is a number or a date."""
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(retry_after).timestamp() - now
        except (ValueError, TypeError, OverflowError):
            return _USUAL_WAIT
    return min(max(seconds, 1.0), _LONGEST_WAIT) if seconds == seconds else _USUAL_WAIT


def shortened(text: str) -> str:
    """Returns the text as one line without control characters, of at most 300 characters."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= _LONGEST_REASON else line[: _LONGEST_REASON - 1] + "…"


class _Bounded(httpx2.BaseTransport):
    """A transport whose answers end after a few MB."""

    def __init__(self, inner: httpx2.BaseTransport) -> None:
        self._inner = inner

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        response = self._inner.handle_request(request)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            # A few MB could expand to some GB.
            response.close()
            raise httpx2.RemoteProtocolError(ANSWER_IS_COMPRESSED.says())
        assert isinstance(response.stream, httpx2.SyncByteStream)
        response.stream = _BoundedStream(response.stream)
        return response

    def close(self) -> None:
        self._inner.close()


class _BoundedStream(httpx2.SyncByteStream):
    def __init__(self, inner: httpx2.SyncByteStream) -> None:
        self._inner = inner

    def __iter__(self) -> Iterator[bytes]:
        left = _MOST_BYTES
        for part in self._inner:
            left -= len(part)
            if left < 0:
                raise httpx2.RemoteProtocolError(ANSWER_IS_TOO_LARGE.says())
            yield part

    def close(self) -> None:
        self._inner.close()


def api_of(url: ServiceUrl, base: str, headers: Mapping[str, str], auth: Any = None) -> Api:
    """Returns the API of a service at `base`."""
    client = http_client(base, url.shown, headers, ca_file=url.options.get("ca", ""), auth=auth)
    return Api(client, url.shown)


def login_header(secret: Secret) -> dict[str, str]:
    """Returns the header for a bearer token (RFC 6750), or for "user:password" as Basic (RFC 7617)."""
    text = secret.reveal()
    if ":" not in text:
        return {"Authorization": f"Bearer {text}"}
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}
