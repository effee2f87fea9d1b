"""Fits a formula by mixedlm as often as it is told; data are the files NAME.f8 and NAME.i4 of a folder.

It runs in an environment of its own, which has mixedlm and pandas and nothing of this project.
"""

import gc
import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import mixedlm  # type: ignore[import-not-found]
import numpy as np
import pandas as pd  # type: ignore[import-untyped]


def main(folder: str, formula: str) -> None:
    """Read the data, then fit for every line that comes."""
    columns = {path.stem: np.fromfile(path, f"<{path.suffix[1:]}") for path in Path(folder).iterdir()}
    # Whole numbers are grouping factors; mixedlm takes their levels as text, as its users would have them.
    data = pd.DataFrame({name: v if v.dtype.kind == "f" else v.astype(str) for name, v in columns.items()})
    print(json.dumps({"version": version("mixedlm")}), flush=True)
    for _ in sys.stdin:
        gc.collect()
        start = time.perf_counter()
        model = mixedlm.lmer(formula, data)
        seconds = time.perf_counter() - start
        estimates = {str(name): float(value) for name, value in dict(model.fixef()).items()}
        estimates["sd Residual"] = float(model.sigma)
        print(json.dumps({"seconds": seconds, "estimates": estimates}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
