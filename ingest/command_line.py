"""The command line of ingest: `zonewise-ingest COMMAND`."""

from ingest.errors import IngestError
from metering.program.command_line import LazyCommands, run

_HELP = """Bring the readings of a park from MQTT to InfluxDB and keep its intervals.

\b
First steps:
  zonewise-ingest secrets secrets --parks parks
  zonewise-ingest init --config ingest.yaml
  zonewise-ingest run --config ingest.yaml
  zonewise-ingest rollup --config ingest.yaml --park demo
"""

cli = LazyCommands(
    "zonewise-ingest",
    package="ingest.commands",
    commands=("run", "rollup", "init", "secrets", "journal", "quarantine"),
    services=("run", "rollup"),
    help=_HELP,
)


def main() -> None:
    """Run the command line."""
    run(cli, failures=(IngestError,))
