"""The rows of each sender of a simulated park, as counted by the sender. Pure."""

from dataclasses import dataclass

from metering.messages.status import EpochAccount


@dataclass(frozen=True, slots=True)
class RowAccount:
    """The rows of one sender.

    Attributes:
        sender: Gateway, and whether it is the gateway's own account or that of its history.
        gateway: Whose meters they are.
        account: As kept by the sender.
    """

    sender: str
    gateway: str
    account: EpochAccount
