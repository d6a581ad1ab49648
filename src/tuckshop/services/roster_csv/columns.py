"""Which column means what, by the names that platforms and people give them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tuckshop.services.roster_csv.errors import RosterFileError

# What a header says, folded by `_folded`. Ids in order of preference: what the institution calls a person, before what
# a platform calls its account, before an address.
_IDS: Final = (
    ("externalid",),
    # Moodle (ID number), Canvas (SIS User ID), Blackboard (Student ID), OpenOlat, Stud.IP, ILIAS (Matrikelnummer)
    ("idnumber", "sisuserid", "studentid", "studentnumber", "studentno", "matriculationnumber"),
    ("matrikelnummer", "matrikelnr", "matrnr", "matrikel", "mtknr", "idnummer", "personalnummer"),
    ("institutionsnummer", "institutionsnummermatrikelnummer", "institutionalidentifier"),
    ("numeroetudiant", "numerodetudiant", "numerodidentification", "numeroidentificacion"),
    ("numerodeidentificacion", "matricula", "numerodematricula", "numeromatricola", "matricola"),
    ("codicestudente", "studentnummer", "studienummer", "numeralbumu", "numerdealumno"),
    ("username", "userid", "login", "loginid", "sisloginid", "loginname", "uid", "account"),
    ("benutzername", "anmeldename", "nutzername", "nutzernamen", "kennung", "benutzerkennung"),
    ("nomdutilisateur", "identifiant", "nombredeusuario", "usuario", "nomeutente"),
    ("gebruikersnaam", "nazwauzytkownika", "nomedeusuario"),
    ("id",),
)
_EMAILS: Final = (
    ("email", "emailaddress", "mail", "mailaddress", "emailadresse", "mailadresse"),
    ("adressedecourriel", "courriel", "adressemail", "direcciondecorreo", "correo"),
    ("correoelectronico", "indirizzoemail", "emailadres", "adresemail", "enderecodeemail"),
)
_NAMES: Final = (
    ("name", "fullname", "displayname", "student", "studentname", "participant"),
    ("vollstandigername", "anzeigename", "teilnehmer", "nomcomplet", "nombrecompleto"),
    ("nomecompleto", "volledigenaam", "nomecognome", "imieinazwisko"),
)
_FIRST_NAMES: Final = (
    ("firstname", "givenname", "forename", "vorname", "vornamen", "prenom"),
    ("nombre", "nome", "voornaam", "imie"),
)
_LAST_NAMES: Final = (
    ("lastname", "surname", "familyname", "nachname", "familienname", "zuname"),
    ("nom", "nomdefamille", "apellido", "apellidos", "apellidos", "cognome", "sobrenome"),
    ("achternaam", "nazwisko"),
)
_OTHERS: Final = {"limits": "limits", "limit": "limits", "models": "models", "model": "models"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Places of the columns that are read, from 0; None where there is none."""

    external_id: int
    name: int | None
    first_name: int | None
    last_name: int | None
    email: int | None
    limits: int | None
    models: int | None
    header: tuple[str, ...]

    @property
    def read(self) -> dict[str, str]:
        """Field → the column's own name, for those that are read."""
        fields = ("external_id", "name", "first_name", "last_name", "email", "limits", "models")
        places = {field: getattr(self, field) for field in fields}
        return {field: self.header[place] for field, place in places.items() if place is not None}

    @property
    def ignored(self) -> tuple[str, ...]:
        """Names of the columns that mean nothing here."""
        read = set(self.read.values())
        return tuple(name for name in self.header if name and name not in read)


def columns_of(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, id_column: str | None = None
) -> Columns:
    """
    What the columns of *header* mean.

    The external id is the best-ranked column that is not empty all the way down, unless *id_column* names one.

    Raises:
        RosterFileError: No column can be the external id, or one name stands twice.
    """
    names = tuple(name.strip() for name in header)
    folded = [_folded(name) for name in names]
    place = _named(names, folded, id_column) if id_column else _id_place(folded, rows)
    if place is None:
        raise RosterFileError(
            "no column says who a person is: the first line must name one, such as 'external_id', "
            f"'ID number', 'Matrikelnummer', 'Username' or 'E-mail'; it holds {_listed(names)}"
        )
    free = ["" if index == place else name for index, name in enumerate(folded)]
    others = {_OTHERS[name]: index for index, name in enumerate(folded) if name in _OTHERS}
    email = _first(folded, _EMAILS)
    return Columns(
        external_id=place,
        name=_first(free, _NAMES),
        first_name=_first(free, _FIRST_NAMES),
        last_name=_first(free, _LAST_NAMES),
        email=email,
        limits=others.get("limits"),
        models=others.get("models"),
        header=names,
    )


def _id_place(folded: Sequence[str], rows: Sequence[Sequence[str]]) -> int | None:
    for names in (*_IDS, *_EMAILS):
        for index, name in enumerate(folded):
            if name in names and (not rows or _is_filled(rows, index)):
                return index
    return None


def _is_filled(rows: Sequence[Sequence[str]], index: int) -> bool:
    return any(index < len(row) and row[index].strip() for row in rows)


def _named(names: Sequence[str], folded: Sequence[str], wanted: str) -> int:
    found = [index for index, name in enumerate(folded) if name == _folded(wanted)]
    if len(found) != 1:
        how = "no column is" if not found else f"{len(found)} columns are"
        raise RosterFileError(f"{how} called {wanted!r}: there are {_listed(names)}")
    return found[0]


def _first(folded: Sequence[str], ranks: Sequence[Sequence[str]]) -> int | None:
    wanted = {name for names in ranks for name in names}
    return next((index for index, name in enumerate(folded) if name in wanted), None)


def _folded(name: str) -> str:
    """Letters and digits only, without case and accents: `E-Mail-Adresse` and `e mail adresse` are one."""
    plain = unicodedata.normalize("NFKD", name.casefold())
    return re.sub(r"[^a-z0-9]", "", plain.replace("ł", "l"))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names if name) or "nothing"
