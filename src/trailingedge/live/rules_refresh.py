"""Rules refresh: reads the exchange's rules again while the symbol does not trade."""

import logging
from dataclasses import replace

from trailingedge.core.errors import ConfigError
from trailingedge.live.event_router import EventRouter
from trailingedge.live.exchange_client import ExchangeClient
from trailingedge.live.node_params import StartParams
from trailingedge.model.market import ZERO
from trailingedge.websocket import market_fetch

logger = logging.getLogger(__name__)


class RulesRefresh:
    """Applies new rules to the services of the `router`. Stricter limits from the settings stay in force."""

    def __init__(self, params: StartParams, client: ExchangeClient, router: EventRouter) -> None:
        self._params = params
        self._client = client
        self._router = router

    async def read(self) -> None:
        """Read the symbol's status, filters and rate limits, and apply them.

        Raises RequestRefused, OutcomeUnknown, SessionLost or ProtocolViolation.
        """
        services = self._router.services
        if services is None:
            return
        try:
            listed, limits = await market_fetch.exchange_info(self._client.api, self._params.symbol)
        except ConfigError:
            # The symbol was listed when we started. Orders of it would be rejected now: wait as in a trading break.
            services.update_rules(replace(services.rules, status="not listed any more"))
            return
        self._router.on_limits(limits)
        for problem in self._params.terms.problems(listed, ZERO):
            logger.warning("exchange rules changed, a setting is not allowed any more: %s", problem)
        services.update_rules(self._params.terms.effective_rules(listed))
