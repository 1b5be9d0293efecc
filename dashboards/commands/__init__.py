"""Commands of `zonewise-dashboards`, one module each."""
