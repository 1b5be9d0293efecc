"""Which gateway owns a meter, and when. Pure.

- A meter with a `gateway` relation in `park.yaml` belongs to the gateway that the relation names at the time,
  and to nobody outside its spans.
- Any other meter belongs to the first gateway that announced it in a birth, for all time; that announcement's
  point in `meters` carries `first=1i`.
- A meter that nobody has announced has no owner: any gateway may deliver it.
"""

from collections.abc import Iterable
from operator import attrgetter

from ingest.validation.announcements import Announcement
from metering.park.dated import Dated, always
from metering.park.model import Park


def maybe_owners(park: Park, meter: str, maybe_first: str | None) -> Dated[str] | None:
    """Return the gateways that own a meter, dated; `None` = it has no owner.

    Args:
        park: Whose relations count.
        meter: Id, known to the park or not.
        maybe_first: The gateway that announced the meter first.
    """
    maybe_meter = park.meters.get(meter)
    if maybe_meter is not None and maybe_meter.gateway.spans:
        return maybe_meter.gateway
    return None if maybe_first is None else always(maybe_first)


def first_announcers(announcements: Iterable[Announcement]) -> dict[str, str]:
    """Return the gateway that announced each meter first, by the marks that the announcements carry."""
    first: dict[str, str] = {}
    for one in sorted(announcements, key=attrgetter("time_ms")):
        if one.is_first:
            first.setdefault(one.meter, one.gateway)
    return first
