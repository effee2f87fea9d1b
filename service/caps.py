"""Refusing what is larger than the limits allow, each time with the limit."""

from model.errors import InvalidModel, Issue
from service.settings import Limits


def too_many(what: str, count: int, cap: int, pointer: str | None = None) -> Issue:
    """Say that there is more of something than is allowed."""
    return Issue("limit-exceeded", f"{count:,} {what}, where at most {cap:,} are allowed.", pointer)


def refuse_too_large(columns: int, rows: int, limits: Limits, pointer: str | None = None) -> None:
    """Raise InvalidModel if data of this size are not accepted."""
    sizes = (
        ("columns", columns, limits.columns),
        ("rows", rows, limits.rows),
        ("cells", columns * rows, limits.cells),
    )
    if issues := [too_many(what, count, cap, pointer) for what, count, cap in sizes if count > cap]:
        raise InvalidModel(issues)
