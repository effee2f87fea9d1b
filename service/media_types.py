"""The media types that bodies come and go in."""

JSON = "application/json"
NDJSON = "application/x-ndjson"
CSV = "text/csv"
ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
NETCDF = "application/x-netcdf"
PNG = "image/png"
SVG = "image/svg+xml"

TABLES = (CSV, ARROW, PARQUET)
"""The formats of what can be laid out in rows."""
