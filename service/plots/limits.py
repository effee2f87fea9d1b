"""The most that one picture shows: beyond it nothing could be told apart; `GET /v1/limits` states each."""

WIDTH = 2000
HEIGHT = 4000
SCALE = 4
DOTS = 16_000_000
"""Of a PNG: while it is drawn each takes four bytes."""
INTERVALS = 100
PANELS = 24
LEVELS = 200
LINES = 12
SIDE_BY_SIDE = 60
"""Levels of a predictor along one axis."""
