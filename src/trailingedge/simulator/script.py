"""How a simulated market opens: rally, crash, recovery, the same for every seed but for its noise.

Someone who sees it for the first time should meet the whole strategy within an hour and a half of
market time, so the moves are measured against its default settings and a start in the base asset:

| minutes | price, from the start | what it provokes |
|---|---|---|
| 0 to 18 | up to +2.6 % | a gain well above the least one (1 %, or half a channel of 2.6 %) |
| to 20 | back to +2.0 % | more than the callback of about 0.27 %: a take-profit SELL, chased down |
| to 36 | down to −0.6 % | in QUOTE a gain of 2.6 %, above half a channel of 3.2 % |
| to 38 | back to 0 % | more than the callback: a take-profit BUY, chased up |
| to 53 | down to −4 % | in BASE the stop, half a channel (about 1.9 %) below the anchor: a flush, the gate shuts |
| to 60 | stays there | the flush has time to finish, the first peak leaves the channel |
| to 78 | up to −0.4 % | closes cross mid, between −1 and −2 %: the gate opens |

Pull-backs are steep and nearly without noise: every tick leaves the order behind, which makes a chase;
the calm after them fills it.
"""

from typing import Final

from trailingedge.simulator.episodes import Episode, Mood, calm, crash


def _rise_or_fall(mood: Mood, minutes: float, drift_frac: float) -> Episode:
    """A move smooth enough not to look like its own end."""
    return Episode(mood, minutes, drift_frac, noise_frac=0.0002, pace_s=(2.0, 6.0), rest=0.15)


def _turn(drift_frac: float) -> Episode:
    """A steep pull-back in which each tick leaves an order at the best price behind."""
    return Episode(Mood.TREND, 1.5, drift_frac, noise_frac=0.0001, pace_s=(2.0, 4.0), spread_ticks=(2, 5), rest=0.0)


OPENING: Final[tuple[Episode, ...]] = (
    calm(4.0),
    _rise_or_fall(Mood.RALLY, 14.0, 0.026),
    _turn(-0.006),
    calm(4.0),
    _rise_or_fall(Mood.TREND, 12.5, -0.026),
    _turn(0.006),
    calm(5.0),
    crash(10.0, -0.040),
    calm(9.0),
    _rise_or_fall(Mood.RALLY, 18.0, 0.036),
)
