"""Logging of the programs: to standard error, readable on a terminal, one JSON object a line elsewhere."""

import json
import logging
import sys
import time


class _JsonLines(logging.Formatter):
    """One object per line: time (UTC, ms), level, logger, message, and the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        entry = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def start(*, verbose: bool = False) -> None:
    """Send log records to standard error; `verbose` adds debug records of our own packages."""
    handler = logging.StreamHandler(sys.stderr)
    if sys.stderr.isatty():
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    else:
        handler.setFormatter(_JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for package in ("metering", "edge", "ingest", "dashboards", "simulators"):
        logging.getLogger(package).setLevel(logging.DEBUG if verbose else logging.INFO)
