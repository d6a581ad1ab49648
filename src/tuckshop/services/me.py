"""What a key may see of itself: limits and numbers, never names, prompts or exports (K21)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tuckshop.domain.clock import US_PER_SECOND, Clock
from tuckshop.domain.policy import policy_of
from tuckshop.domain.records import Holder
from tuckshop.ledger.ledger import Ledger
from tuckshop.pricing.price_book import PriceBook
from tuckshop.services.papers.conduct import in_words
from tuckshop.services.papers.writing import KEPT, Papers
from tuckshop.services.shapes.me import Checked, Me, OwnGroup, OwnKey, OwnUsage, Privacy
from tuckshop.services.standing import shown_to_holder
from tuckshop.services.usage import Usage

USAGE_DAYS: Final = 30
NOTICE_PATH: Final = "/api/v1/me/notice"  # opens with the key


class Mine:
    """Answers a key about itself."""

    def __init__(
        self,
        ledger: Ledger,
        usage: Usage,
        clock: Clock,
        *,
        prices: PriceBook,
        endpoint_groups: Sequence[str],
        papers: Papers,
        public_url: str | None = None,
    ) -> None:
        """*endpoint_groups* are all that are served; a policy opens some of them."""
        self._ledger = ledger
        self._usage = usage
        self._clock = clock
        self._prices = prices
        self._endpoint_groups = endpoint_groups
        self._papers = papers
        self._public_url = public_url

    async def show(self, holder: Holder) -> Me:
        """The holder's own page. Limits of all together tell only whether there is room."""
        policy = policy_of(holder)
        await self._ledger.flush()
        states = await self._ledger.states(policy.limits)
        own = {"key_id": holder.key.id}
        since_us = self._clock.now_us() - USAGE_DAYS * 86_400 * US_PER_SECOND
        zone = holder.group.zone
        days, models = [
            await self._usage.rows([by], own, since_us=since_us, until_us=None, zone=zone)
            for by in ("day", "model")
        ]
        return Me(
            key=OwnKey(id=holder.key.id, last4=holder.key.last4),
            group=OwnGroup(title=holder.group.title, time_zone=zone.current),
            models=[model for model in self._prices.now.servable() if policy.may_model(model)],
            endpoints=[
                group
                for group in self._endpoint_groups
                if policy.may_endpoint(group, default_open=True)
            ],
            limits=[shown_to_holder(state) for state in states],
            usage=OwnUsage(days=days, models=models),
            privacy=self._privacy(holder),
        )

    def _privacy(self, holder: Holder) -> Privacy:
        group, logging = holder.group, holder.group.logging
        conduct = self._papers.conduct(group)
        return Privacy(
            bodies=logging.bodies,
            days=logging.days,
            purpose=logging.purpose,
            readers=list(logging.readers),
            log_days=group.log_days,
            network_days=KEPT.networks,
            moderation=Checked(asked=conduct.asked, answered=conduct.answered),
            rules=in_words(conduct),
            pseudonyms=conduct.pseudonyms,
            notice=holder.workspace.privacy.notice_url
            or f"{(self._public_url or '').rstrip('/')}{NOTICE_PATH}",
        )
