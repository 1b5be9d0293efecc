"""What the command lines of all programs share: commands imported when they are called, and how errors end.

Exit codes: 0 done, 1 failed, 2 the configuration or the call is wrong; all mistakes are listed.
"""

import importlib
import sys
from collections.abc import Sequence

import click

from metering.errors import CannotListen, ConfigError
from metering.program import logs, stop_signals


class LazyCommands(click.Group):
    """A group whose command `name` is `<package>.<name>.command`, imported when it is called.

    Args:
        name: Of the program.
        package: Where the commands are.
        commands: Their names, in the order of the help page.
        services: Those of them that run until they are stopped, and handle stop signals themselves.
        help: Text of the help page.
    """

    def __init__(
        self,
        name: str,
        *,
        package: str,
        commands: Sequence[str],
        services: Sequence[str] = (),
        help: str,  # noqa: A002 - click's word
    ) -> None:
        super().__init__(name, help=help)
        self._package = package
        self._names = tuple(commands)
        self._services = frozenset(services)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the help page."""
        del ctx
        return list(self._names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command."""
        del ctx
        if cmd_name not in self._names:
            return None
        if cmd_name not in self._services:
            stop_signals.restore()
        command = importlib.import_module(f"{self._package}.{cmd_name}").command
        return command if isinstance(command, click.Command) else None


def run(cli: click.Command, *, failures: tuple[type[Exception], ...] = ()) -> None:
    """Run a command line and exit.

    Args:
        cli: The program's command or group.
        failures: Errors whose text is enough for the user, without a traceback.
    """
    logs.start()
    told: tuple[type[Exception], ...] = (CannotListen, *failures)
    try:
        cli()
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    except told as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
