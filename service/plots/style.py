"""How every picture looks, and the one lock under which all are drawn: matplotlib is not safe with threads.

The colors are those of Okabe and Ito, which all kinds of color vision tell apart; many series are shades of cividis.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import matplotlib
from matplotlib.colors import to_hex

INK = "#1f2328"
MUTED = "#656d76"
GRAY = "#9aa2ab"
FAINT = "#c3c9d0"
RULE = "#e6e9ed"
PAPER = "#ffffff"
BLUE = "#0072b2"
VERMILION = "#d55e00"
GREEN = "#009e73"
PURPLE = "#cc79a7"
ORANGE = "#e69f00"
SKY = "#56b4e9"
_SERIES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)

# Pixels of CSS, 96 to an inch.
TITLE, TEXT, SMALL = 15.0, 12.0, 11.0
DPI = 96
POINT = 72 / DPI

_SETTINGS: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": FAINT,
    "axes.facecolor": PAPER,
    "axes.grid": True,
    "axes.grid.axis": "x",
    "axes.labelcolor": MUTED,
    "axes.labelsize": TEXT * POINT,
    "axes.linewidth": 0.8,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": TEXT * POINT,
    "axes.unicode_minus": True,
    "figure.dpi": DPI,
    "figure.facecolor": PAPER,
    "font.family": ["DejaVu Sans", "sans-serif"],
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "Helvetica"],
    "font.size": TEXT * POINT,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "lines.solid_capstyle": "butt",
    "svg.fonttype": "none",
    "svg.hashsalt": "ranef",
    "text.color": INK,
    # A name with dollars in it is a name, not a formula.
    "text.parse_math": False,
    "xtick.color": FAINT,
    "xtick.labelcolor": MUTED,
    "xtick.labelsize": SMALL * POINT,
    "xtick.major.size": 3.0,
    "ytick.color": FAINT,
    "ytick.labelcolor": MUTED,
    "ytick.labelsize": SMALL * POINT,
    "ytick.major.size": 0.0,
}
# Those of a backend are of windows, which there are none of.
_HOUSE = {
    name: matplotlib.rcParamsDefault[name] for name in matplotlib.rcParamsDefault if "backend" not in name
}
_HOUSE |= _SETTINGS
_ONE_AT_A_TIME = Lock()
# In an SVG the reader's fonts have the glyph; for a PNG there may be no font that has it.
warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)


@contextmanager
def house_style() -> Iterator[None]:
    """Draw in our style, whatever the machine's own settings are; one picture of the process at a time."""
    with _ONE_AT_A_TIME, matplotlib.rc_context(_HOUSE):
        yield


def colors(count: int) -> list[str]:
    """Give colors of so many series that can be told apart."""
    if count <= len(_SERIES):
        return list(_SERIES[:count])
    shades = matplotlib.colormaps["cividis"]
    return [to_hex(shades(0.9 * place / (count - 1))) for place in range(count)]
