"""Rosters as Moodle, Canvas, Blackboard, OpenOlat, Stud.IP and Excel write them."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from tuckshop.domain.external_id import folded
from tuckshop.services.roster_csv.errors import RosterFileError
from tuckshop.services.roster_csv.reader import CsvRoster, read_csv
from tuckshop.services.shapes.members import NewMember
from tuckshop.services.shapes.rosters import RowError

ADA = ("4711", "Ada Lovelace", "ada@example.org")


def people(roster: CsvRoster) -> list[tuple[str, object, object]]:
    """(external id, name, e-mail) of each row that was read."""
    return [
        (one.row.external_id, one.row.name, one.row.email)
        for one in roster.lines
        if isinstance(one.row, NewMember)
    ]


def failures(roster: CsvRoster) -> list[tuple[int, str | None, str]]:
    return [
        (one.row.line, one.row.field, one.row.message)
        for one in roster.lines
        if isinstance(one.row, RowError)
    ]


EXPORTS = {
    "ours": b"external_id,name,email\n4711,Ada Lovelace,ada@example.org\n",
    "Moodle": b'"First name","Last name","ID number","Email address"\r\nAda,Lovelace,4711,ada@example.org\r\n',
    "Moodle in German, by Excel": (
        "Vorname;Nachname;ID-Nummer;E-Mail-Adresse;Gruppen\r\nAda;Lovelace;4711;ada@example.org;Übung 3\r\n"
    ).encode("cp1252"),
    "Moodle in French": (
        "Prénom,Nom,Numéro d'identification,Adresse de courriel\nAda,Lovelace,4711,ada@example.org\n"
    ).encode(),
    "Moodle in Spanish": (
        "Nombre,Apellido(s),Número de ID,Dirección de correo,Matrícula\n"
        "Ada,Lovelace,,ada@example.org,4711\n"
    ).encode(),
    "Canvas": (
        b"Student,ID,SIS User ID,SIS Login ID,Section,E-mail,Essay (1)\r\n"
        b"    Points Possible,,,,,,10\r\n"
        b"Ada Lovelace,102,4711,ada,One,ada@example.org,9\r\n"
    ),
    "Blackboard": codecs.BOM_UTF16_LE
    + (
        '"Last Name"\t"First Name"\t"Username"\t"Student ID"\t"Email"\n'
        '"Lovelace"\t"Ada"\t"alov"\t"4711"\t"ada@example.org"\n'
    ).encode("utf-16-le"),
    "OpenOlat": (
        "Benutzername;Vorname;Nachname;E-Mail;Institutionsnummer (Matrikelnummer)\n"
        "alov;Ada;Lovelace;ada@example.org;4711\n"
    ).encode("utf-8-sig"),
    "Stud.IP": (
        "Anrede;Titel;Vorname;Nachname;Titel2;Nutzernamen;E-Mail;Matrikelnummer;Studiengänge\n"
        'Frau;;Ada;Lovelace;;alov;ada@example.org;4711;"Mathematik,\nInformatik"\n'
    ).encode(),
    "Excel, told the delimiter": b"sep=|\r\nName|Matr.-Nr.|Mail\r\nAda Lovelace|4711|ada@example.org\r\n",
    "Excel, UTF-16 without a mark": "Name\tMatrikelnr\tMail\r\nAda Lovelace\t4711\tada@example.org\r\n".encode(
        "utf-16-le"
    ),
    "numbers kept as text": b'id number,name,email\n"=""4711""",Ada Lovelace,ada@example.org\n',
}


@pytest.mark.parametrize("export", EXPORTS)
def test_an_export_is_read_as_it_is(export: str) -> None:
    roster = read_csv(EXPORTS[export])

    assert people(roster) == [ADA]
    assert failures(roster) == []


def test_what_was_ignored_is_told() -> None:
    roster = read_csv(EXPORTS["Canvas"])

    assert roster.columns.read == {
        "external_id": "SIS User ID",
        "name": "Student",
        "email": "E-mail",
    }
    assert roster.columns.ignored == ("ID", "SIS Login ID", "Section", "Essay (1)")


