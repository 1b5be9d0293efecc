"""The one place of ingest where any exception is caught: judging a stranger's bytes.

A message that makes our own code fail is set aside with its traceback in the log, and the next one is judged.
"""

import logging

from ingest.judge import UNEXPECTED, Judge, Verdict, refuse
from ingest.segments import Record

_LOGGER = logging.getLogger(__name__)


def judge_safely(judge: Judge, record: Record) -> Verdict:
    """Judge a record; never raises."""
    try:
        return judge.judge(record)
    except Exception as error:
        _LOGGER.exception("%s: a message is set aside", record.topic)
        return refuse(record, UNEXPECTED, f"{type(error).__name__}: {error}")
