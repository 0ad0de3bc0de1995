"""``python -m tests.fuzz``: the decoder's fuzzer for as long as is wanted."""

from __future__ import annotations

import argparse
import secrets
import sys

from tests.fuzz.fuzzer import Fuzzer, FuzzFailure


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (60)")
    parser.add_argument("--seed", type=int, help="a number from an earlier run; random by default")
    parser.add_argument("--case", type=int, help="only this case of the seed")
    arguments = parser.parse_args()
    seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
    fuzzer = Fuzzer(seed)
    try:
        if arguments.case is not None:
            fuzzer.run(first=arguments.case, cases=1)
            done = 1
        else:
            done = fuzzer.run(seconds=arguments.seconds)
    except FuzzFailure as failure:
        print(f"{failure}\nagain: scripts/fuzz --seed {seed} --case {fuzzer.last}", file=sys.stderr)
        raise
    print(f"seed {seed}: {done} cases, {dict(fuzzer.outcomes)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
