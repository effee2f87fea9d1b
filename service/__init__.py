"""The HTTP side: FastAPI and Pydantic; no arithmetic, and no JAX."""

VERSION = "0.1.0"
