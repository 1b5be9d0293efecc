"""Provisioning files that Grafana reads at its start: data sources and dashboards of parks. Pure.

Invariants:
- No secret stands in a file: Grafana reads tokens and passwords from files of its own at start
  (`$__file{...}`), or from its environment (`${NAME}`).
- One data source per database, with a fixed uid.
- A `$` that Grafana must not replace is doubled.

Sources: Grafana documentation "Provision Grafana" and "Configure the InfluxDB data source";
`pkg/services/provisioning/values/values.go` and `pkg/setting/expanders.go` for `$__file` and `${}`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from dashboards.grafana.dashboard_json import INFLUXDB
from dashboards.model.site import Site, Source
from metering.series import LIVE_MS

_HEADER = "# Written by zonewise-dashboards build: change the park description and build again.\n"
#: Shortest step that Grafana may ask for; panels over quarter-hours ask for longer ones.
TIME_INTERVAL = f"{LIVE_MS // 1000}s"


@dataclass(frozen=True, slots=True)
class Access:
    """How Grafana reaches InfluxDB.

    Attributes:
        url: As seen from Grafana.
        username: InfluxDB 1.x with authorisation; empty for 2.x and 3, or an open 1.x.
        secret: Grafana's expression for the password or token, such as `$__file{/secrets/token}`;
            empty for an open 1.x.
    """

    url: str
    username: str = ""
    secret: str = ""

    def __post_init__(self) -> None:
        if self.username and not self.secret:
            raise ValueError("a username needs a password")


def file_secret(path: str) -> str:
    """Return Grafana's expression for the content of a file, as Grafana sees its path."""
    return f"$__file{{{path}}}"


def env_secret(name: str) -> str:
    """Return Grafana's expression for a variable of its environment."""
    return f"$__env{{{name}}}"


def data_source(site: Site, source: Source, access: Access) -> dict[str, Any]:
    """Return a data source as the provisioning file and the HTTP API take it."""
    return {
        "name": site.source_name(source),
        "uid": site.source_uid(source),
        "type": INFLUXDB,
        "access": "proxy",
        "url": access.url,
        "jsonData": {
            "dbName": site.database(source),
            "httpMode": "POST",
            "timeInterval": TIME_INTERVAL,
            "version": "InfluxQL",
            **_public(access),
        },
        **_login(access),
    }


def _public(access: Access) -> Mapping[str, str]:
    return {} if access.username or not access.secret else {"httpHeaderName1": "Authorization"}


def _login(access: Access) -> dict[str, Any]:
    if access.username:
        return {
            "basicAuth": True,
            "basicAuthUser": access.username,
            "secureJsonData": {"basicAuthPassword": access.secret},
        }
    # 2.x and 3 take the token in a header on the 1.x paths.
    return {"secureJsonData": {"httpHeaderValue1": f"Token {access.secret}"}} if access.secret else {}


def data_sources_file(sites: Sequence[Site], access: Access, *, organisation: int) -> str:
    """Return `provisioning/datasources/zonewise.yaml`."""
    listed = [
        {"orgId": organisation, "editable": False, **data_source(site, source, access)}
        for site in sites
        for source in Source
    ]
    return _file({"apiVersion": 1, "datasources": listed})


def providers_file(sites: Sequence[Site], folder: str, *, organisation: int) -> str:
    """Return `provisioning/dashboards/zonewise.yaml`.

    Args:
        sites: Parks; each gets a folder of its own.
        folder: Where Grafana sees the folders of dashboards, one per park.
        organisation: Grafana's organisation id.
    """
    providers = [
        {
            "name": f"zonewise {site.park}",
            "orgId": organisation,
            "type": "file",
            "folder": _literal(site.name),
            "folderUid": site.folder_uid,
            "disableDeletion": True,
            "allowUiUpdates": False,
            "updateIntervalSeconds": 60,
            "options": {"path": f"{folder}/{site.park}"},
        }
        for site in sites
    ]
    return _file({"apiVersion": 1, "providers": providers})


def _literal(text: str) -> str:
    return text.replace("$", "$$")


def _file(content: Mapping[str, Any]) -> str:
    return _HEADER + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
