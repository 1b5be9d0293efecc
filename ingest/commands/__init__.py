"""The commands of `zonewise-ingest`, one module each, imported when called."""
