"""The gateway agent and the technician's tools: meters on their buses in, acknowledged messages out."""
