"""The start of `zonewise-sim`: stop signals are noted first, then the command line is imported."""

from metering.program import stop_signals


def main() -> None:
    """Run the command line."""
    stop_signals.note()
    # The import takes a good part of a second on a small machine.
    from simulators import command_line  # noqa: PLC0415

    command_line.main()


if __name__ == "__main__":
    main()
