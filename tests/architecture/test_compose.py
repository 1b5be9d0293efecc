"""compose.yaml as text against the code: no container engine runs where the tests do.

Ours (commands, options, configuration, secrets) is checked against the code; what belongs to others stands in
tables with its source.
"""

import importlib
import re
import tempfile
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from dashboards.model.site import Source, to_site
from ingest.config import load_config
from ingest.store.settings import Flavour
from metering.park.file import load_park
from simulators.wires import Wires, load_wires
from tests.architecture.compose_file import COMPOSE, OURS, ROOT, SERVICES, mounts
from tests.architecture.compose_sources import (
    FOREIGN_CHECKS,
    FOREIGN_IMAGES,
    FOREIGN_PATHS,
    FOREIGN_USERS,
    FOREIGN_VARIABLES,
)

PARK = ROOT / "simulators/parks/demo/park.yaml"
PROGRAMS = {
    "zonewise-edge": "edge.command_line",
    "zonewise-ingest": "ingest.command_line",
    "zonewise-dashboards": "dashboards.__main__",
    "zonewise-sim": "simulators.command_line",
}
ONE_SHOT = {"secrets", "init", "dashboards"}


def resolve(args: list[str]) -> tuple[click.Command, list[str]]:
    """Find the command that a command line calls, and its own arguments."""
    command: click.Command = importlib.import_module(PROGRAMS[args[0]]).cli
    rest = args[1:]
    while isinstance(command, click.Group):
        maybe_command = command.get_command(click.Context(command), rest[0])
        assert maybe_command is not None, f"{args[0]} has no command {rest[0]}"
        command, rest = maybe_command, rest[1:]
    return command, rest


@pytest.mark.parametrize("name", sorted(OURS))
def test_our_commands_and_options_exist(name: str) -> None:
    command, rest = resolve(OURS[name]["command"])

    given, left, _ = command.make_parser(click.Context(command)).parse_args(list(rest))

    assert left == []
    needed = {parameter.name for parameter in command.params if parameter.required}
    assert needed <= set(given), f"{name} lacks {needed - set(given)}"


def test_gateways_read_the_meters_of_the_demo_over_the_simulated_park() -> None:
    """Two copies of the list of meters must not drift apart."""
    simulated = load_wires_from_compose()
    for name in ("gw-1", "gw-2"):
        demo = yaml.safe_load((PARK.parent / f"{name}.yaml").read_text(encoding="utf-8"))
        ours = yaml.safe_load((ROOT / f"docker/{name}.yaml").read_text(encoding="utf-8"))
        assert ours["meters"] == demo["meters"]
        assert (ours["park"], ours["gateway"]) == (demo["park"], demo["gateway"])
        assert ours["broker"]["host"] in SERVICES
        hosts = {
            bus.get("tcp", bus.get("rtu_over_tcp", "")).partition(":")[0] for bus in ours["buses"].values()
        }
        assert hosts == {"park"}
    assert {gateway.gateway for gateway in simulated.gateways} == {"gw-1", "gw-2"}


def load_wires_from_compose() -> Wires:
    """Read what the container `park` reads, files put side by side as its mounts do."""
    with tempfile.TemporaryDirectory() as folder:
        for mount in mounts(SERVICES["park"]):
            target = Path(folder) / Path(mount.target).name
            target.write_text((ROOT / mount.source).read_text(encoding="utf-8"), encoding="utf-8")
        return load_wires(Path(folder) / "sim.yaml")


def test_health_checks_ask_where_programs_listen() -> None:
    for name in ("gw-1", "gw-2"):
        written = yaml.safe_load((ROOT / f"docker/{name}.yaml").read_text(encoding="utf-8"))
        assert f"http://{written['http']}/healthz" in SERVICES[name]["healthcheck"]["test"][-1]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_mounted_files_exist(name: str) -> None:
    for mount in mounts(SERVICES[name]):
        if mount.is_file_of_ours:
            assert (ROOT / mount.source).is_file(), mount.source
            assert mount.is_read_only, mount.source
        else:
            assert mount.source in COMPOSE["volumes"], mount.source


