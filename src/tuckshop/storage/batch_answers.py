"""What is done with the parts of a batch inside its transaction, and what each is answered."""

from __future__ import annotations

from tuckshop.storage.batch import BatchHandler, Submission
from tuckshop.storage.session import WriterSession
from tuckshop.storage.trouble import trouble_of
from tuckshop.storage.work import AdminJob, Returned, Work


def apply(
    handler: BatchHandler, batch: list[Work], session: WriterSession
) -> list[tuple[Work, object]]:
    """
    Do a batch in order: runs of ledger operations in bulk, admin jobs one by one.

    Returns:
        Answers to those of the batch, and to others who waited until now.
    Raises:
        Exception: The batch cannot be written; an admin job's own mistake is its answer.
    """
    answers: list[tuple[Work, object]] = []
    run: list[Submission] = []
    for item in batch:
        if isinstance(item, Submission):
            run.append(item)
            continue
        if run:
            answers += handler.apply(run)
            run = []
        if not _is_given_up(item):
            answers.append(_do(item, session))
    if run or not batch:
        answers += handler.apply(run)
    answers += handler.finish()
    return answers


def do_jobs(batch: list[Work], session: WriterSession) -> list[tuple[Work, object]]:
    """The same where there is no ledger yet: admin jobs alone."""
    return [_do(item, session) for item in batch if not _is_given_up(item)]


def _do(item: Work, session: WriterSession) -> tuple[Work, object]:
    if not isinstance(item, AdminJob):
        return item, None
    session.savepoint()
    try:
        value = item.work(session.transaction)
    except Exception as error:
        if trouble_of(error) is not None or not session.driver.in_transaction:
            raise  # not this job's fault: the whole batch cannot be written
        session.roll_back_to_savepoint()
        return item, error
    session.release()
    return item, Returned(value)


def _is_given_up(item: Work) -> bool:
    """Whether nobody waits any more for a change that was not begun."""
    return isinstance(item, AdminJob) and item.future.done()
