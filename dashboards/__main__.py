"""The command line of the dashboards: `zonewise-dashboards build | push | verify`."""

import importlib
import sys

import click

from metering import logs
from metering.errors import ConfigError

#: Each in `dashboards.commands.<name>`, imported when it is called.
COMMANDS = ("build", "push", "verify")


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"dashboards.commands.{cmd_name}").command
        return command if isinstance(command, click.Command) else None


@click.command(cls=_Commands)
def cli() -> None:
    """Grafana dashboards of a park: write them, push them, check them.

    \b
    Example:
      zonewise-dashboards build --park parks/demo.yaml --out grafana
    """  # noqa: D301 - click's mark for "do not wrap", not an escape


def main() -> None:
    """Run the command line; broken configuration ends with 2 and every problem listed."""
    logs.start()
    try:
        cli()
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