@pytest.mark.parametrize("name", sorted(name for name in OURS if "--config" in OURS[name]["command"]))
def test_configuration_files_are_mounted_and_load(name: str) -> None:
    command = OURS[name]["command"]
    by_target = {mount.target: mount.source for mount in mounts(OURS[name])}
    path = by_target[command[command.index("--config") + 1]]

    assert load_any(command[0], ROOT / path)


def load_any(program: str, path: Path) -> object:
    if program == "zonewise-ingest":
        return load_config(path)
    if program == "zonewise-sim":
        return load_wires_from_compose()
    loaded: object = importlib.import_module("edge.config.gateway").load_config(path)
    return loaded


def test_folders_of_the_configuration_are_mounted() -> None:
    config = load_config(ROOT / "docker/ingest.yaml")
    for name in ("init", "ingest", "rollup"):
        targets = [mount.target for mount in mounts(SERVICES[name])]
        assert any(target.startswith(f"{config.parks}/") for target in targets), name
    assert str(config.data) in [mount.target for mount in mounts(SERVICES["ingest"])]


def test_hosts_and_ports_in_the_configuration_are_services() -> None:
    config = load_config(ROOT / "docker/ingest.yaml")

    assert config.broker.host in SERVICES
    assert config.store.flavour is Flavour.TWO
    assert config.store.url == "http://influxdb:8086"
    assert config.store.org == SERVICES["influxdb"]["environment"]["DOCKER_INFLUXDB_INIT_ORG"]
    assert f"127.0.0.1:{config.http.port}/" in str(SERVICES["ingest"]["healthcheck"]["test"])
    assert f"{SERVICES['rollup']['command'][-1]}/" in str(SERVICES["rollup"]["healthcheck"]["test"])


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names of the files that `secrets` and `init` make."""
    folder, parks = tmp_path_factory.mktemp("secrets"), tmp_path_factory.mktemp("parks")
    (parks / "demo.yaml").write_text(PARK.read_text(encoding="utf-8"), encoding="utf-8")
    cli = importlib.import_module("ingest.command_line").cli

    done = CliRunner().invoke(cli, ["secrets", str(folder), "--parks", str(parks), "--mode", "640"])

    assert done.exit_code == 0, done.output
    tokens = {name for name, *_ in importlib.import_module("ingest.commands.init")._TOKENS}
    return {path.name for path in folder.iterdir()} | tokens


def test_every_secret_that_is_read_is_made(secrets: set[str]) -> None:
    texts = [(ROOT / "compose.yaml").read_text(encoding="utf-8")]
    texts += [path.read_text(encoding="utf-8") for path in (ROOT / "docker").iterdir()]
    read = {name for text in texts for name in re.findall(r"(?<![\w.])/secrets/([\w.-]+)", text)}

    assert read - secrets == set()
    assert len(read) > 8


#: They read files that name secrets, but not the secrets.
NAME_ONLY = {"dashboards", "park"}


@pytest.mark.parametrize("name", sorted(set(SERVICES) - NAME_ONLY))
def test_who_reads_a_secret_and_nobody_else_mounts_the_volume(name: str) -> None:
    service = SERVICES[name]
    texts = [str({**service, "volumes": ()})]
    texts += [(ROOT / mount.source).read_text() for mount in mounts(service) if mount.is_file_of_ours]

    needs = any("/secrets" in text for text in texts)

    assert needs == ("/secrets" in [mount.target for mount in mounts(service)])


@pytest.mark.parametrize("name", sorted(NAME_ONLY))
def test_who_only_names_a_secret_cannot_read_it(name: str) -> None:
    assert "/secrets" not in [mount.target for mount in mounts(SERVICES[name])]


def test_only_who_makes_secrets_may_write_them() -> None:
    writers = {
        name
        for name, service in SERVICES.items()
        for mount in mounts(service)
        if mount.target == "/secrets" and not mount.is_read_only
    }

    assert writers == {"secrets", "init"}


def test_images_are_pinned_and_known() -> None:
    built = [
        line for path in (ROOT / "docker").glob("*.Dockerfile") for line in path.read_text().splitlines()
    ]
    images = {line.split()[1] for line in built if line.startswith("FROM ")}
    images |= {service["image"] for service in SERVICES.values() if "build" not in service}

    assert images == set(FOREIGN_IMAGES)
    assert all(re.fullmatch(r"[\w/-]+:\d+\.\d+\.\d+[\w-]*", image) for image in images)


def test_our_image_has_the_version_of_the_project() -> None:
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)

    assert version is not None
    assert {service["image"] for service in OURS.values()} == {f"zonewise:{version[1]}"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_ports_are_published_on_this_machine_only(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", ()))


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_nothing_runs_as_root(name: str) -> None:
    service = SERVICES[name]

    assert service["user"].partition(":")[0] not in {"", "0", "root"}
    assert service["cap_drop"] == ["ALL"]
    if name in FOREIGN_USERS:
        assert service["user"] == FOREIGN_USERS[name][0]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_everybody_waits_for_what_is_made_once(name: str) -> None:
    service, waits = SERVICES[name], SERVICES[name].get("depends_on", {})
    wanted = {"service_completed_successfully" if one in ONE_SHOT else "service_healthy" for one in waits}

    assert {waits[one]["condition"] for one in waits} <= wanted
    assert name == "secrets" or waits, f"{name} starts before there are secrets"
    assert (name in ONE_SHOT) == ("restart" not in service)
    for other in waits:
        assert other in ONE_SHOT or "healthcheck" in SERVICES[other], f"{other} has no health check"


@pytest.mark.parametrize("name", sorted(set(SERVICES) - set(OURS)))
def test_foreign_variables_paths_and_checks_have_a_source(name: str) -> None:
    service = SERVICES[name]

    assert set(service.get("environment", {})) <= set(FOREIGN_VARIABLES)
    ours = {"/secrets", "/etc/grafana/zonewise"}
    assert {mount.target for mount in mounts(service)} - ours <= set(FOREIGN_PATHS)
    assert service["healthcheck"]["test"][1] == FOREIGN_CHECKS[name][0]


def test_no_table_has_a_line_that_nothing_uses() -> None:
    used = {variable for service in SERVICES.values() for variable in service.get("environment", {})}
    targets = {mount.target for service in SERVICES.values() for mount in mounts(service)}

    assert used == set(FOREIGN_VARIABLES)
    assert set(FOREIGN_PATHS) <= targets


def test_grafana_reads_what_the_dashboards_are_written_to(tmp_path: Path) -> None:
    """The written paths, seen from Grafana's side of the volume."""
    (tmp_path / "parks").mkdir()
    (tmp_path / "parks/demo.yaml").write_text(PARK.read_text(encoding="utf-8"), encoding="utf-8")
    out, seen = tmp_path / "out", "/etc/grafana/zonewise"
    moved = {"/parks": str(tmp_path / "parks"), "/grafana": str(out)}
    arguments = [moved.get(one, one) for one in SERVICES["dashboards"]["command"][1:]]

    done = CliRunner().invoke(importlib.import_module("dashboards.__main__").cli, arguments)

    assert done.exit_code == 0, done.output
    environment = SERVICES["grafana"]["environment"]
    assert environment["GF_PATHS_PROVISIONING"] == f"{seen}/provisioning"
    home = environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"].replace(seen, str(out))
    assert Path(home).is_file()
    providers = yaml.safe_load((out / "provisioning/dashboards/zonewise.yaml").read_text())["providers"]
    assert all(Path(one["options"]["path"].replace(seen, str(out))).is_dir() for one in providers)


def test_the_first_bucket_is_one_of_the_parks() -> None:
    """InfluxDB's set-up mode must make one; `init` adds the others."""
    site = to_site(load_park(PARK))
    bucket = SERVICES["influxdb"]["environment"]["DOCKER_INFLUXDB_INIT_BUCKET"]

    assert bucket in {site.database(source) for source in Source}
