"""The commands of `zonewise-edge`, one module each, imported when called."""
