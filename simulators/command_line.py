"""The command line of the simulators: `zonewise-sim COMMAND`."""

from metering.program.command_line import LazyCommands, run
from simulators.errors import SimulatorError

_HELP = """Simulate a park: meters on real wires, their faults, load, and a demo of it all.

\b
Examples:
  zonewise-sim demo --for 60
  zonewise-sim park --config simulators/parks/demo/sim.yaml
"""

cli = LazyCommands(
    "zonewise-sim",
    package="simulators.commands",
    commands=("demo", "park", "fault", "load"),
    services=("demo", "park"),
    help=_HELP,
)


def main() -> None:
    """Run the command line."""
    run(cli, failures=(SimulatorError,))
