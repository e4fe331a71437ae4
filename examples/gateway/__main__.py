"""A gateway to devices with a binary protocol: readings come up, commands go down.

    python -m examples.gateway serve [--port PORT] [--console PORT]
    python -m examples.gateway devices [--port PORT] [--count N] [--noise]

Start the gateway, then some devices (simulated: thermometers with a fan); a thousand
are no trouble. Each gets warmer until the gateway switches its fan on, and colder until
it switches it off. Watch and command them with ``nc 127.0.0.1 8889``: ``watch
device.*``, ``fan 7 on``; an empty line lists what there is. With ``--noise`` the lines
are bad: the gateway skips what is no frame, drops frames with a wrong checksum, sends
commands again that nobody has acknowledged, and goes on. Ctrl-C ends either.
"""

import argparse
import logging
import sys
from functools import partial

import trio

from examples.gateway.devices import run_devices
from examples.gateway.server import Gateway


def serve(args: argparse.Namespace) -> None:
    """Be the gateway until Ctrl-C."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    trio.run(Gateway().serve, args.host, args.port, args.console)


def be_devices(args: argparse.Namespace) -> None:
    """Be devices until Ctrl-C."""
    numbers = range(args.number, args.number + args.count)
    run = partial(run_devices, noise=args.noise)
    trio.run(run, args.host, args.port, numbers, args.every)


def main() -> None:
    """Be the gateway or some devices."""
    parser = argparse.ArgumentParser(description="Talk to devices in frames.")
    parser.add_argument("--host", default="127.0.0.1")
    roles = parser.add_subparsers(required=True, metavar="ROLE")
    server = roles.add_parser("serve", help="be the gateway")
    server.add_argument("--console", type=int, default=8889, help="for operators")
    server.set_defaults(run=serve)
    devices = roles.add_parser("devices", help="be some devices")
    devices.add_argument("--number", type=int, default=7, help="of the first one")
    devices.add_argument("--count", type=int, default=1, help="how many")
    devices.add_argument("--every", type=float, default=1.0, help="seconds")
    devices.add_argument("--noise", action="store_true", help="have bad lines")
    devices.set_defaults(run=be_devices)
    for role in server, devices:
        role.add_argument("--port", type=int, default=8888)
    args = parser.parse_args()
    try:
        args.run(args)
    except* KeyboardInterrupt:
        print("switched off")


if __name__ == "__main__":
    main()
