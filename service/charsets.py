"""Text in any usual charset becomes UTF-8 without a byte order mark, once, before anything reads it.

A byte order mark is believed before the header is, as browsers do (WHATWG, Encoding, section 6).
"""

import codecs

from model.errors import InvalidModel, Issue

_MARKS = (
    # UTF-32's little-endian mark begins with that of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CODECS = (
    *("utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "mac-roman"),
    *(
        "koi8-r",
        "koi8-u",
        "shift_jis",
        "cp932",
        "euc_jp",
        "euc_kr",
        "cp949",
        "gbk",
        "gb2312",
        "gb18030",
        "big5",
    ),
    *("cp437", "cp850", "cp852", "cp866", "cp874", "iso8859-11", "tis-620"),
    *(f"iso8859-{part}" for part in (2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16)),
    *(f"cp{page}" for page in range(1250, 1259)),
)
_KNOWN = {
    **{codecs.lookup(name).name: name for name in _CODECS},
    # Browsers and spreadsheets write windows-1252 under these names; ASCII is a part of UTF-8.
    codecs.lookup("latin-1").name: "cp1252",
    codecs.lookup("ascii").name: "utf-8",
    codecs.lookup("utf-8-sig").name: "utf-8",
}
_LABELS = {
    **dict.fromkeys(("unicode-1-1-utf-8", "unicode11utf8", "unicode20utf8", "x-unicode20utf8"), "utf-8"),
    **dict.fromkeys(("ucs-2", "iso-10646-ucs-2", "unicode", "csunicode", "unicodefeff"), "utf-16-le"),
    **dict.fromkeys(("unicodefffe",), "utf-16-be"),
    **{f"x-cp{page}": f"cp{page}" for page in range(1250, 1259)},
    **dict.fromkeys(("mac", "x-mac-roman"), "mac-roman"),
    **dict.fromkeys(("windows-31j", "ms_kanji", "x-sjis"), "cp932"),
    "x-gbk": "gbk",
    "x-euc-jp": "euc_jp",
    "x-x-big5": "big5",
    "dos-874": "cp874",
    "ks_c_5601-1987": "cp949",
}
"""Labels of the Encoding standard (section 4.2) that Python does not know, or knows as something else."""
_NAMES = {f"cp{page}": f"windows-{page}" for page in range(1250, 1259)}
"""The registered names of codecs that Python calls otherwise."""


def known_charset(name: str) -> str | None:
    """Give the codec of a charset, however it is spelled; None if it is none of the usual ones."""
    if name in _LABELS:
        return _LABELS[name]
    try:
        return _KNOWN.get(codecs.lookup(name).name)
    except (LookupError, ValueError):
        return None


def to_utf8(data: bytes, charset: str | None) -> tuple[bytes, str]:
    """Give the same text in UTF-8, and the charset it was in; `charset` is what the sender said, as a codec.

    Bytes that claim to be UTF-8 are given as they are, for whoever reads them to judge. A mark that was written twice,
    as when files with one were joined by a program that writes another, is left out twice. Raises InvalidModel where
    bytes are none of the charset.
    """
    for mark, marked in _MARKS:
        if data.startswith(mark):
            data, charset = data[len(mark) :], marked
            break
    if charset is None or charset == "utf-8":
        return _unmarked(data), "utf-8"
    name = _NAMES.get(charset, charset)
    try:
        return _unmarked(data.decode(charset).encode()), name
    except UnicodeDecodeError as error:
        message = f"Byte {error.start} is not {name}, which the body is said to be."
        raise InvalidModel(Issue("invalid-text", message)) from None


def _unmarked(text: bytes) -> bytes:
    while text.startswith(codecs.BOM_UTF8):
        text = text[len(codecs.BOM_UTF8) :]
    return text
