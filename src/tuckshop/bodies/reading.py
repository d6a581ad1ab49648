"""What is done with a large body, in whatever process: the same as with a small one."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from tuckshop.bodies.job import Answer, Job
from tuckshop.domain.errors import (
    InvalidRequestBodyError,
    ParameterNotAllowedError,
    SystemMessageNotAllowedError,
)
from tuckshop.domain.rules.rule_book import RuleBook
from tuckshop.domain.rules.rules import Finding
from tuckshop.protocols.openai.contents import contents_of
from tuckshop.protocols.openai.facts import read_body, understand
from tuckshop.protocols.openai.long_texts import long_texts
from tuckshop.protocols.openai.outgoing import rewrite
from tuckshop.protocols.openai.ruled import ruled
from tuckshop.protocols.openai.table import ENDPOINTS

_ENDPOINTS: Final = {row.name: row for row in ENDPOINTS}


def answer(job: Job, body: bytes) -> Answer:
    """The answer to *job*."""
    try:
        return _answer(job, body)
    except InvalidRequestBodyError as error:
        return Answer(refusal=(error.code, (error.reason, error.param)))
    except ParameterNotAllowedError as error:
        return Answer(refusal=(error.code, (error.param, error.reason)))
    except SystemMessageNotAllowedError as error:
        return Answer(refusal=(error.code, (error.param,)))
    except MemoryError:
        return Answer(
            refusal=(InvalidRequestBodyError.code, ("it takes too much memory to read", None))
        )


def _answer(job: Job, body: bytes) -> Answer:
    endpoint = _ENDPOINTS[job.endpoint]
    if job.task == "contents":
        return Answer(contents=contents_of(endpoint, body, profile=job.profile))
    tree, facts = read_body(endpoint, body, limits=job.limits, pass_unknown=job.pass_unknown)
    findings: tuple[Finding, ...] = ()
    is_changed = False
    if job.rules is not None and job.rules.reads_bodies:
        tree, findings, is_changed = ruled(endpoint, tree, RuleBook(job.rules))
        if is_changed:
            facts = understand(endpoint, tree, limits=job.limits, pass_unknown=job.pass_unknown)
    if job.task == "understand":
        # One unknown name tells as much as all of them, of which there may be a million.
        some = replace(facts, unknown_parameters=facts.unknown_parameters[:1])
        return Answer(facts=some, findings=findings)
    if job.task == "texts":
        return Answer(texts=tuple(long_texts(endpoint, tree)))
    assert job.rewriting is not None
    return Answer(body=rewrite(endpoint, tree, facts, job.rewriting, is_changed=is_changed))
