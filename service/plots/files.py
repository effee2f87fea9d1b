"""A picture as a file: SVG whose text is text, or PNG; the same picture is the same bytes wherever it is written."""

from collections.abc import Iterator
from functools import cache
from io import BytesIO
from xml.sax.saxutils import escape

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.font_manager import fontManager, get_font
from matplotlib.text import Text

from service.plots import style
from service.plots.sheet import Sheet
from service.plots.text import legible

_NOTHING = {"Date": None, "Creator": None, "Format": None, "Type": None}


def svg(sheet: Sheet) -> bytes:
    """Write a picture as SVG, with a title and a description for those who do not see it."""
    file = BytesIO()
    FigureCanvasSVG(sheet.figure).print_svg(file, metadata=_NOTHING)  # type: ignore[no-untyped-call]
    # Before the element there is a document type that nobody needs, at an address that some would fetch.
    _, start, rest = file.getvalue().decode().partition("<svg ")
    attributes, end, content = rest.partition(">")
    words = "".join(
        f'\n <{tag} id="{tag}">{escape(legible(text, 10_000))}</{tag}>'
        for tag, text in (("title", sheet.title), ("desc", sheet.description))
    )
    return f'{start}role="img" aria-labelledby="title desc" {attributes}{end}{words}{content}'.encode()


def png(sheet: Sheet, scale: int) -> bytes:
    """Write a picture as PNG with `scale` dots for each pixel of CSS."""
    for text in sheet.figure.findobj(Text):
        assert isinstance(text, Text)
        if lacking := frozenset(map(ord, text.get_text())) - _charmap(_DEJAVU):
            text.set_fontfamily(["DejaVu Sans", *_families_with(lacking)])
    file = BytesIO()
    sheet.figure.set_dpi(style.DPI * scale)
    words = {"Title": sheet.title, "Description": sheet.description}
    about = {"Software": None, **{name: legible(text, 10_000) for name, text in words.items()}}
    FigureCanvasAgg(sheet.figure).print_png(file, metadata=about)  # type: ignore[no-untyped-call]
    return file.getvalue()


_DEJAVU = fontManager.findfont("DejaVu Sans")


@cache
def _charmap(path: str) -> frozenset[int]:
    return frozenset(get_font(path).get_charmap())


def _families_with(lacking: frozenset[int]) -> Iterator[str]:
    """Give families of this machine that have the characters which DejaVu Sans lacks, if there are any."""
    for entry in sorted(
        fontManager.ttflist, key=lambda entry: (entry.weight != 400, entry.name, entry.fname)
    ):
        if not lacking:
            return
        found = lacking & _charmap(entry.fname)
        if found and entry.style == "normal":
            lacking -= found
            yield entry.name
