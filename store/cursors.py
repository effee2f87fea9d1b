"""Cursors of lists: where a page ended, as an opaque text."""

import base64
import binascii
import math

from store.base import InvalidCursor


def write_cursor(created_at: float, fit_id: str) -> str:
    """Give the cursor of the page after this fit."""
    return base64.urlsafe_b64encode(f"{created_at:.6f} {fit_id}".encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> tuple[float, str]:
    """Give the creation time and id of the last fit of the page before; raises InvalidCursor."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        created_at, fit_id = text.split(" ")
        if not math.isfinite(last := float(created_at)):
            raise ValueError(created_at)
        return last, fit_id
    except (ValueError, binascii.Error) as error:
        raise InvalidCursor("this cursor was not given by a list") from error
