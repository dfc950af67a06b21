"""What torchrun, which started this process, is to say of it in the report that it ends with."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path


def explain(line: str) -> None:
    """Have torchrun's report end with a line of ours instead of advice on tracebacks. Without torchrun, nothing."""
    place = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if place:
        with contextlib.suppress(OSError):
            Path(place).write_text(json.dumps({"message": line, "timestamp": str(int(time.time()))}))
