"""What is wrong with a course file is told at once, with file, line and column."""

from __future__ import annotations

from pathlib import Path

import pytest

from tuckshop.cli.course_file.reading import CourseFileError, read_course
from tuckshop.cli.course_file.shape import Course


def read(folder: Path, text: str | bytes) -> Course:
    file = folder / "c.toml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_course(file)


def problems(folder: Path, text: str | bytes) -> list[str]:
    with pytest.raises(CourseFileError) as caught:
        read(folder, text)
    return [str(one).removeprefix(f"{folder}/") for one in caught.value.problems]


def test_everything_is_told_at_once(tmp_path: Path) -> None:
    text = """\
x = 1
[[group]]
name = "Swa"
titel = "x"
each = ["$0.20/month", "5 bananas/day"]
shared = ['€5/month']
time_zone = "Mars/Base"
on_disconnect = "wait"
unset = ["modls", "each"]
  [group.logging]
  bodys = "off"
[[group.member]]
external_id = "1"
limits = ["$2/month\\u0020x"]
[[group.member]]
name = 3
[[group.member]]
external_id = "1"
max_output_tokens = 0
"""

    assert problems(tmp_path, text) == [
        "c.toml:1:1: there is no field 'x'",
        "c.toml:3:8: name: expected 1 to 63 of a-z, 0-9, '.', '_' and '-', beginning with a letter or"
        " digit; free text goes into title",
        "c.toml:4:1: there is no field 'titel': did you mean 'title'?",
        "c.toml:5:27: each: expected requests, tokens, input tokens, output tokens, images or"
        " concurrent requests, in '5 bananas/day'",
        'c.toml:6:12: shared: amounts are in US dollars, so write "$" instead of "€", in \'€5/month\'',
        "c.toml:7:13: time_zone: 'Mars/Base' is not an IANA time zone such as Europe/Berlin",
        "c.toml:8:17: on_disconnect: expected 'drain' or 'cancel'",
        "c.toml:9:10: unset: there is no field 'modls' to put back: did you mean 'models'?",
        "c.toml:9:19: unset: each is said as well: one of both",
        "c.toml:11:3: there is no field 'bodys': did you mean 'bodies'?",
        "c.toml:14:26: limits: expected \"on\" or the end, in '$2/month x'",
        """c.toml:15:1: the member has no external_id: external_id = "…" is needed""",
        "c.toml:16:8: name: expected str, got int",
        "c.toml:18:1: '1' is on line 13 already",
        "c.toml:19:21: max_output_tokens: expected int >= 1",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "c.toml:1:1: there is no [[group]] in it"),
        ("[group]\nname = 'a'", "c.toml:1:1: expected [[group]], with two brackets each"),
        ("group = [1]", "c.toml:1:10: expected a table, as of [[group]]"),
        ("[[group]]\nname = ", "c.toml:2:8: this is not TOML: Invalid value"),
        (
            "[[group]]\nname = 'a'\nname = 'b'",
            "c.toml:3:11: this is not TOML: Cannot overwrite a value",
        ),
        ("x = " + "[" * 5000, "c.toml:1:1: this is not TOML: is nested too deeply"),
        ("x = " + "9" * 5000, "c.toml:1:1: this is not TOML: Exceeds the limit"),
        (b"[[group]]\nname = '\xff'", "c.toml:2:9: is not UTF-8: save the file as UTF-8"),
        (
            "[[group]]\nname = 'a'\n[[group]]\nname = 'a'",
            "c.toml:4:1: the group 'a' is on line 2 already",
        ),
        (
            "[[group]]\nname = 'a'\nid_column = 'x'",
            "c.toml:3:1: id_column is for a roster, and none is named",
        ),
        ("[[group]]\nname = 'a'\nroster = 'no.csv'", "c.toml:3:10: roster: "),
    ],
)
def test_one_fault(tmp_path: Path, text: str | bytes, told: str) -> None:
    found = problems(tmp_path, text)

    assert len(found) == 1
    assert found[0].startswith(told)


def test_fields_are_read_as_the_server_reads_them(tmp_path: Path) -> None:
    course = read(
        tmp_path,
        b"\xef\xbb\xbf[[group]]\r\nname = 'a'\r\ntitle = ' x '\r\n"
        b"each = ['35 rpm', '$1/mo']\r\nmodels = ['b', 'b']\r\n",
    )

    assert course.groups[0].fields == {
        "name": "a",
        "title": "x",
        "models": ["b"],
        "each": ["35 requests/minute", "$1/month"],
    }
    assert course.groups[0].members is None


def test_a_roster_is_read_beside_the_file_and_told_by_its_own_lines(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("id;name;E-Mail\n1;Ada;ada@x\n2;Bob;\n;Eve;\n3;Zoe;nobody\n")

    assert problems(tmp_path, "[[group]]\nname = 'a'\nroster = 'r.csv'") == [
        "r.csv:4: external_id is empty (the row of Eve)",
        "r.csv:5: email 'nobody' is not an e-mail address",
    ]


def test_a_member_table_adds_to_the_row_of_the_roster(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("id;name\nada@x;Ada\n2;Bob\n")

    course = read(
        tmp_path,
        "[[group]]\nname = 'a'\nroster = 'r.csv'\n"
        "member = [{external_id = 'ADA@x', limits = ['$2/mo']}, {external_id = '3'}]",
    )

    assert course.groups[0].members is not None
    assert [dict(one.fields) for one in course.groups[0].members] == [
        {"external_id": "ADA@x", "name": "Ada", "limits": ["$2/month"]},
        {"external_id": "2", "name": "Bob"},
        {"external_id": "3"},
    ]
