"""
Start a pair of servers by hand.

    python -m testbed up --flavor mixed

prints their addresses and keeps them until Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import argparse
import signal
import sys

from testbed.binaries import FLAVORS, ServerMissingError
from testbed.provision import PAIRS, describe, start_pair


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m testbed", description=__doc__.split("\n")[1])
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start two servers and keep them until Ctrl-C")
    up.add_argument("--flavor", choices=sorted(PAIRS), default="mariadb", help="default: mariadb")
    up.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME[=VALUE]",
        help="server option for both sides; may be given several times",
    )
    commands.add_parser("list", help="say which servers this machine can run")
    return parser.parse_args()


def _list() -> int:
    missing = 0
    for flavor in FLAVORS:
        try:
            print(f"{flavor:8} {describe(flavor)}")
        except ServerMissingError as error:
            print(f"{flavor:8} missing: {error}")
            missing = 1
    return missing


def _up(flavor: str, assignments: list[str]) -> int:
    options: dict[str, str | None] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        options[name] = value if equals else None
    flavor_a, flavor_b = next(flavors for name, flavors in PAIRS.items() if name == flavor)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with start_pair(flavor_a, flavor_b, options_a=options, options_b=options) as pair:
            for side, server in zip("AB", pair.sides, strict=True):
                print(f"{side}  {server.url()}  {server.flavor} {server.version}", flush=True)
            print("Ctrl-C stops them and removes their data.", flush=True)
            signal.pause()
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
    except ServerMissingError as error:
        print(f"testbed: {error}", file=sys.stderr)
        return 1
    return 0


def main() -> int:
    """Run one command; give the process's exit code."""
    arguments = _arguments()
    return _list() if arguments.command == "list" else _up(arguments.flavor, arguments.option)


if __name__ == "__main__":
    sys.exit(main())
