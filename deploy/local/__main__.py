"""`python -m deploy.local up [--no-demo]` and `down`: what `make up` and `make down` call."""

import argparse
import os
import sys

from deploy.local.console import complain
from deploy.local.errors import LocalRunError, describe_os_error
from deploy.local.runner import down, up


def main(arguments: list[str]) -> int:
    """Do it; a fault is one line on stderr and exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start everything and run until Ctrl-C").add_argument(
        "--no-demo", action="store_true", help="without demo segments and events"
    )
    commands.add_parser("down", help="end the one that runs in the background")
    options = parser.parse_args(arguments)
    try:
        if options.command == "up":
            up(os.environ, with_demo=not options.no_demo)
        else:
            down(os.environ)
    except LocalRunError as error:
        complain(" ".join(str(error).split()))
        return 1
    except OSError as error:
        complain(describe_os_error(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
