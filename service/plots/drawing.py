"""From a picture that is asked for to its bytes."""

from collections.abc import Callable, Mapping
from typing import Any

from service.media_types import PNG
from service.pictures import Frame
from service.plots import caterpillar, effect, intervals, lines, predictive, prior_posterior, rank, trace
from service.plots.files import png, svg
from service.plots.sheet import Sheet, Size
from service.plots.style import house_style
from service.plots.subject import Subject
from store.records import FitRecord

_PICTURES: Mapping[str, Callable[..., Sheet]] = {
    "intervals": intervals.picture,
    "caterpillar": caterpillar.picture,
    "group-lines": lines.picture,
    "conditional-effect": effect.picture,
    "prior-posterior": prior_posterior.picture,
    "trace": trace.picture,
    "rank": rank.picture,
    "ppc": predictive.picture,
}


def draw(asked: Frame, record: FitRecord, name: str, question: Mapping[str, Any]) -> bytes:
    """Draw the picture of this name; `question` is what its kind can be asked.

    Raises Refusal and InvalidModel for what the fit does not have, and for sizes that do not go with it.
    """
    with house_style():
        sheet = _PICTURES[name](Subject(asked.here, record), Size(asked.width, asked.height), **question)
        asked.check_dots(sheet.height)
        return png(sheet, asked.scale) if asked.media_type == PNG else svg(sheet)
