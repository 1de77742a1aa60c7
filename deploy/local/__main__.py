"""`python -m deploy.local up [--no-demo]`, `down`, `dead-letters ...`, `admin ...`: what the make targets call."""

import argparse
import os
import sys

from deploy.local.connection import connected
from deploy.local.console import complain
from deploy.local.errors import LocalRunError, describe_os_error
from deploy.local.installation import Installation
from deploy.local.runner import down, up
from services.api import admin_command
from services.evaluator import dead_letters_command

_COMMANDS = {
    dead_letters_command.NAME: ("kafka_bootstrap_servers", dead_letters_command.main),
    admin_command.NAME: ("database_url", admin_command.main),
}
"""Commands of the services, by name: the address that they need, of the connection file, and what does them."""


def main(arguments: list[str]) -> int:
    """Do it; a fault is one line on stderr and exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start everything and run until Ctrl-C").add_argument(
        "--no-demo", action="store_true", help="without demo segments and events"
    )
    commands.add_parser("down", help="end the one that runs in the background")
    commands.add_parser(dead_letters_command.NAME, help="see and send again what could not be used", add_help=False)
    commands.add_parser(admin_command.NAME, help="tenants, users and keys", add_help=False)
    options, others = parser.parse_known_args(arguments)
    if others and options.command not in _COMMANDS:
        parser.error(f"unrecognized arguments: {' '.join(others)}")
    try:
        if options.command == "up":
            up(os.environ, with_demo=not options.no_demo)
        elif options.command == "down":
            down(os.environ)
        else:
            address, command = _COMMANDS[options.command]
            command(connected(Installation.of(os.environ).folder, address), others, parser.prog)
    except LocalRunError as error:
        complain(" ".join(str(error).split()))
        return 1
    except OSError as error:
        complain(describe_os_error(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
