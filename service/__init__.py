"""The HTTP side: FastAPI and Pydantic; no arithmetic, and no JAX."""
