"""Runs the fuzzer of one area until it has done so many operations; prints what it has done as JSON."""

from __future__ import annotations

import faulthandler
import json
import random
import sys
from collections import Counter
from importlib import import_module
from itertools import count


def main() -> None:
    area, seed, wanted = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    faulthandler.enable()
    done: Counter[str] = Counter()
    episode = import_module(f"tests.fuzz.native.{area}").episode
    for number in count(seed):
        if done.total() >= wanted:
            break
        try:
            done += episode(random.Random(number), wanted - done.total())
        except BaseException:
            print(f"{area}: seed {number}", file=sys.stderr)
            raise
        print(f"seed {number + 1}", file=sys.stderr)
    print(json.dumps(done))


main()
