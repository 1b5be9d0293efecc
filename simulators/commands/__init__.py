"""The commands of `zonewise-sim`, one module each, imported when called."""
