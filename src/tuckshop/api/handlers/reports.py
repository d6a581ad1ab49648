"""The request log, usage and the audit trail, also as files."""

from __future__ import annotations

from tuckshop.api import statement_page
from tuckshop.api.routing import HTML_TYPE, Call
from tuckshop.api.tables import in_one, table
from tuckshop.services.audit_trail import AuditFilter
from tuckshop.services.request_log import RequestFilter
from tuckshop.services.shapes.audit import AuditRow
from tuckshop.services.shapes.requests import RequestShape
from tuckshop.services.shapes.statements import STATEMENT_COLUMNS
from tuckshop.services.shapes.usage import USAGE_SUMS
from tuckshop.services.statements import StatementQuery
from tuckshop.services.usage import UsageQuery, dimensions_of


async def list_requests(call: Call) -> object:
    chosen = call.query_as(RequestFilter)
    log = call.services.request_log
    if call.table_type is not None:
        rows = log.all(call.actor, chosen)
        return await table("requests", RequestShape.__struct_fields__, rows, call.table_type)
    return await log.page(call.actor, chosen)


async def show_request(call: Call) -> object:
    return await call.services.request_log.get(call.actor, call.path["request"])


async def show_usage(call: Call) -> object:
    asked = call.query_as(UsageQuery)
    report = await call.services.usage.report(call.actor, asked)
    if call.table_type is not None:
        columns = (*dimensions_of(asked.by), *USAGE_SUMS)
        return await table("usage", columns, in_one(report.data), call.table_type)
    return report


async def show_forecast(call: Call) -> object:
    return await call.services.forecasts.of_group(call.actor, call.path["group"])


async def show_statement(call: Call) -> object:
    asked = call.query_as(StatementQuery)
    statement = await call.services.statements.of_group(call.actor, call.path["group"], asked)
    if call.table_type == HTML_TYPE:
        return statement_page.page(statement)
    if call.table_type is not None:
        name = f"{statement.name}-{statement.month}"
        return await table(name, STATEMENT_COLUMNS, in_one(statement.data), call.table_type)
    return statement


async def list_audit(call: Call) -> object:
    chosen = call.query_as(AuditFilter)
    trail = call.services.audit_trail
    if call.table_type is not None:
        rows = trail.all(call.actor, chosen)
        return await table("audit", AuditRow.__struct_fields__, rows, call.table_type)
    return await trail.page(call.actor, chosen)


async def check_audit(call: Call) -> object:
    return await call.services.audit_trail.check()
