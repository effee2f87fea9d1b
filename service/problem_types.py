"""The one table of problem types: a stable code, its HTTP status, a title, and what it means.

`docs/problems.md` is written from it (`python -m service.openapi`); `GET /problems/{code}` shows an entry.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProblemType:
    """What all problems of a code share; `meaning` is the `detail` where there is none more exact."""

    status: int
    title: str
    meaning: str
    advice: str = ""


PROBLEM_TYPES: Mapping[str, ProblemType] = {
    # The request as HTTP.
    "bad-request": ProblemType(400, "Bad request", "The request is not one that HTTP allows."),
    "not-found": ProblemType(404, "Not found", "There is nothing at this address."),
    "method-not-allowed": ProblemType(
        405,
        "Method not allowed",
        "This resource does not have that method; the header Allow lists those it has.",
    ),
    "not-acceptable": ProblemType(
        406, "Not acceptable", "The header Accept rules out every format this resource has."
    ),
    "body-timeout": ProblemType(408, "Body too slow", "The body of the request did not arrive in time."),
    "body-too-large": ProblemType(
        413, "Body too large", "The body of the request is larger than the service accepts; see /v1/limits."
    ),
    "unsupported-media-type": ProblemType(
        415,
        "Unsupported media type",
        "The body must be application/json, in UTF-8, and not compressed otherwise than by gzip.",
    ),
    "invalid-json": ProblemType(
        400,
        "Invalid JSON",
        "The body is not JSON as RFC 8259 defines it.",
        "NaN and Infinity are not JSON, text must be valid Unicode, and no key may be given twice.",
    ),
    "invalid-parameter": ProblemType(
        422, "Invalid parameter", "A parameter of the query or a header is unknown, repeated or out of range."
    ),
    "invalid-cursor": ProblemType(
        422, "Invalid cursor", "The cursor is not one that this list gave.", "Begin again without a cursor."
    ),
    # The request as a document.
    "invalid-request": ProblemType(422, "Invalid request", "Several things are wrong; `errors` lists them."),
    "missing-field": ProblemType(422, "Missing field", "A field that is required is not there."),
    "unknown-field": ProblemType(
        422, "Unknown field", "A field has a name that means nothing here; nothing that is sent is ignored."
    ),
    "invalid-value": ProblemType(
        422, "Invalid value", "A field has a value of the wrong type or out of range."
    ),
    "conflicting-fields": ProblemType(422, "Conflicting fields", "Two fields contradict each other."),
    "limit-exceeded": ProblemType(
        422, "Limit exceeded", "The request asks for more than this service does at once; see /v1/limits."
    ),
    # The model.
    "invalid-model": ProblemType(
        422, "Invalid model", "The model cannot be fitted to these data as it stands."
    ),
    # The resource.
    "fit-not-found": ProblemType(404, "No such fit", "There is no fit with this id."),
    "fit-gone": ProblemType(
        410,
        "Fit gone",
        "This fit has expired or was deleted.",
        "Send the same request again to have it fitted anew.",
    ),
    "fit-not-finished": ProblemType(
        409,
        "Fit not finished",
        "The fit has no result yet.",
        "Ask for the fit with `Prefer: wait=30` until it has ended.",
    ),
    "fit-failed": ProblemType(
        409, "Fit failed", "The fit has failed and has no result; its `failure` says why."
    ),
    "fit-cancelled": ProblemType(409, "Fit cancelled", "The fit was cancelled before it had a result."),
    "unknown-factor": ProblemType(404, "Unknown factor", "The fit has no grouping factor of this name."),
    # Why a fit failed.
    "worker-lost": ProblemType(
        500,
        "The fit was given up",
        "The process that ran this fit died each time it was tried; most often the model needs more memory.",
    ),
    "timeout": ProblemType(500, "The fit took too long", "The fit was stopped because its time was up."),
    "internal": ProblemType(
        500, "The fit failed unexpectedly", "The fit failed for a reason that is the service's fault."
    ),
    # The service.
    "idempotency-conflict": ProblemType(
        422, "Idempotency key reused", "This Idempotency-Key was used before with another request."
    ),
    "idempotency-in-flight": ProblemType(
        409, "Request in flight", "The first request with this Idempotency-Key is not answered yet."
    ),
    "queue-full": ProblemType(429, "Queue full", "Too many fits are waiting; try again later."),
    "internal-error": ProblemType(
        500, "Internal error", "The service failed; the log has the cause under this request id."
    ),
    "store-unavailable": ProblemType(
        503, "Store unavailable", "The store of fits does not answer; nothing accepted is lost. Try again."
    ),
    "store-full": ProblemType(
        503, "Store full", "There is no room for another fit; results expire with time."
    ),
    "tenant-full": ProblemType(
        507, "No room left", "Your share of the store is used up.", "Delete fits that are no longer needed."
    ),
    "not-ready": ProblemType(503, "Not ready", "The service cannot take requests at the moment."),
}
