"""The media types that bodies come and go in."""

JSON = "application/json"
NDJSON = "application/x-ndjson"
CSV = "text/csv"
ARROW = "application/vnd.apache.arrow.stream"
ARROW_FILE = "application/vnd.apache.arrow.file"
PARQUET = "application/vnd.apache.parquet"
NETCDF = "application/x-netcdf"
PNG = "image/png"
SVG = "image/svg+xml"

TAB_SEPARATED = "text/tab-separated-values"

ALIASES = {
    TAB_SEPARATED: CSV,
    "text/tsv": CSV,
    "text/x-csv": CSV,
    "text/comma-separated-values": CSV,
    "application/csv": CSV,
    "application/x-csv": CSV,
    # What Windows says of a .csv file where a spreadsheet program is installed.
    "application/vnd.ms-excel": CSV,
    ARROW_FILE: ARROW,
    "application/vnd.apache.feather": ARROW,
    "application/x-feather": ARROW,
    "application/parquet": PARQUET,
    "application/x-parquet": PARQUET,
}
"""Other names of these formats in requests. An Arrow file (Feather) is told from a stream by its first bytes."""
TEXTS = (JSON, NDJSON, CSV)
"""The formats that are text, in some charset."""

TABLES = (CSV, ARROW, PARQUET)
"""The formats of what can be laid out in rows."""
