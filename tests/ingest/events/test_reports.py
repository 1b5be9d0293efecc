"""Events and gateway states on their way to the rollup database."""

import asyncio

from ingest.events.reports import Reports
from ingest.store.influx import open_store
from ingest.store.settings import StoreConfig
from tests.peers.http_answers import Answer, answering

MOST = 10_000
AT_ONCE = 1000


async def test_when_there_are_too_many_the_oldest_go() -> None:
    with answering([Answer(503), *[Answer(204)] * 20]) as peer:
        reports = Reports(open_store(StoreConfig(flavour=1, url=peer.url)), "demo")
        for number in range(MOST):
            reports.add(b"event,subject=s state=1i %d" % number)
        writing = asyncio.create_task(reports.write())
        await asyncio.sleep(0)
        for number in range(MOST, MOST + AT_ONCE):
            reports.add(b"event,subject=s state=1i %d" % number)
        await writing
        for _ in range(MOST // AT_ONCE):
            await reports.write()
        written = [line for one in peer.requests[1:] for line in one.body.split(b"\n")]
        assert [int(line.split()[-1]) for line in written] == list(range(AT_ONCE, MOST + AT_ONCE))
