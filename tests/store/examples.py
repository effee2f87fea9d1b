"""Values that the tests of the store share."""

from store.records import Failure, FitRecord, Result

FAILURE = Failure("internal", "Internal error", "It broke.", ({"code": "x", "message": "y"},))
RESULT = Result("collapsed", "conjugate", {"sample": 0.1}, ({"code": "low-ess", "message": "few"},))


def record(fit_id: str = "fit_a", tenant: str = "acme", queue: str = "interactive") -> FitRecord:
    return FitRecord(
        id=fit_id,
        tenant=tenant,
        formula="y ~ x + (1 | g)",
        family={"name": "gaussian", "link": "identity"},
        rows=10,
        dropped_rows=1,
        queue=queue,
        metadata={"study": "ünïcode"},
    )
