"""STAND-IN for Grafana's HTTP API: a real Grafana is in no package registry that the tests can use.

It keeps folders, data sources and dashboards in memory and answers as Grafana does where `push` can tell the
difference. What it does not have: users, permissions, validation of panels, queries.

Sources, Grafana 11 to 13:
- documentation "HTTP API": Folder, Data source, Dashboard (paths, bodies, status codes);
- `pkg/api/apierrors/folder.go`: 409 for a uid that is there, 412 `version-mismatch`, 404 `not-found`;
- `pkg/services/dashboards/errors.go`: 412 "The dashboard has been changed by someone else", 400 for a uid of
  more than 40 characters or with other signs than letters, digits, `-` and `_`;
- `pkg/api/datasources.go`, `pkg/services/datasources/errors.go`: 409 for a name or a uid that is there,
  secrets are never given back (`secureJsonFields` says which there are).
"""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_UID = re.compile(r"[a-zA-Z0-9_-]{1,40}")
Json = dict[str, Any]


@dataclass(frozen=True)
class Refusal(Exception):
    """An answer other than success."""

    status: HTTPStatus
    message: str
    code: str = ""

    @property
    def body(self) -> Json:
        """What stands in the answer."""
        return {"message": self.message, **({"status": self.code} if self.code else {})}


@dataclass
class Grafana:
    """What this Grafana holds, by uid; `calls` lists every request that changes something."""

    token: str
    url: str = ""
    folders: dict[str, Json] = field(default_factory=dict)
    sources: dict[str, Json] = field(default_factory=dict)
    dashboards: dict[str, Json] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def answer(self, method: str, path: str, body: Json) -> Json:
        """Answer one request below `/api`."""
        if method != "GET":
            self.calls.append(f"{method} {path}")
        *collection, last = path.strip("/").split("/")
        handlers: dict[tuple[str, str], Callable[[], Json]] = {
            ("GET", "folders"): lambda: _known(self.folders, last, "folder not found", "not-found"),
            ("POST", ""): lambda: self._create(last, body),
            ("PUT", "folders"): lambda: self._update_folder(last, body),
            ("GET", "datasources/uid"): lambda: _without_secrets(self._source(last)),
            ("PUT", "datasources/uid"): lambda: self._update_source(last, body),
            ("GET", "dashboards/uid"): lambda: _known(
                self.dashboards, last, "Dashboard not found", "not-found"
            ),
            ("POST", "dashboards"): lambda: self._save_dashboard(body),
        }
        handler = handlers.get((method, "/".join(collection)))
        if handler is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "Not found")
        return handler()

    def _create(self, what: str, body: Json) -> Json:
        return self._create_folder(body) if what == "folders" else self._create_source(body)

    def _source(self, uid: str) -> Json:
        return _known(self.sources, uid, "Data source not found")

    def _create_folder(self, body: Json) -> Json:
        uid = _checked(body["uid"])
        if uid in self.folders:
            raise Refusal(HTTPStatus.CONFLICT, "a folder/dashboard with the same uid already exists")
        self.folders[uid] = {"uid": uid, "title": body["title"], "version": 1}
        return self.folders[uid]

    def _update_folder(self, uid: str, body: Json) -> Json:
        folder = _known(self.folders, uid, "folder not found", "not-found")
        if not body.get("overwrite") and body.get("version") != folder["version"]:
            raise Refusal(
                HTTPStatus.PRECONDITION_FAILED,
                "the folder has been changed by someone else",
                "version-mismatch",
            )
        folder |= {"title": body["title"], "version": folder["version"] + 1}
        return folder

    def _create_source(self, body: Json) -> Json:
        if any(source["name"] == body["name"] for source in self.sources.values()):
            raise Refusal(HTTPStatus.CONFLICT, "data source with the same name already exists")
        if body["uid"] in self.sources:
            raise Refusal(HTTPStatus.CONFLICT, "data source with the same uid already exists")
        self.sources[_checked(body["uid"])] = {**body, "id": len(self.sources) + 1, "version": 1}
        return {"message": "Datasource added", "datasource": _without_secrets(self.sources[body["uid"]])}

    def _update_source(self, uid: str, body: Json) -> Json:
        source = self._source(uid)
        source |= {**body, "version": source["version"] + 1}
        return {"message": "Datasource updated", "datasource": _without_secrets(source)}

    def _save_dashboard(self, body: Json) -> Json:
        dashboard, folder = body["dashboard"], body.get("folderUid", "")
        uid = _checked(dashboard["uid"])
        if folder and folder not in self.folders:
            raise Refusal(HTTPStatus.BAD_REQUEST, "folder not found")
        version = self.dashboards[uid]["dashboard"]["version"] if uid in self.dashboards else 0
        if version and not body.get("overwrite") and dashboard.get("version") != version:
            raise Refusal(
                HTTPStatus.PRECONDITION_FAILED,
                "The dashboard has been changed by someone else",
                "version-mismatch",
            )
        kept = {**dashboard, "id": len(self.dashboards) + 1, "version": version + 1}
        self.dashboards[uid] = {"dashboard": kept, "meta": {"folderUid": folder}}
        return {"uid": uid, "status": "success", "version": version + 1, "url": f"/d/{uid}"}


def _known(table: dict[str, Json], uid: str, message: str, code: str = "") -> Json:
    if uid not in table:
        raise Refusal(HTTPStatus.NOT_FOUND, message, code)
    return table[uid]


def _checked(uid: str) -> str:
    if not _UID.fullmatch(uid):
        raise Refusal(
            HTTPStatus.BAD_REQUEST, "uid contains illegal characters or is too long, max 40 characters"
        )
    return uid


def _without_secrets(source: Json) -> Json:
    shown = {key: value for key, value in source.items() if key != "secureJsonData"}
    return {**shown, "secureJsonFields": dict.fromkeys(source.get("secureJsonData", {}), True)}


class _Server(ThreadingHTTPServer):
    def __init__(self, grafana: Grafana) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.grafana = grafana


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        """Answer a question."""
        self._serve({})

    def do_POST(self) -> None:
        """Answer a change."""
        self._serve(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    do_PUT = do_POST  # noqa: N815 - the base class's naming

    def _serve(self, body: Json) -> None:
        try:
            self._check_token()
            path = self.path.partition("?")[0].removeprefix("/api")
            self._send(HTTPStatus.OK, self.server.grafana.answer(self.command, path, body))
        except Refusal as refusal:
            self._send(refusal.status, refusal.body)

    def _check_token(self) -> None:
        if self.headers.get("Authorization") != f"Bearer {self.server.grafana.token}":
            raise Refusal(HTTPStatus.UNAUTHORIZED, "Invalid API key")

    def _send(self, status: HTTPStatus, body: Json) -> None:
        encoded = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's signature
        """Stay quiet: a failing test shows the answer."""


@contextmanager
def running(token: str) -> Iterator[Grafana]:
    """Run the stand-in on a free loopback port while the block runs."""
    server = _Server(Grafana(token))
    server.grafana.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, name="grafana", daemon=True)
    thread.start()
    try:
        yield server.grafana
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
