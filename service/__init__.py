"""The HTTP side: FastAPI and Pydantic; no arithmetic, and no JAX."""

import os

VERSION = "0.1.0"

# Arrow's own allocator takes a gigabyte of addresses at once, whatever it needs, which a limit of memory would count;
# which one there is to be is asked for before Arrow is loaded.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
