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
    "key-required": ProblemType(
        401,
        "Key required",
        "The request has no key.",
        "Send it as `Authorization: Bearer …`.",
    ),
    "key-unknown": ProblemType(
        401, "Key unknown", "The key of the request is not, or no longer, one of ours."
    ),
    "scope-insufficient": ProblemType(
        403, "Scope insufficient", "The key of the request does not allow this."
    ),
    "link-invalid": ProblemType(
        401,
        "Link invalid",
        "This link has expired, was revoked, or never was one.",
        "Ask whoever gave it to you for a new one: `POST /v1/links` makes it.",
    ),
    "link-insufficient": ProblemType(
        403,
        "Link insufficient",
        "This link allows only to read (GET and HEAD) the addresses that it was made for.",
    ),
    "link-not-found": ProblemType(
        404, "No such link", "There is no link with this id: it has expired, was revoked, or never was one."
    ),
    "unknown-address": ProblemType(
        422,
        "Unknown address",
        "A link was asked for to an address at which there is nothing of yours to read.",
    ),
    "too-many-links": ProblemType(
        409,
        "Too many links",
        "You have as many links as a tenant may have at a time; see /v1/limits.",
        "Revoke some (`DELETE /v1/links/{id}`), wait until they expire, or name several addresses in one.",
    ),
    "rate-limited": ProblemType(
        429,
        "Too many requests",
        "Your quota of requests is used up for the moment.",
        "Retry-After says when there are more; the header RateLimit of every answer says how many are left.",
    ),
    "head-timeout": ProblemType(408, "Head too slow", "The head of the request did not arrive in time."),
    "too-many-connections": ProblemType(
        503,
        "Too many connections",
        "This service has as many connections as it can have.",
        "Close those that you do not need, and try again.",
    ),
    "body-timeout": ProblemType(408, "Body too slow", "The body of the request did not arrive in time."),
    "body-too-large": ProblemType(
        413, "Body too large", "The body of the request is larger than the service accepts; see /v1/limits."
    ),
    "address-too-long": ProblemType(
        414, "Address too long", "The path and query of the request are too long."
    ),
    "not-implemented": ProblemType(
        501, "Not implemented", "The request asks for a part of HTTP that this server does not have."
    ),
    "version-not-supported": ProblemType(
        505, "HTTP version not supported", "This server speaks HTTP/1.1 and HTTP/1.0."
    ),
    "precondition-failed": ProblemType(
        412,
        "Precondition failed",
        "The header If-Match or If-None-Match does not allow this as things are.",
        "Get the resource again, and send the ETag that it has now.",
    ),
    "headers-too-large": ProblemType(431, "Headers too large", "The headers of the request are too large."),
    "unsupported-media-type": ProblemType(
        415,
        "Unsupported media type",
        "The body is of a kind that this operation does not take, or packed otherwise than by gzip or zstd.",
        "The header Accept of the answer lists the kinds it takes. Text is UTF-8 unless `charset` says otherwise.",
    ),
    "invalid-json": ProblemType(
        400,
        "Invalid JSON",
        "The body is not JSON as RFC 8259 defines it.",
        "NaN and Infinity are not JSON, text must be valid Unicode, and no key may be given twice.",
    ),
    "invalid-gzip": ProblemType(
        400, "Invalid gzip", "The body is not whole gzip members, though Content-Encoding says so."
    ),
    "invalid-zstd": ProblemType(
        400, "Invalid zstd", "The body is not whole zstd frames, though Content-Encoding says so."
    ),
    "invalid-csv": ProblemType(
        422,
        "Invalid CSV",
        "The body is not CSV in UTF-8 with a header and as many cells in every row.",
        "Cells with commas, quotes or line breaks stand in quotes, and a quote in a cell is doubled (RFC 4180).",
    ),
    "invalid-arrow": ProblemType(
        422, "Invalid Arrow stream", "The body is not one whole Arrow stream or Arrow file (Feather)."
    ),
    "invalid-parquet": ProblemType(422, "Invalid Parquet", "The body is not a whole Parquet file."),
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
    "invalid-callback": ProblemType(
        422,
        "Invalid callback",
        "A callback cannot be sent to this address.",
        "It begins with https:// and names a host of the public internet.",
    ),
    "no-callback-secret": ProblemType(
        422,
        "No secret for callbacks",
        "There is no secret that your callbacks could be signed with.",
        "Who runs this service makes one with `python -m service.keys secret` and gives it to you.",
    ),
    "too-many-callbacks": ProblemType(
        409,
        "Too many callbacks",
        "As many callbacks wait for this fit as may; the fit itself is accepted.",
        "Use one that is registered already: `GET /v1/fits/{id}/callbacks` lists them.",
    ),
    # The model, its data, and questions about it.
    "invalid-model": ProblemType(
        422, "Invalid model", "The model cannot be fitted to these data as it stands."
    ),
    # The formula.
    "formula-syntax": ProblemType(
        422,
        "Formula not understood",
        "The formula cannot be read.",
        "`position` counts characters from 0, and the message shows the place.",
    ),
    "formula-too-large": ProblemType(
        422, "Formula too large", "The formula is longer or deeper than allowed."
    ),
    "unknown-function": ProblemType(
        422, "Unknown function", "The formula calls a function that is not one of the language."
    ),
    "ambiguous-name": ProblemType(422, "Ambiguous name", "Two coefficients of the model have the same name."),
    # The data.
    "no-rows": ProblemType(422, "No rows", "There is no row that the model could be fitted to."),
    "unequal-lengths": ProblemType(422, "Unequal lengths", "The columns have different numbers of rows."),
    "mixed-types": ProblemType(
        422, "Mixed types", "A column holds values of different kinds, or values that are no cells."
    ),
    "not-finite": ProblemType(
        422, "Not finite", "A number is infinite or not a number.", "Send null where it is missing."
    ),
    "integer-out-of-range": ProblemType(422, "Integer out of range", "An integer has more than 64 bits."),
    "invalid-text": ProblemType(422, "Invalid text", "A text is not valid Unicode."),
    "missing-values": ProblemType(
        422,
        "Missing values",
        "A column that the model uses has missing values.",
        'With `"missing": "drop"` rows that lack a value are left out, and counted.',
    ),
    "unknown-column": ProblemType(422, "Unknown column", "The formula names a column that the data lacks."),
    "column-type": ProblemType(
        422, "Wrong type of column", "A column is of a type that cannot be used in its place."
    ),
    "several-columns": ProblemType(
        422,
        "Several columns",
        "An expression that has several columns stands where there can be one, or beside one of another number.",
        "A basis such as poly(x, 2) is a term of its own; functions of it go column by column.",
    ),
    "date-covariate": ProblemType(
        422,
        "Date as a covariate",
        "A column holds dates.",
        "Send the days since some day as a number instead.",
    ),
    "unknown-level": ProblemType(
        422,
        "Unknown level",
        "A factor has a level that the fit has not seen.",
        'For a grouping factor `"new_levels"` can be `"sample"` or `"population"`.',
    ),
    "invalid-levels": ProblemType(
        422, "Invalid levels", "The levels that were named do not fit the column they were named for."
    ),
    "unknown-dataset": ProblemType(
        422,
        "Unknown data set",
        "The request names a data set that is not there (any more).",
        "Upload it again: the same content gets the same id.",
    ),
    "unknown-fit": ProblemType(
        422,
        "Unknown fit",
        "The request names a fit that is not there (any more).",
        "A fit that has expired is made anew by sending its request again.",
    ),
    "unknown-row": ProblemType(
        422,
        "Unknown row",
        "A contrast names a row that the data to be predicted do not have.",
        "Rows are counted from 0.",
    ),
    "different-data": ProblemType(
        422,
        "Different data",
        "The fits that are to be compared are not of the same rows, responses and weights.",
        "Leave out rows with missing values before fitting, and compare models of the same response.",
    ),
    # The model.
    "no-parameters": ProblemType(
        422,
        "No parameters",
        "The model has no parameters to estimate.",
        "Add an intercept, a covariate or a grouping factor to the formula.",
    ),
    "too-many-levels": ProblemType(
        422,
        "Too many levels",
        "A covariate is text with about as many levels as there are rows.",
        "Ids group rows, as in (1 | id); numbers that came as text are sent as numbers.",
    ),
    "too-few-levels": ProblemType(422, "Too few levels", "A grouping factor needs at least two levels."),
    "constant-predictor": ProblemType(
        422,
        "Constant predictor",
        "A predictor has one value only, so its effect cannot be told from the intercept.",
    ),
    "constant-response": ProblemType(422, "Constant response", "The response has one value only."),
    "sampling-failed": ProblemType(
        422,
        "Sampling failed",
        "The density of the model has no finite value where the sampler looked.",
        "Look for extreme values in the data, or use proper priors of the parameters' size.",
    ),
    "perfect-fit": ProblemType(
        422,
        "Perfect fit",
        "The model explains the response exactly, so nothing is left to estimate a residual sd from.",
        "Leave out what determines the response, or give its known errors with `se()`.",
    ),
    "improper-posterior": ProblemType(
        422,
        "Improper posterior",
        "Under the flat priors of the request the posterior has no finite integral, so that no draws describe it.",
        "Give the coefficients, or the standard deviations, that the message names proper priors.",
    ),
    "rank-deficient": ProblemType(
        422,
        "Rank-deficient design",
        "Some columns of the design are linear combinations of others.",
        'With `"aliased": "drop"` they are left out, and reported; proper priors on them are enough, too.',
    ),
    "design-too-large": ProblemType(422, "Design too large", "The model has more coefficients than allowed."),
    "unknown-family": ProblemType(422, "Unknown family", "There is no family of this name."),
    "unknown-link": ProblemType(422, "Unknown link", "The family does not have this link."),
    "invalid-response": ProblemType(422, "Invalid response", "The response has values that it cannot have."),
    "response-mismatch": ProblemType(
        422, "Response and family differ", "The response is not one of this family."
    ),
    "unknown-distribution": ProblemType(
        422, "Unknown distribution", "A prior names a distribution that is not had."
    ),
    "invalid-prior": ProblemType(
        422, "Invalid prior", "A prior cannot be read, or cannot hold where it is set."
    ),
    "duplicate-prior": ProblemType(422, "Duplicate prior", "Two priors are set for the same parameters."),
    "unknown-prior-target": ProblemType(
        422, "Prior for nothing", "A prior is set for a parameter that the model does not have."
    ),
    "invalid-sampler": ProblemType(
        422, "Invalid sampler settings", "A setting of the sampler is out of range."
    ),
    "method-not-applicable": ProblemType(
        422, "Method not applicable", "The sampling method that was asked for cannot fit this model."
    ),
    "unknown-factor": ProblemType(422, "Unknown factor", "The model has no grouping factor of this name."),
    # The resource.
    "fit-not-found": ProblemType(404, "No such fit", "There is no fit with this id."),
    "fit-gone": ProblemType(
        410,
        "Fit gone",
        "This fit has expired or was deleted.",
        "Send the same request again to have it fitted anew.",
    ),
    "unknown-parameter": ProblemType(
        422, "Unknown parameter", "The fit has no parameter of this name.", "Ask for all, or see the summary."
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
    "plot-not-found": ProblemType(
        404,
        "No such plot",
        "There is no plot of this name and format, or this fit does not have it.",
        "The list of a fit's plots has their addresses.",
    ),
    "factor-not-found": ProblemType(404, "No such factor", "The fit has no grouping factor of this name."),
    "dataset-not-found": ProblemType(
        404,
        "No such data set",
        "There is no data set with this id; it may have expired.",
        "Upload it again: the same content gets the same id.",
    ),
    "batch-not-found": ProblemType(
        404,
        "No such batch",
        "There is no batch with this id; it may have expired.",
        "Its fits may be there still.",
    ),
    "batch-not-ended": ProblemType(
        409,
        "Batch not ended",
        "Some fits of the batch have not ended.",
        "Cancel it first, or wait: its results can be followed.",
    ),
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
    "tenant-queue-full": ProblemType(
        429,
        "Your places are taken",
        "You have as many fits waiting or running as one tenant may have at once; see /v1/limits.",
        "Wait until some of them have ended, or cancel some.",
    ),
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
        507, "No room left", "Your share of the store is used up.", "Delete what is no longer needed."
    ),
    "not-ready": ProblemType(503, "Not ready", "The service cannot take requests at the moment."),
}
