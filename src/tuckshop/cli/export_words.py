"""What the page of an export says, in English and in German: plain words, for somebody who never saw tuckshop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Language = Literal["en", "de"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """One language. Texts in braces are filled in."""

    file: str  # what the page is called
    title: str
    opening: str
    heading: str
    known: str
    erased: str
    log: str
    bodies: Mapping[str, str]
    kept: str
    either: str  # between roles
    files: Mapping[str, str]  # file → what is in it
    not_here: str
    withheld: str
    lost: str
    missing_title: str
    missing: str


ENGLISH: Final = Words(
    file="README.txt",
    title="WHAT IS KNOWN ABOUT YOU",
    opening=(
        "This folder holds everything that the server which gave you a key knows about you, as of {at}. It was made by"
        " your right to know (Art. 15 GDPR) and to take your data with you (Art. 20). Files that end in .csv open in"
        " any spreadsheet, files that end in .json in any text editor. Times are in UTC unless said, money is in US"
        " dollars. A file that is not there would be empty."
    ),
    heading="{title}  (folder {name})",
    known="You are known here as {who}, since {since}.",
    erased="You were erased here on {at}: your name is gone.",
    log="Rows of the log are kept {days} days, then sums of them.",
    bodies={
        "off": "Of what you ask and what is answered nothing is kept.",
        "flagged": "Of what you ask and what is answered only that is kept in which a check or a rule found something.",
        "all": "What you ask and what is answered is kept.",
    },
    kept=(
        "Purpose: {purpose}. For {days} days. It may be read, for a reason that is written down, by staff of the role"
        " {readers}, and by the operator of the server."
    ),
    either=" or ",
    files={
        "profile.json": "who you are here, your limits and how much of them is used",
        "keys.csv": "your keys, with their last four characters: no more is kept",
        "calls.csv": "each call you made: when, with which model, what it cost",
        "usage.csv": "sums by month and model, older calls too",
        "conversations": "what you asked and what was answered, a file per call, named as in calls.csv",
        "flags.json": (
            "contents in which a check or a rule found something, and what became of it. Where `paused` is set it"
            " counted towards a pause of your key. `state`: open, upheld (it stands) or dismissed (it does not)"
        ),
        "appeals.json": "what you said to it, and links to say something by",
        "changes.csv": "extra money, limits that were reset, corrections",
        "links.csv": "links by which you could pick up a key",
        "mails.csv": "mails that were sent to you",
        "notices.csv": "what staff were told about you, in how many mails and to how many programs",
        "holds.csv": "orders that nothing of yours may be deleted",
        "read-by.csv": (
            "who opened what you wrote or who you are, when and why; tries that were refused too, and this folder. Of a"
            " search that was not about you alone: which of your calls it showed"
        ),
        "trail.csv": "everything that was done about you, by whom",
    },
    not_here="(not here)",
    withheld=(
        "Prompts and answers of {count} calls are kept, and whoever made this folder may not read them: {why} Ask for"
        " them."
    ),
    lost=(
        "Prompts and answers of {count} calls were kept and cannot be opened any more, or were just deleted since their"
        " days are over."
    ),
    missing_title="WHAT IS NOT IN IT",
    missing=(
        "Keys themselves (the server knows only a digest of them), and names of staff: `operator` is who runs the"
        " server, `token:…` a member of staff, `member:…` you, `system` the server itself. Groups that whoever made"
        " this folder does not see. Old backups, which nobody can search. What the provider of the models keeps: it"
        " saw what you wrote, under a pseudonym, and no name."
    ),
)

GERMAN: Final = Words(
    file="LIESMICH.txt",
    title="WAS ÜBER SIE BEKANNT IST",
    opening=(
        "Dieser Ordner enthält alles, was der Server, von dem Sie einen Schlüssel haben, am {at} über Sie weiß. Er"
        " entstand nach Ihrem Recht auf Auskunft (Art. 15 DSGVO) und auf Mitnahme Ihrer Daten (Art. 20). Dateien mit"
        " der Endung .csv öffnet jede Tabellenkalkulation, Dateien mit der Endung .json jeder Texteditor. Zeiten sind"
        " in UTC, wo nichts anderes steht, Geldbeträge in US-Dollar. Eine Datei, die fehlt, wäre leer."
    ),
    heading="{title}  (Ordner {name})",
    known="Sie sind hier seit {since} bekannt als {who}.",
    erased="Sie wurden hier am {at} gelöscht: Ihr Name ist nicht mehr da.",
    log="Zeilen des Protokolls werden {days} Tage aufbewahrt, danach nur Summen.",
    bodies={
        "off": "Von Ihren Fragen und den Antworten wird nichts aufbewahrt.",
        "flagged": (
            "Von Ihren Fragen und den Antworten wird nur aufbewahrt, worin eine Prüfung oder eine Regel etwas gefunden"
            " hat."
        ),
        "all": "Ihre Fragen und die Antworten werden aufbewahrt.",
    },
    kept=(
        "Zweck: {purpose}. {days} Tage lang. Lesen dürfen sie, aus einem Grund, der festgehalten wird, Betreuende mit"
        " der Rolle {readers} und der Betreiber des Servers."
    ),
    either=" oder ",
    files={
        "profile.json": "wer Sie hier sind, Ihre Grenzen, und wie viel davon verbraucht ist",
        "keys.csv": "Ihre Schlüssel mit den letzten vier Zeichen: mehr wird nicht aufbewahrt",
        "calls.csv": "jeder Ihrer Aufrufe: wann, mit welchem Modell, zu welchem Preis",
        "usage.csv": "Summen nach Monat und Modell, auch von älteren Aufrufen",
        "conversations": "Ihre Fragen und die Antworten, je Aufruf eine Datei, benannt wie in calls.csv",
        "flags.json": (
            "Inhalte, in denen eine Prüfung oder eine Regel etwas gefunden hat, und was daraus wurde. Wo `paused`"
            " steht, zählte es zu einer Sperre Ihres Schlüssels. `state`: open (offen), upheld (bestätigt) oder"
            " dismissed (verworfen)"
        ),
        "appeals.json": "was Sie dazu gesagt haben, und Links, um etwas dazu zu sagen",
        "changes.csv": "zusätzliches Geld, zurückgesetzte Grenzen, Korrekturen",
        "links.csv": "Links, über die Sie einen Schlüssel abholen konnten",
        "mails.csv": "Mails an Sie",
        "notices.csv": "was Betreuenden über Sie gemeldet wurde, in wie vielen Mails und an wie viele Programme",
        "holds.csv": "Anordnungen, dass nichts von Ihnen gelöscht werden darf",
        "read-by.csv": (
            "wer geöffnet hat, was Sie geschrieben haben oder wer Sie sind, wann und warum; auch abgelehnte Versuche"
            " und dieser Ordner. Bei einer Suche, die nicht Ihnen allein galt: welche Ihrer Aufrufe sie zeigte"
        ),
        "trail.csv": "alles, was in Bezug auf Sie getan wurde, und von wem",
    },
    not_here="(nicht hier)",
    withheld=(
        "Fragen und Antworten von {count} Aufrufen sind aufbewahrt, und wer diesen Ordner angelegt hat, darf sie nicht"
        " lesen ({why}). Fragen Sie danach."
    ),
    lost=(
        "Fragen und Antworten von {count} Aufrufen waren aufbewahrt und lassen sich nicht mehr öffnen, oder sie wurden"
        " gerade gelöscht, weil ihre Tage um sind."
    ),
    missing_title="WAS NICHT DARIN IST",
    missing=(
        "Die Schlüssel selbst (der Server kennt nur einen Prüfwert davon) und die Namen der Betreuenden: `operator`"
        " betreibt den Server, `token:…` ist eine betreuende Person, `member:…` sind Sie, `system` ist der Server"
        " selbst. Gruppen, die nicht sieht, wer diesen Ordner angelegt hat. Alte Sicherungen, die niemand durchsuchen"
        " kann. Was der Anbieter der Modelle aufbewahrt: er sah, was Sie geschrieben haben, unter einem Pseudonym und"
        " ohne Namen."
    ),
)

WORDS: Final[Mapping[Language, Words]] = {"en": ENGLISH, "de": GERMAN}
