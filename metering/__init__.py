"""The language that all parts of zonewise share: what is measured, and how it travels.

Nothing here opens a socket. Files are read by `metering.program.config` alone.
"""
