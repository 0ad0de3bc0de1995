"""Two-way chaos for as long as wanted: ``scripts/soak``."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

from testbed.provision import PAIRS, start_pair
from tests.soak.run import Soak, SoakFailed


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default: 10)")
    parser.add_argument(
        "--flavor", choices=list(PAIRS), default="mariadb", help="which servers (default: mariadb)"
    )
    parser.add_argument("--seed", type=int, help="the choices of an earlier soak")
    parser.add_argument("--verbose", action="store_true", help="name every fault as it begins")
    parser.add_argument("--folder", type=Path, help="keep the ledger and all logs there (new)")
    given = parser.parse_args()
    seed = random.randrange(1 << 30) if given.seed is None else given.seed
    folder = given.folder or Path(tempfile.mkdtemp(prefix="soak-"))
    folder.mkdir(parents=True, exist_ok=given.folder is None)
    print(f"soak on {given.flavor} for {given.minutes:g} minutes, seed {seed}", flush=True)

    def tell(line: str) -> None:
        print(line, flush=True)

    with start_pair(*PAIRS[given.flavor]) as pair:
        soak = Soak(pair, folder, seed, tell, verbose=given.verbose)
        try:
            soak.run(given.minutes * 60)
        except SoakFailed as error:
            print(soak.table(), f"FAILED: {error}", sep="\n\n", flush=True)
            return 1
        finally:
            soak.close()
    print(soak.table())
    if given.folder is None:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
