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
park_option = click.option("--park", "maybe_park", metavar="ID", help="This park only.")
