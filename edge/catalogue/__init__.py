"""Meter models as tables: the YAML files under `profiles/` and how they are read.

| module | what it holds |
|---|---|
| `models` | The catalogue of meter models: one YAML table per model under `profiles/`, read when first used |
| `tables` | The form of a meter model's YAML table, and of what a gateway overrides in it |
"""
