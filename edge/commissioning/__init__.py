"""The technician's tools: one meter read and explained, a configuration's cost forecast.

| module | what it holds |
|---|---|
| `advice` | What to look at when a meter cannot be read by hand |
| `forecast` | What a configuration will cost, before anything is connected: bus time and uplink volume |
| `read` | One meter |
"""
