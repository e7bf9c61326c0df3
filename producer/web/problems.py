"""Errors as RFC 9457 problem details. No answer repeats what was sent, since it could hold a password."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from producer.intake.manifest_row import Manifest
from producer.intake.sheet import ManifestInvalid, RequestFaults, RowError
from producer.web.problem_types import type_of
from producer.web.security.scrypt import Crowded
from shared.model.errors import MailhaulError, StoreError, UsageError
from shared.runtime.logs import get_logger
from shared.wording.often_said import INTERNAL_ERROR_SEE_LOG
from shared.wording.phrases import Fault, FaultsFound, Phrase, in_english, text_of, worded

MANIFEST_HAS_ERRORS: Final = Phrase("manifest_has_errors", "the manifest has {num} errors; nothing was started")
TOO_MANY_PEOPLE_ARE_SIGNING_IN: Final = Phrase(
    "too_many_people_are_signing_in", "too many people are signing in; try again in a moment"
)
STATE_STORE_DOES_NOT_ANSWER: Final = Phrase(
    "state_store_does_not_answer", "the state store does not answer; try again in a moment"
)
REQUEST_NOT_AS_DOCUMENTED: Final = Phrase("request_not_as_documented", "the request is not as docs/api.md says")

MEDIA = "application/problem+json"
#: The schema of one entry of `errors`, for the OpenAPI document.
ERRORS: Final[dict[str, Any]] = {
    "type": "array",
    "description": "Faults of a row of the manifest, of a field, or of a place of a body that has the wrong form.",
    "items": {
        "title": "ProblemFault",
        "type": "object",
        "required": ["what"],
        "properties": {
            "row": {"type": "integer"},
            "column": {"type": "string"},
            "field": {"type": "string"},
            "where": {"type": "string"},
            "code": {"type": "string", "description": "The kind of a fault of a row or a field; it stays."},
            "what": {"type": "string"},
        },
    },
}
_SCHEMA: Final = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": ERRORS,
    },
}
#: Error responses of every operation, for the OpenAPI document.
ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    code: {"description": "A problem (RFC 9457)", "content": {MEDIA: {"schema": _SCHEMA}}} for code in ("4XX", "503")
}
#: Maximum number of faults of rows that one answer names.
_ROWS_NAMED = 1000


class Refused(Exception):
    """An error that is answered with a status code. `detail` says what to do; `code` is a name of `PROBLEMS`."""

    def __init__(
        self, status: int, detail: str, *, headers: Mapping[str, str] | None = None, code: str = "", **more: Any
    ) -> None:
        self.status, self.detail, self.headers, self.more = status, detail, headers or {}, {"code": code, **more}
        super().__init__(detail)


def field_errors(faults: Sequence[Fault]) -> list[dict[str, Any]]:
    """Returns faults as JSON, each at its field."""
    return [
        {"field": fault.fields[0] if fault.fields else "", "code": fault.code, "what": worded(fault, str)}
        for fault in faults
    ]


def problem(
    status: int, detail: str, headers: Mapping[str, str] | None = None, code: str = "", **more: Any
) -> JSONResponse:
    """Builds the JSON answer of a problem."""
    kind, title = type_of(status, code), HTTPStatus(status).phrase
    body = {"type": kind, "title": title, "status": status, "detail": detail, **more}
    return JSONResponse(body, status, headers, MEDIA)


def row_errors(errors: Sequence[RowError]) -> list[dict[str, Any]]:
    """Returns the faults of rows as JSON."""
    return [
        {
            "row": error.line,
            "column": error.column,
            "code": error.sentence.phrase.code,
            "what": in_english(error.sentence, str),
        }
        for error in errors[:_ROWS_NAMED]
    ]


def manifest_as_read(manifest: Manifest, errors: Sequence[RowError]) -> dict[str, Any]:
    """Returns as JSON how a manifest was read: its form, its number of rows, and their faults."""
    return {
        "rows": len(manifest.rows),
        "errors": row_errors(errors),
        "errors_total": len(errors),
        "warnings": list(manifest.warnings),
        "encoding": manifest.encoding,
        "separator": manifest.separator,
        "columns": list(manifest.columns),
    }


def answer(
    request: Request,
    status: int,
    detail: str,
    headers: Mapping[str, str] | None = None,
    error: Exception | None = None,
    **more: Any,
) -> Response:
    """Builds the answer to a failed request: a problem for the API, an HTML page for a browser, which words the error."""
    if request.url.path.startswith("/api/"):
        return problem(status, detail, headers, **more)
    page: Response = request.app.state.refusal(request, status, error or detail)
    page.headers.update(headers or {})
    return page


def _in_the_manifest(errors: Sequence[RowError]) -> str:
    return MANIFEST_HAS_ERRORS.says(num=len(errors))


def _methods(app: FastAPI, path: str) -> list[str]:
    """Returns the methods of the operations with this path."""
    found: set[str] = set()
    for template, operations in app.openapi()["paths"].items():
        if compile_path(template)[0].fullmatch(path):
            found |= {method.upper() for method in operations}
    return sorted(found)


def install(app: FastAPI) -> None:
    """Registers the handlers that turn every error into a problem."""

    @app.exception_handler(Refused)
    def _refused(request: Request, error: Refused) -> Response:
        headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else {}
        return answer(request, error.status, error.detail, {**headers, **error.headers}, **error.more)

    @app.exception_handler(Crowded)
    def _crowded(request: Request, error: Crowded) -> Response:
        return answer(request, 429, TOO_MANY_PEOPLE_ARE_SIGNING_IN.says(), {"Retry-After": "2"})

    @app.exception_handler(ManifestInvalid)
    def _manifest(request: Request, error: ManifestInvalid) -> Response:
        return answer(
            request,
            422,
            _in_the_manifest(error.errors),
            code="manifest-invalid",
            errors=row_errors(error.errors),
            errors_total=len(error.errors),
        )

    @app.exception_handler(FaultsFound)
    def _faults(request: Request, error: FaultsFound) -> Response:
        errors = field_errors(error.faults)
        lines = [one["what"] for one in errors]
        if isinstance(error, RequestFaults) and error.row_errors:
            lines.append(_in_the_manifest(error.row_errors))
            errors += row_errors(error.row_errors)
        return answer(request, 422, "\n".join(lines), error=error, errors=errors)

    @app.exception_handler(UsageError)
    def _usage(request: Request, error: UsageError) -> Response:
        return answer(request, 422, text_of(error))

    @app.exception_handler(StoreError)
    def _store(request: Request, error: StoreError) -> Response:
        return answer(request, 503, STATE_STORE_DOES_NOT_ANSWER.says(), {"Retry-After": "2"})

    @app.exception_handler(MailhaulError)
    def _ours(request: Request, error: MailhaulError) -> Response:
        return answer(request, 409, text_of(error))

    @app.exception_handler(RequestValidationError)
    def _invalid(request: Request, error: RequestValidationError) -> Response:
        errors = [
            {
                "where": ".".join(map(str, one["loc"])),
                "field": ".".join(map(str, one["loc"][1:])),
                "code": one["type"],
                "what": one["msg"],
            }
            for one in error.errors()
        ]
        if any(one["type"] == "json_invalid" for one in error.errors()):
            return answer(request, 400, "the body is no JSON", errors=errors)
        return answer(request, 422, REQUEST_NOT_AS_DOCUMENTED.says(), errors=errors)

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> Response:
        methods = _methods(app, request.url.path) if error.status_code == 405 else []
        headers = {"Allow": ", ".join(methods)} if methods else error.headers
        return answer(request, error.status_code, str(error.detail), headers)

    @app.exception_handler(Exception)
    def _fault(request: Request, error: Exception) -> Response:
        get_logger("mailhaul.web").error("fault", path=request.url.path, exc_info=error)
        return answer(request, 500, INTERNAL_ERROR_SEE_LOG.says())
