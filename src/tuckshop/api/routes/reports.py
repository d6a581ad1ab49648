"""The request log, usage and the audit trail."""

from __future__ import annotations

from typing import Final

from tuckshop.api.handlers import reports
from tuckshop.api.routes.rows import row
from tuckshop.api.routing import Route
from tuckshop.services.audit_trail import AuditFilter
from tuckshop.services.request_log import RequestFilter
from tuckshop.services.shapes.audit import AuditCheck, AuditPage
from tuckshop.services.shapes.forecasts import ForecastPage
from tuckshop.services.shapes.requests import RequestPage, RequestShape
from tuckshop.services.shapes.statements import Statement
from tuckshop.services.shapes.usage import UsagePage
from tuckshop.services.statements import StatementQuery
from tuckshop.services.usage import UsageQuery

ROUTES: Final[tuple[Route, ...]] = (
    row(
        "viewer",
        "rows",
        "GET",
        "/requests",
        reports.list_requests,
        RequestPage,
        "Read the request log, newest first",
        query=RequestFilter,
        is_table=True,
    ),
    row(
        "viewer",
        "group",
        "GET",
        "/requests/{request}",
        reports.show_request,
        RequestShape,
        "Show a row of the log",
    ),
    row(
        "viewer",
        "rows",
        "GET",
        "/usage",
        reports.show_usage,
        UsagePage,
        "Sum up usage",
        query=UsageQuery,
        is_table=True,
    ),
    row(
        "viewer",
        "group",
        "GET",
        "/groups/{group}/forecast",
        reports.show_forecast,
        ForecastPage,
        "Tell when the budgets that a group shares end, at the pace of the last days",
    ),
    row(
        "viewer",
        "group",
        "GET",
        "/groups/{group}/statement",
        reports.show_statement,
        Statement,
        "Sum up a group's month: JSON, a table of members, or a page to print",
        query=StatementQuery,
        is_table=True,
        has_page=True,
    ),
    row(
        "viewer",
        "rows",
        "GET",
        "/audit",
        reports.list_audit,
        AuditPage,
        "Read what staff did, newest first",
        query=AuditFilter,
        is_table=True,
    ),
    row(
        "operator",
        "server",
        "POST",
        "/audit/verify",
        reports.check_audit,
        AuditCheck,
        "Tell whether each row of the audit trail follows from the one before it",
    ),
)
