"""The `edgec` command: its subcommands, and what becomes of errors."""

import functools
import sys
import traceback
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from ... import __version__
from ...errors import EdgeError
from . import bench, compile, doctor, inspect, run, targets
from .console import Json, Verbose, fail

USER_ERROR = 2
INTERNAL_ERROR = 1

app = typer.Typer(
    name="edgec",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 a fault in edgec, 2 something in the input or on this machine needs mending, "
    "130 interrupted.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"edgec {__version__}")
        raise typer.Exit


@app.callback()
def edgec(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Compile ONNX models to dependency-free bundles of machine code, and run them.

    [bold]Example[/bold]: edgec compile model.onnx --target arm64-neon --int8 --calibrate samples/ -o model.edge
    """


def guarded(command: Callable[..., None]) -> Callable[..., None]:
    """`command` with errors turned into one line on stderr and an exit code."""

    @functools.wraps(command)
    def wrapper(*args: object, **kwargs: object) -> None:
        try:
            command(*args, **kwargs)
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except typer.BadParameter as error:
            _exit(error.message, USER_ERROR, error)
        except EdgeError as error:
            _exit(str(error), USER_ERROR, error)
        except OSError as error:
            named = f" ({error.filename})" if error.filename else ""
            _exit(f"the system refused: {error.strerror or error}{named}", USER_ERROR, error)
        except MemoryError as error:
            _exit("this machine has too little memory for that; use a smaller --shape", USER_ERROR, error)
        except Exception as error:
            what = f"internal error: {type(error).__name__}: {error}"
            _exit(f"{what}; please report it with {_write_log()}", INTERNAL_ERROR, error)

    return wrapper


def _exit(message: str, code: int, cause: BaseException) -> NoReturn:
    fail(message)
    raise typer.Exit(code) from cause


def _write_log() -> str:
    """Write the current exception and what led to it to a file; return the file's name, or the reason for none."""
    from platformdirs import user_log_path

    text = f"edgec {__version__}\npython {sys.version}\ncommand {sys.argv}\n\n{traceback.format_exc()}"
    try:
        folder = Path(user_log_path("edgec", ensure_exists=True))
        path = folder / f"error-{datetime.now():%Y%m%d-%H%M%S-%f}.log"
        path.write_text(text)
    except OSError as error:
        return f"the command that you typed (no log could be written: {error.strerror})"
    return str(path)


COMMANDS: Mapping[str, Callable[..., None]] = {
    "compile": compile.compile_command,
    "run": run.run_command,
    "bench": bench.bench_command,
    "inspect": inspect.inspect_command,
    "targets": targets.targets_command,
    "doctor": doctor.doctor_command,
}

for _name, _command in COMMANDS.items():
    app.command(_name)(guarded(_command))
