"""Puts a park's folder, data sources and dashboards into a running Grafana.

Only this module imports grafana-client.

Idempotent: everything is addressed by its uid, so a push changes only what differs. What was made by
hand under other uids is left as it is. Import this module only to push: grafana-client is an
extra of its own (docs/decisions/0005).

Source: Grafana documentation "HTTP API": Folder, Data source, Dashboard.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from grafana_client import GrafanaApi
from grafana_client.client import GrafanaClientError, GrafanaException

from dashboards.errors import PushFailed
from dashboards.grafana.files import dashboard_files
from dashboards.grafana.provisioning import Access, data_source
from dashboards.model.site import Site, Source
from dashboards.model.texts import Texts

_NOT_FOUND = 404
#: What Grafana itself writes into a dashboard.
_GRAFANAS_OWN = ("id", "version")


@dataclass(frozen=True, slots=True)
class Pushed:
    """One thing in Grafana: `what` it is, its uid, and whether it was created, updated or left as it was."""

    what: str
    uid: str
    outcome: str


def push(url: str, token: str, site: Site, access: Access, texts: Texts) -> Iterator[Pushed]:
    """Create or update everything of a park, in the order in which it depends on each other.

    Args:
        url: Grafana's address.
        token: Of a Grafana service account with the role Admin (data sources need it).
        site: The park.
        access: How Grafana reaches InfluxDB, with the secret itself.
        texts: Language of the dashboards.

    Raises:
        PushFailed: when Grafana refuses or does not answer; what was pushed before stays.
    """
    api: Any = GrafanaApi.from_url(url=url, credential=token)
    try:
        yield _push_folder(api, site)
        for source in Source:
            yield _push_source(api, data_source(site, source, access))
        for text in dashboard_files(site, texts).values():
            yield _push_dashboard(api, json.loads(text), site.folder_uid)
    except GrafanaException as error:
        raise PushFailed(f"Grafana at {url} says: {error.message}") from error
    except OSError as error:  # the client does not catch connection errors of its HTTP library
        raise PushFailed(f"Grafana at {url} cannot be reached: {error}") from error


def _push_folder(api: Any, site: Site) -> Pushed:  # noqa: ANN401 - grafana-client has no types
    found = _maybe(lambda: api.folder.get_folder(site.folder_uid))
    if found is None:
        api.folder.create_folder(title=site.name, uid=site.folder_uid)
        return Pushed("folder", site.folder_uid, "created")
    if found["title"] == site.name:
        return Pushed("folder", site.folder_uid, "unchanged")
    api.folder.update_folder(site.folder_uid, title=site.name, overwrite=True)
    return Pushed("folder", site.folder_uid, "updated")


def _push_source(api: Any, wanted: Mapping[str, Any]) -> Pushed:  # noqa: ANN401 - grafana-client has no types
    uid = wanted["uid"]
    if _maybe(lambda: api.datasource.get_datasource_by_uid(uid)) is None:
        api.datasource.create_datasource(wanted)
        return Pushed("data source", uid, "created")
    # Grafana never shows a secret, so a change of it cannot be seen: write it again.
    api.datasource.update_datasource_by_uid(uid, wanted)
    return Pushed("data source", uid, "updated")


def _push_dashboard(api: Any, wanted: Mapping[str, Any], folder_uid: str) -> Pushed:  # noqa: ANN401 - likewise
    uid = wanted["uid"]
    found = _maybe(lambda: api.dashboard.get_dashboard(uid))
    if found is not None and _is_same(found, wanted, folder_uid):
        return Pushed("dashboard", uid, "unchanged")
    # `overwrite` also moves it back to its folder; without it Grafana answers 412 for a known uid.
    api.dashboard.update_dashboard(
        {"dashboard": {**wanted, "id": None}, "folderUid": folder_uid, "overwrite": True}
    )
    return Pushed("dashboard", uid, "created" if found is None else "updated")


def _is_same(found: Mapping[str, Any], wanted: Mapping[str, Any], folder_uid: str) -> bool:
    shown = {key: value for key, value in found["dashboard"].items() if key not in _GRAFANAS_OWN}
    return shown == wanted and found["meta"].get("folderUid") == folder_uid


def _maybe(ask: Any) -> Any:  # noqa: ANN401 - grafana-client has no types
    """Return the answer; `None` where Grafana does not have it."""
    try:
        return ask()
    except GrafanaClientError as error:
        if error.status_code != _NOT_FOUND:
            raise
        return None
