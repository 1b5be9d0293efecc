"""Options that several commands share."""

from pathlib import Path

import click

config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("ingest.yaml"),
    show_default=True,
    help="Configuration of ingest.",
)
believe_clock_option = click.option(
    "--believe-clock",
    "believes_clock",
    is_flag=True,
    help="The clock of this machine is right now, whatever speaks against it.",
)
park_option = click.option("--park", "maybe_park", metavar="ID", help="This park only.")