def test_umlauts_survive_whatever_wrote_them() -> None:
    text = "Matrikelnummer;Name\n1;Zoë Müßig\n"

    for encoding in ("utf-8", "utf-8-sig", "utf-16", "cp1252"):
        assert people(read_csv(text.encode(encoding))) == [("1", "Zoë Müßig", UNSET)]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"PK\x03\x04\x14\x00", "workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", ".xls"),
        (b"%PDF-1.7", "PDF"),
        (b"", "empty"),
        (b"\r\n  \r\n", "empty"),
        (b"name,age\nAda,36\n", "no column says who a person is"),
        (b"id" + b"," * 2_000_000 + b"\n1\n", "line 1 has 2,000,001 columns, more than any"),
        (b"id\n1\n2" + b"," * 2_000_000 + b"\n", "line 3 has 2,000,001 columns, more than any"),
        (b'id,name\n1,"Ada\n2,Bob\n', 'quotation mark (") that is never closed'),
        (b'id,name\n1,"' + b"x\n" * 60_000, "never closed"),
        (b"id,name\n\x81,x\n", "neither UTF-8, UTF-16 nor Windows-1252"),
        (b"id,na\0me\n1,x\n", "neither UTF-8, UTF-16 nor Windows-1252"),
    ],
)
def test_a_file_that_is_no_roster_is_told_what_it_is(raw: bytes, said: str) -> None:
    with pytest.raises(RosterFileError) as caught:
        read_csv(raw)

    assert said in str(caught.value)


def test_bad_rows_are_named_by_their_own_line() -> None:
    roster = read_csv(
        b'id,name\n1,"Ada\nLovelace"\n\n2,Bob,surplus\n,Nobody\n1,Twice\n A@Example.org ,x\na@example.ORG,y\n3,ok\n'
    )

    assert people(roster) == [
        ("1", "Ada Lovelace", UNSET),
        ("A@Example.org", "x", UNSET),
        ("3", "ok", UNSET),
    ]
    assert failures(roster) == [
        (5, None, failures(roster)[0][2]),
        (6, "external_id", "is empty (the row of Nobody)"),
        (7, "external_id", "'1' is on line 2 already"),
        (9, "external_id", "'a@example.ORG' is on line 8 already"),
    ]
    assert "3 cells where the header has 2" in failures(roster)[0][2]
    assert failures(roster)[0][2].endswith("(the row of 2, Bob)")


def test_an_empty_cell_changes_nothing() -> None:
    (one,) = read_csv(b"id,name,email,limits,models\n1,,,,\n").lines

    assert one.row == NewMember(external_id="1")


def test_limits_and_models_may_stand_in_a_column() -> None:
    (one,) = read_csv(b'id;limits;models\n1;"$2/month; 10 requests/day";gpt-4o*\n').lines

    assert one.row == NewMember(
        external_id="1", limits=["$2/month", "10 requests/day"], models=["gpt-4o*"]
    )


def test_a_column_can_be_named_where_there_is_a_choice() -> None:
    raw = b"Username,Student ID\nalov,4711\n"

    assert people(read_csv(raw))[0][0] == "4711"
    assert people(read_csv(raw, id_column="user name"))[0][0] == "alov"
    with pytest.raises(RosterFileError, match=r"no column is called 'Nosuch'"):
        read_csv(raw, id_column="Nosuch")


def test_a_guarded_cell_is_read_as_what_it_was_before() -> None:
    (one,) = read_csv(b"id,name\n1,'=SUM(1)\n").lines

    assert isinstance(one.row, NewMember)
    assert one.row.name == "=SUM(1)"


_TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1
).filter(lambda text: text == text.strip() and not text.startswith(("=", "'")))


@given(
    ids=st.lists(_TEXT, min_size=1, max_size=8, unique_by=folded),
    name=_TEXT,
    delimiter=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_what_a_spreadsheet_writes_is_read_back(
    ids: list[str], name: str, delimiter: str, encoding: str, end: str
) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end)
    writer.writerow(["external_id", "name"])
    writer.writerows([one, name] for one in ids)

    roster = read_csv(out.getvalue().encode(encoding))

    assert [one for one, _, _ in people(roster)] == ids
    assert {name for _, name, _ in people(roster)} == {" ".join(name.split())}


@given(st.binary(max_size=400))
def test_no_bytes_make_it_fail_otherwise(raw: bytes) -> None:
    with contextlib.suppress(RosterFileError):
        read_csv(b"id,name\n" + raw)
