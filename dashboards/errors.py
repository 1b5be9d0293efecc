"""Errors of the dashboards.

DashboardsError
└── PushFailed   Grafana refused or did not answer; a later try may work, what was pushed before stays
"""


class DashboardsError(Exception):
    """Root of the errors raised by `dashboards`."""


class PushFailed(DashboardsError):
    """Grafana refused or did not answer; the message has the request and the reason."""
