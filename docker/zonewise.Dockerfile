# All programs of zonewise in one image: gateway, ingest, rollup, dashboards and the simulated park.
FROM python:3.13.9-slim-bookworm

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1

WORKDIR /src
COPY pyproject.toml README.md ./
COPY metering metering
COPY edge edge
COPY ingest ingest
COPY dashboards dashboards
COPY simulators simulators
RUN pip install --no-cache-dir '.[edge,ingest,dashboards,simulators]'

# Volumes take owner and mode from these folders when they are first used.
RUN groupadd --gid 10001 zonewise \
    && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin zonewise \
    && install -d -o zonewise -g zonewise -m 0750 /secrets /var/lib/zonewise \
    && install -d -o zonewise -g zonewise -m 0755 /grafana /parks /etc/zonewise

WORKDIR /
USER 10001:10001
