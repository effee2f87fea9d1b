"""What all tests share: XLA's executables are kept between runs, so that a test waits for a compilation once."""

import os
from pathlib import Path

os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parent.parent / ".ranef" / "xla"))
