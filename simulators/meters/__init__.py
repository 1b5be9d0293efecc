"""Simulated meters: values, registers, frames, faults. No wire yet.

| module | what it holds |
|---|---|
| `devices` | Simulated devices, built from the meters in a gateway's configuration |
| `faults` | Faults of a simulated meter or line, on request |
| `frames` | Modbus frames from the device's side: requests in, answers out |
| `image` | A simulated device as registers |
| `meter` | A simulated meter: what flows, as the quantities that it would measure |
"""
