"""Papers for data protection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from tuckshop.api.handlers import papers
from tuckshop.api.routes.rows import row
from tuckshop.api.routing import Route
from tuckshop.domain.privacy import Paper
from tuckshop.services.shapes.papers import PaperQuery, PaperShape, PrivacyChange, PrivacyShape

_PAPERS: Final[Mapping[Paper, str]] = {
    "notice": "the privacy notice (Art. 13 GDPR)",
    "record": "the record of processing activities (Art. 30 GDPR)",
    "dpia": "a sheet for the data protection impact assessment (Art. 35 GDPR)",
}


def _of_papers() -> Iterator[Route]:
    for paper, title in _PAPERS.items():
        yield row(
            "operator",
            "server",
            "GET",
            f"/privacy/{paper}",
            papers.of_all(paper),
            PaperShape,
            f"Write {title} of all groups from what is in force: JSON, or a page to print",
            query=PaperQuery,
            has_page=True,
        )
        yield row(
            "viewer",
            "group",
            "GET",
            f"/groups/{{group}}/privacy/{paper}",
            papers.of_group(paper),
            PaperShape,
            f"Write {title} of a group from what is in force: JSON, or a page to print",
            query=PaperQuery,
            has_page=True,
        )


ROUTES: Final[tuple[Route, ...]] = (
    row(
        "operator",
        "server",
        "GET",
        "/privacy",
        papers.show_stated,
        PrivacyShape,
        "Show what is stated for papers of data protection: who is responsible, who providers are",
    ),
    row(
        "operator",
        "server",
        "PATCH",
        "/privacy",
        papers.change_stated,
        PrivacyShape,
        "State any part of it",
        request=PrivacyChange,
    ),
    *_of_papers(),
    row(
        "key",
        "self",
        "GET",
        "/me/notice",
        papers.show_own_notice,
        PaperShape,
        "Show a key the privacy notice that concerns its holder: JSON, or a page to print",
        query=PaperQuery,
        has_page=True,
    ),
)
