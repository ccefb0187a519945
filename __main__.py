"""The `edgec` command, also as `python -m edgec`."""

import os
import sys

INTERRUPTED = 130


def main() -> None:
    """Run the command line. An interrupt during its imports, or a closed stdout or stderr, is no fault of edgec."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 (they live as long as the process)
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    try:
        from .compiler.cli.app import app

        app(prog_name="edgec")
    except KeyboardInterrupt:  # before typer runs a command: it ends those itself
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
