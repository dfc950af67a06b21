"""Make ganzoo_data/fashion_mini.npz from the training files of Fashion-MNIST.

    python make_fashion_mini.py FOLDER

FOLDER holds train-images-idx3-ubyte.gz and train-labels-idx1-ubyte.gz (or both unpacked). Of each class, 1,000
pictures are drawn with a fixed seed and kept in the order of the training set. The same files and NumPy give the
same bytes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from ganzoo_data.files import find
from ganzoo_data.idx import read_idx

_SEED = 0
_OF_EACH_CLASS = 1_000
_OUTPUT = Path(__file__).parent / "ganzoo_data" / "fashion_mini.npz"


def main(folder: str) -> None:
    files = find([Path(folder)], ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"])
    if files is None:
        raise SystemExit(f"{folder} lacks train-images-idx3-ubyte.gz or train-labels-idx1-ubyte.gz")
    images, labels = read_idx(files[0], 3), read_idx(files[1], 1)
    random = np.random.default_rng(_SEED)
    drawn = [random.choice(np.flatnonzero(labels == number), _OF_EACH_CLASS, replace=False) for number in range(10)]
    rows = np.sort(np.concatenate(drawn))
    np.savez_compressed(_OUTPUT, images=images[rows], labels=labels[rows])
    print(f"{_OUTPUT}: {len(rows)} pictures, {_OUTPUT.stat().st_size:,} bytes")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])
