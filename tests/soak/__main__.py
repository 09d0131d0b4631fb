"""`python -m tests.soak SECONDS`: the load for that much virtual time; exit status 1 when anything is lost, wrong or
unfair."""

from __future__ import annotations

import sys

from shyper_tui import images
from tests.soak.station import soak


def main(seconds: str) -> int:
    if images.linux_images() is None:
        print("The Linux images are not there; fetch them with `shyper-tui images fetch`.", file=sys.stderr)
        return 1
    try:
        soak(float(seconds), 10.0, lambda line: print(line, flush=True))
    except AssertionError as problem:
        print(f"FAILED: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
