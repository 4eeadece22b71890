"""When a cron expression falls due: a thin layer over cronsim, which follows Debian's cron. Pure but for the time zone.

Where clocks are put forward, a time of day that does not exist falls due when the clocks have moved; where they are put
back, a time of day that comes twice falls due once. Expressions with `*` in minutes or hours follow real time.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

NICKNAMES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
CATCH_UP_S: Final = 3600.0
"""A time that passed while nobody looked still counts when it is not older than this."""
LENGTH_MAX: Final = 200
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - compared with other naive times only


class LocalZone(tzinfo):
    """The machine's own time zone with its changes of clocks, as the C library knows it."""

    def utcoffset(self, moment: datetime | None) -> timedelta:
        """How far the clock on the wall is ahead of UTC."""
        if moment is None:
            return timedelta(0)
        naive = moment.replace(tzinfo=None)
        return timedelta(seconds=round((naive - _EPOCH).total_seconds() - naive.timestamp()))

    def dst(self, moment: datetime | None) -> timedelta | None:  # noqa: ARG002 - the signature is Python's
        """Not told apart from the offset."""
        return None

    def tzname(self, moment: datetime | None) -> str:  # noqa: ARG002 - the signature is Python's
        """The name of the zone."""
        return time.tzname[0]

    def fromutc(self, moment: datetime) -> datetime:
        """A moment in UTC as the clock on the wall shows it."""
        utc_s = (moment.replace(tzinfo=None) - _EPOCH).total_seconds()
        return datetime.fromtimestamp(utc_s).replace(tzinfo=self)  # noqa: DTZ006 - local time is what is wanted


LOCAL: Final = LocalZone()


def problem(expression: str) -> str:
    """What is wrong with an expression; empty for one that falls due some day."""
    from cronsim import CronSimError

    fields = NICKNAMES.get(expression, expression)
    if len(fields) > LENGTH_MAX:
        return f"has {len(fields)} characters"
    if expression.startswith("@") and expression not in NICKNAMES:
        return f"is none of {', '.join(NICKNAMES)}"
    if len(fields.split()) != 5:
        return f"has {len(fields.split())} fields"
    try:
        found = _next(expression, 0.0, UTC)
    except CronSimError as error:
        field = str(error).removeprefix("Bad ")
        return "never falls due" if _is_valid_by_field(fields) else f"has a bad {field}"
    return "" if found is not None else "never falls due"


def _is_valid_by_field(fields: str) -> bool:
    """Whether each field is right alone, so that only together they never fall due."""
    from cronsim import CronSim, CronSimError

    minute, hour, day, month, weekday = fields.split()
    start = datetime.fromtimestamp(0, UTC)
    try:
        for form in (f"{minute} {hour} * * {weekday}", f"0 0 {day} * *", f"0 0 * {month} *"):
            CronSim(form, start)
    except CronSimError:
        return False
    return True


def next_time(expression: str, after_s: float, zone: tzinfo = LOCAL) -> float | None:
    """The first moment after `after_s` (seconds since 1970) at which it falls due; None for one that never does."""
    return _next(expression, after_s, zone)


def _next(expression: str, after_s: float, zone: tzinfo) -> float | None:
    from cronsim import CronSim

    start = datetime.fromtimestamp(after_s, UTC).astimezone(zone)
    for moment in CronSim(NICKNAMES.get(expression, expression), start):
        # Where clocks go back, the same time of day comes first in an hour that has passed.
        if moment.timestamp() > after_s:
            return moment.timestamp()
    return None


def due(expression: str, last_checked_s: float, now_s: float, zone: tzinfo = LOCAL) -> float | None:
    """The moment in (last_checked_s, now_s] for which to start now; None when there is none.

    However many moments lie in a gap, while the daemon was down or because the clock was put forward, at most the
    latest counts, and only when it is no older than CATCH_UP_S. While the clock is behind `last_checked_s`, because it
    was put back, nothing falls due a second time: keep the greater of both as the next `last_checked_s`.
    """
    if now_s <= last_checked_s:
        return None
    found = None
    moment = next_time(expression, max(last_checked_s, now_s - CATCH_UP_S), zone)
    while moment is not None and moment <= now_s:
        found = moment
        moment = next_time(expression, moment, zone)
    return found
