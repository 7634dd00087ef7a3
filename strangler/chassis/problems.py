"""What a home refuses, as JSON that is the same in every home: problem details after RFC 9457.

`status`, `title` and `detail` are the RFC's; `code` is a word for programs; `errors` lists what was wrong
with each field of a request, where that was the reason.

Settings: REST_FRAMEWORK["EXCEPTION_HANDLER"] = "strangler.chassis.problems.exception_handler" and
DRF_STANDARDIZED_ERRORS = {"EXCEPTION_FORMATTER_CLASS": "strangler.chassis.problems.ProblemFormatter"}; in the
root URLconf handler400, handler404 and handler500 are `bad_request`, `not_found` and `server_error`.
"""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from drf_standardized_errors.formatter import ExceptionFormatter
from drf_standardized_errors.handler import exception_handler as standardized
from drf_standardized_errors.types import VALIDATION_ERROR, ErrorResponse
from rest_framework.response import Response

MEDIA_TYPE = "application/problem+json"
API = "/api/"


def problem(status: int, code: str, detail: str, **more: Any) -> dict[str, Any]:
    """One problem as the wire has it."""
    title = HTTPStatus(status).phrase
    return {"type": "about:blank", "title": title, "status": status, "detail": detail, "code": code} | more


class ProblemFormatter(ExceptionFormatter):
    """Turns what a view raised into a problem."""

    def format_error_response(self, error_response: ErrorResponse) -> dict[str, Any]:
        status = self.exc.status_code
        if error_response.type == VALIDATION_ERROR:
            errors = [asdict(error) for error in error_response.errors]
            return problem(status, "invalid", "What was sent can't be used as it is.", errors=errors)
        first = error_response.errors[0]
        return problem(status, first.code, str(first.detail))


def exception_handler(exc: Exception, context: Any) -> Response | None:
    response = standardized(exc, context)
    if response is not None:
        response.content_type = MEDIA_TYPE
    return response


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not request.path.startswith(API):
        return defaults.bad_request(request, exception)
    return _answer(400, "bad_request", "The request can't be read.")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not request.path.startswith(API):
        return defaults.page_not_found(request, exception)
    return _answer(404, "not_found", f"Nothing answers at {request.path} here.")


def server_error(request: HttpRequest) -> HttpResponse:
    if not request.path.startswith(API):
        return defaults.server_error(request)
    return _answer(500, "error", "Something failed on our side; the request can be sent again.")


def _answer(status: int, code: str, detail: str) -> HttpResponse:
    return JsonResponse(problem(status, code, detail), status=status, content_type=MEDIA_TYPE)
