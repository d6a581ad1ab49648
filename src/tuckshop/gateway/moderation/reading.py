"""What a call says, read from the body that is about to be sent: on the loop or off it, token numbers as their text."""

from __future__ import annotations

from tuckshop.gateway.body_size import LargeBodies, is_large
from tuckshop.gateway.call import Call
from tuckshop.gateway.counting import TokenCounter
from tuckshop.gateway.moderation.service import NoVerdictError
from tuckshop.pricing.encodings import Encoding, vocabulary_of
from tuckshop.protocols.openai.contents import Contents, contents_of, with_decoded
from tuckshop.tokenizing.counter import DECODED_MAX
from tuckshop.upstreams.registry import Upstream


class ContentsReader:
    """
    Reads what calls say. One per server.

    Args:
        bodies: Reads large ones.
        counter: Knows vocabularies.
    """

    def __init__(self, bodies: LargeBodies, counter: TokenCounter) -> None:
        self._bodies = bodies
        self._counter = counter

    async def read(self, call: Call, upstream: Upstream, body: bytes) -> Contents:
        """
        What *body* says, which is about to go to *upstream*.

        Returns:
            Nothing in it is left in numbers of tokens: what these say is among its texts, or cannot be read.
        Raises:
            NoVerdictError: It could not be read in time.
            ServerBusyError: The same.
        """
        asker = call.holder.member.id
        if is_large(body):
            contents = await self._bodies.contents(
                call.endpoint, body, profile=upstream.profile, asker=asker
            )
        else:
            contents = contents_of(call.endpoint, body, profile=upstream.profile)
        if not contents.tokens:
            return contents
        encoding = _vocabulary(call, upstream)
        numbers = [tokens.ids for tokens in contents.tokens]
        if encoding is None or sum(map(len, numbers)) > DECODED_MAX:
            return with_decoded(contents, [None] * len(numbers))
        texts = await self._counter.decode(encoding, numbers, asker=asker)
        if texts is None:
            raise NoVerdictError("its tokens could not be decoded in time")
        return with_decoded(contents, texts)


def _vocabulary(call: Call, upstream: Upstream) -> Encoding | None:
    """The one that the call's model reads with; whoever calls a model of their own by that name may have another."""
    if upstream.profile != "openai" or call.price is None:
        return None
    return vocabulary_of(call.price)
