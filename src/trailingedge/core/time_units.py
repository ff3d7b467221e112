"""Time units in milliseconds, the unit of the exchange's timestamps.

A day is always 24 hours: the exchange counts in UTC, which has no daylight saving time, and Unix time leaves
leap seconds out.
"""

from typing import Final

SECOND_MS: Final = 1000
MINUTE_MS: Final = 60 * SECOND_MS
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
