"""
`tuckshop apply`: make the server match a file.

The difference is computed from what the server has, then done group by group by the calls that every client has. Each
may be repeated, and a policy is changed only while it is still the one that was compared. So a file is not all or
nothing, as no call for thousands of people could be: what fails in the middle leaves what was done before, and doing it
again goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from tuckshop.cli import options
from tuckshop.cli.client import Client, Json, RefusedError
from tuckshop.cli.output import clean, note, print_json
from tuckshop.cli.terminal import counting
from tuckshop.domain.wording import counted

if TYPE_CHECKING:
    from tuckshop.cli.course_file.plan import GroupNow, GroupStep, MemberStep

_ROWS_PER_CALL: Final = 200
_HOW_TO_ANSWER: Final = "If they are people who are new to the group, say so with --as-new."


@click.command()
@click.argument("course", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--dry-run", is_flag=True, help="Show the difference; change nothing.")
@click.option(
    "--check", is_flag=True, help="The same, with exit status 1 if anything would change."
)
@click.option(
    "--as-new", is_flag=True, help="The people who look new, or respelled, are new to the group."
)
@click.option(
    "--pause-missing", is_flag=True, help="Pause who is active in a group and not in the file."
)
@options.as_json
def apply(
    course: Path, dry_run: bool, check: bool, as_new: bool, pause_missing: bool, as_json: bool
) -> None:
    """
    Make the server match the file COURSE: groups, their policies and members.

    Only groups that are in the file are touched. A field that it does not say stays as it is; `unset = ["models"]`
    puts one back to its default. Who is in a group and not in the file is told, and paused only with --pause-missing.
    Doing it again changes nothing. With --dry-run the exit status is 0 whether anything differs or not; with --check
    it is 1 if it does.

    \b
    Example:
      tuckshop apply course.toml --dry-run
      tuckshop apply course.toml
      tuckshop group export swa -o course.toml
    """
    # Only here: what a file means is read by the server's own code, which other commands need not load.
    from tuckshop.cli.course_file.plan import plan_of
    from tuckshop.cli.course_file.reading import CourseFileError, read_course
    from tuckshop.cli.course_file.showing import plan_json, print_plan

    try:
        wanted = read_course(course)
    except OSError as error:
        raise RefusedError(f"{course} cannot be read: {error.strerror}.") from error
    except CourseFileError as error:
        lines = [clean(problem) for problem in error.problems]
        raise RefusedError("\n".join([*lines, "Nothing was changed."])) from error
    client = Client.connect()
    now = groups_now(
        client,
        [group.name for group in wanted.groups],
        notify={group.name for group in wanted.groups if group.notify is not None},
    )
    steps = plan_of(wanted, now)
    differs = any(step.changes_anything(pause_missing=pause_missing) for step in steps)
    is_dry = dry_run or check
    if not as_json:
        print_plan(steps, pause_missing=pause_missing)
    if not is_dry:
        _refuse_what_is_unclear(steps, as_new=as_new)
        _carry_out(client, steps, pause_missing=pause_missing, hidden=as_json)
    worst_cases = {} if is_dry else _worst_cases(client, steps)
    if as_json:
        groups = plan_json(steps, pause_missing=pause_missing)
        for group in groups:
            group["worst_case"] = worst_cases.get(group["name"])
        print_json({"groups": groups, "differs": differs, "applied": not is_dry})
    else:
        for name, worst_case in worst_cases.items():
            click.echo(clean(f"{name}: {worst_case['sentence']}"))
            if not worst_case["bounds"]:
                note(f'Mend it: each = ["$0.20/month"] in the group {name}.')
        if not differs:
            click.echo("Nothing to change.")
        elif is_dry:
            click.echo("Nothing was changed.")
        if not pause_missing and any(step.to_pause for step in steps):
            note("Who is not in the file can go on. --pause-missing pauses them.")
    if check and differs:
        raise RefusedError(f"The server differs from {course}.")


def groups_now(
    client: Client, names: Sequence[str], *, notify: Collection[str] = ()
) -> dict[str, GroupNow]:
    """Those of the groups *names* that there are, with all their members, and of *notify* with who is mailed."""
    from tuckshop.cli.course_file.plan import GroupNow

    ids = {one["name"]: one["id"] for one in client.rows("groups", state="all")}
    found: dict[str, GroupNow] = {}
    for name in names:
        if name in ids:
            shape, version = client.get_with_version("groups", ids[name])
            members = list(client.rows("groups", ids[name], "members", state="all"))
            mailed = client.get("groups", ids[name], "notify") if name in notify else None
            found[name] = GroupNow(shape, members, version, mailed)
    return found


def _refuse_what_is_unclear(steps: Sequence[GroupStep], *, as_new: bool) -> None:
    reasons = [
        f'{step.source}: the group {step.name!r} is archived: state = "active" brings it back'
        for step in steps
        if step.is_archived
    ]
    if not as_new:
        reasons += [
            f"{step.name}: {asked}. {_HOW_TO_ANSWER}" for step in steps for asked in step.questions
        ]
    if reasons:
        raise RefusedError(_clean_lines([*reasons, "Nothing was changed."]))


def _carry_out(
    client: Client, steps: Sequence[GroupStep], *, pause_missing: bool, hidden: bool
) -> None:
    done: list[str] = []
    people = sum(len(step.changed_members) for step in steps)
    people += sum(len(step.to_pause) for step in steps) if pause_missing else 0
    try:
        with counting("Members", people, hidden=hidden) as more_are_done:
            for step in steps:
                for what in _do(client, step, more_are_done, pause_missing=pause_missing):
                    done.append(f"{step.name}: {what}")
    except RefusedError as error:
        told = ["Done before that:", *(f"  {what}" for what in done or ["nothing"])]
        again = "Doing it again goes on from there."
        raise RefusedError(_clean_lines([*error.message.splitlines(), *told, again])) from error


def _do(
    client: Client,
    step: GroupStep,
    more_are_done: Callable[[int], None],
    *,
    pause_missing: bool,
) -> Iterator[str]:
    """Do one group; tells each piece that is done, and how many people with it."""
    group_id = _policy(client, step)
    if step.notify is not None:
        client.put("groups", group_id, "notify", body=step.notify.after)
    if step.action != "unchanged":
        yield "made" if step.id is None else "changed"
    rows = step.changed_members
    done = 0
    for start in range(0, len(rows), _ROWS_PER_CALL):
        some = rows[start : start + _ROWS_PER_CALL]
        _put_members(client, group_id, some)
        done += len(some)
        more_are_done(len(some))
        yield f"{done} of {counted(len(rows), 'member')}"
    if pause_missing:
        for one in step.to_pause:
            client.post("members", one["id"], "pause")
            more_are_done(1)
            yield f"{one['external_id']} paused"


def _policy(client: Client, step: GroupStep) -> str:
    """Make the group or change its policy; what the server refuses is told with the line of the file. Its id."""
    said = {change.field: change.after for change in step.changes}
    try:
        if step.id is None:
            return str(client.make("groups", body=said)["id"])
        if said:
            client.patch("groups", step.id, body=said, version=step.version)
        return step.id
    except RefusedError as error:
        field = error.message.split(":")[0].split("[")[0]
        source = step.sources.get(field, step.source)
        raise RefusedError(f"{source}: {error.message}") from error


def _put_members(client: Client, group_id: str, steps: Sequence[MemberStep]) -> None:
    bodies = [
        {
            **{one.field: one.after for one in step.changes if one.field != "state"},
            "external_id": step.external_id,
        }
        for step in steps
    ]
    answer = client.make("groups", group_id, "members", body=bodies)
    if answer["errors"]:
        lines = [
            f"{steps[error['line'] - 1].source}: {error['field'] or 'the row'} {error['message']}"
            for error in answer["errors"]
        ]
        raise RefusedError("\n".join([*lines, "The other rows of this batch went in."]))
    if "count" in answer:
        # The answer of a group that shows pseudonyms tells no ids.
        for step in steps:
            if step.sets_state is not None:
                raise RefusedError(
                    f"{step.source}: state: the group shows pseudonyms: set it by id."
                )
        return
    for step, made in zip(steps, answer["data"], strict=True):
        if step.sets_state is not None:
            client.post("members", made["id"], "pause" if step.sets_state == "paused" else "resume")


def _worst_cases(client: Client, steps: Sequence[GroupStep]) -> dict[str, Json]:
    return {step.name: client.get("groups", step.name)["worst_case"] for step in steps}


def _clean_lines(lines: Sequence[str]) -> str:
    """*lines*, which a name from outside cannot break."""
    return "\n".join(clean(line) for line in lines)
