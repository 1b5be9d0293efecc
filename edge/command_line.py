"""The command line of the gateway: `zonewise-edge COMMAND`."""

from edge.errors import EdgeError
from metering.program.command_line import LazyCommands, run

_HELP = """Read the meters of a park and keep their rows until they are safe.

\b
First steps:
  zonewise-edge profiles                      which meters are known
  zonewise-edge check --config gateway.yaml   is the file right, does it fit
  zonewise-edge read METER                    one meter, now
  zonewise-edge run --config gateway.yaml     for good
"""

cli = LazyCommands(
    "zonewise-edge",
    package="edge.commands",
    commands=("run", "check", "read", "profiles"),
    services=("run",),
    help=_HELP,
)


def main() -> None:
    """Run the command line."""
    run(cli, failures=(EdgeError,))
