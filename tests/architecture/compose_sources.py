"""What compose.yaml uses of others: images, variables, paths, users and programs, each with its source."""

#: Image and tag, and where the tag was seen.
FOREIGN_IMAGES = {
    "eclipse-mosquitto:2.0.22": "hub.docker.com/_/eclipse-mosquitto, series 2.0",
    "influxdb:2.8.0": "hub.docker.com/_/influxdb, series 2.8",
    "grafana/grafana:13.0.1": "hub.docker.com/r/grafana/grafana, series 13",
    "python:3.13.9-slim-bookworm": "hub.docker.com/_/python, series 3.13",
}
_INFLUX_ENTRYPOINT = "influxdata/influxdata-docker, influxdb/2.7/entrypoint.sh"
_GRAFANA_RUN = "grafana/grafana, packaging/docker/run.sh (GF_*__FILE) and conf/defaults.ini (GF_SECTION_KEY)"
#: Environment variable, and the source that reads it.
FOREIGN_VARIABLES = {
    "DOCKER_INFLUXDB_INIT_MODE": _INFLUX_ENTRYPOINT,
    "DOCKER_INFLUXDB_INIT_USERNAME_FILE": _INFLUX_ENTRYPOINT,
    "DOCKER_INFLUXDB_INIT_PASSWORD_FILE": _INFLUX_ENTRYPOINT,
    "DOCKER_INFLUXDB_INIT_ADMIN_TOKEN_FILE": _INFLUX_ENTRYPOINT,
    "DOCKER_INFLUXDB_INIT_ORG": _INFLUX_ENTRYPOINT,
    "DOCKER_INFLUXDB_INIT_BUCKET": _INFLUX_ENTRYPOINT,
    "INFLUXD_REPORTING_DISABLED": "docs.influxdata.com/influxdb/v2/reference/config-options, reporting-disabled",
    "GF_SECURITY_ADMIN_USER": _GRAFANA_RUN,
    "GF_SECURITY_ADMIN_PASSWORD__FILE": _GRAFANA_RUN,
    "GF_PATHS_PROVISIONING": _GRAFANA_RUN,
    "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH": _GRAFANA_RUN,
    "GF_ANALYTICS_REPORTING_ENABLED": _GRAFANA_RUN,
    "GF_ANALYTICS_CHECK_FOR_UPDATES": _GRAFANA_RUN,
}
#: Path in a foreign container that is mounted, and who says that it is read or written there.
FOREIGN_PATHS = {
    "/mosquitto/config/mosquitto.conf": "eclipse/mosquitto, docker/2.0/Dockerfile (CMD)",
    "/var/lib/influxdb2": "influxdata/influxdata-docker, influxdb/2.7/Dockerfile (VOLUME)",
    "/var/lib/grafana": "grafana.com/docs, Configure a Grafana Docker image (GF_PATHS_DATA)",
}
#: User ids of foreign images.
FOREIGN_USERS = {
    "mosquitto": ("1883:1883", "eclipse/mosquitto, docker/2.0/Dockerfile (adduser -u 1883)"),
    "influxdb": ("1000:1000", "influxdata/influxdata-docker, influxdb/2.7/Dockerfile (useradd --uid=1000)"),
    "grafana": ("10001:0", "grafana.com/docs, Configure a Grafana Docker image: any user, group 0"),
}
#: Programs that health checks of foreign images call.
FOREIGN_CHECKS = {
    "mosquitto": ("nc", "busybox of Alpine, on which the image is built"),
    "influxdb": ("influx", "influxdata/influxdata-docker, influxdb/2.7/Dockerfile installs the influx CLI"),
    "grafana": ("wget", "busybox of Alpine, on which the image is built; /api/health: Grafana's HTTP API"),
}
