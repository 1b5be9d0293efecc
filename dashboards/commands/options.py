"""Options that several commands share."""

from collections.abc import Sequence
from pathlib import Path

import click

from dashboards.commands.sites import load_sites
from dashboards.model.languages import languages
from dashboards.model.site import Site

park_option = click.option(
    "--park",
    "parks",
    type=click.Path(exists=True, path_type=Path),
    multiple=True,
    required=True,
    help="Park description (park.yaml), or a folder of them; may be given several times.",
)
language_option = click.option(
    "--language",
    type=click.Choice(languages()),
    default="en",
    show_default=True,
    help="Language of the texts.",
)


def sites(parks: Sequence[Path]) -> tuple[Site, ...]:
    """Read the parks named on the command line.

    Raises:
        ConfigError: with every problem found.
    """
    return tuple(site for path in parks for site in load_sites(path))
