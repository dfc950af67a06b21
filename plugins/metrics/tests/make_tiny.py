"""Write `tiny.safetensors`: a classifier of bright and dark pictures of 8x8, small enough to lie here.

python plugins/metrics/tests/make_tiny.py
"""

from __future__ import annotations

from pathlib import Path

from lessons import bright_and_dark

from ganzoo_metrics.classifier import Classifier

if __name__ == "__main__":
    path = Path(__file__).with_name("tiny.safetensors")
    accuracy = Classifier.learn(bright_and_dark(side=8), str(path), epochs=20, seed=0, width=1)
    print(path, path.stat().st_size, "bytes, accuracy", accuracy)
