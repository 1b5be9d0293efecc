# InfluxDB with the time zone database, which tz() in queries over local days needs and the image lacks.
FROM influxdb:2.8.0

USER root
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tzdata \
    && rm -rf /var/lib/apt/lists/*
USER influxdb
