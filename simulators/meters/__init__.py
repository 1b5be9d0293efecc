"""Simulated meters: values, registers, frames, faults. No wire yet.

| module | what it holds |
|---|---|
| `devices` | Simulated devices, built from what a gateway's configuration says is on its buses |
| `faults` | Faults to order for a simulated meter or line |
| `frames` | Modbus frames from the device's side: requests in, answers out |
| `image` | A simulated device as registers |
| `meter` | A simulated meter: what flows, as the quantities that it would measure |
"""
