"""Papers for data protection, and what the operator states for them."""

from __future__ import annotations

from tuckshop.api import paper_page
from tuckshop.api.routing import HTML_TYPE, Call, Handler
from tuckshop.domain.privacy import Paper
from tuckshop.services.shapes.papers import PaperQuery, PrivacyChange, WrittenPaper


async def show_stated(call: Call) -> object:
    return await call.services.stating.get()


async def change_stated(call: Call) -> object:
    return await call.services.stating.change(
        call.actor, call.body_as(PrivacyChange), expected=call.expected
    )


def of_all(paper: Paper) -> Handler:
    async def show(call: Call) -> object:
        language = call.query_as(PaperQuery).lang
        return _form(call, call.services.papers.of_all(paper, language))

    show.__name__ = f"show_{paper}_of_all"  # by which the description calls it
    return show


def of_group(paper: Paper) -> Handler:
    async def show(call: Call) -> object:
        language = call.query_as(PaperQuery).lang
        written = call.services.papers.of_group(call.actor, call.path["group"], paper, language)
        return _form(call, written)

    show.__name__ = f"show_{paper}_of_group"
    return show


async def show_own_notice(call: Call) -> object:
    assert call.holder is not None
    language = call.query_as(PaperQuery).lang
    return _form(call, call.services.papers.of_holder(call.holder.group, language))


def _form(call: Call, written: WrittenPaper) -> object:
    return paper_page.page(written) if call.table_type == HTML_TYPE else written.shape
