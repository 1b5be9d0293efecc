"""The command line of the dashboards: `zonewise-dashboards build | push | verify`."""

from dashboards.errors import DashboardsError
from ingest.store.errors import StoreError
from metering.program.command_line import LazyCommands, run

_HELP = """Grafana dashboards of a park: write them, push them, check them.

\b
Example:
  zonewise-dashboards build --park parks/demo.yaml --out grafana
"""

cli = LazyCommands(
    "zonewise-dashboards", package="dashboards.commands", commands=("build", "push", "verify"), help=_HELP
)


def main() -> None:
    """Run the command line."""
    run(cli, failures=(DashboardsError, StoreError))


if __name__ == "__main__":
    main()
