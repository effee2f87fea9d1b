"""What wrote the data in a folder of the embedded server, and which servers can open them.

A server that cannot says so by an advice that cuts data away; so it is not started on them.
"""

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

RECORD = "written-by.json"
_VERSION = re.compile(r"(?i)\b(valkey|redis)\b.*?\bv=(\d+)\.(\d+)((?:\.\d+)*)")
_TITLES = {"valkey": "Valkey", "redis": "Redis"}
_LAST_COMMON = (7, 2)
"""Valkey is a fork of Redis 7.2, whose files it reads, and those of Redis before that; not those of later ones."""


@dataclass(frozen=True, slots=True)
class Version:
    """A server by name and version; what comes behind the second number changes no file."""

    name: str
    major: int
    minor: int
    rest: str = ""

    def __str__(self) -> str:
        return f"{_TITLES[self.name]} {self.major}.{self.minor}{self.rest}"

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Read what a server says of itself, or None if that is not a Valkey or Redis server's line."""
        found = _VERSION.search(text)
        return found and cls(found[1].lower(), int(found[2]), int(found[3]), found[4])

    @classmethod
    def of(cls, binary: Path) -> Self | None:
        """Ask a program for its version; None if it tells none."""
        try:
            told = subprocess.run(
                [binary, "--version"], capture_output=True, text=True, errors="replace", timeout=10.0
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return cls.read(told.stdout)

    def opens(self, written_by: "Version") -> bool:
        """Tell whether this server can open what another one has written."""
        theirs = written_by.major, written_by.minor
        if self.name == written_by.name:
            return (self.major, self.minor) >= theirs
        return self.name == "valkey" and theirs <= _LAST_COMMON


def writer(folder: Path) -> Version | None:
    """What has written in a folder: as it is recorded there, or else as its files show; None where nothing does."""
    try:
        recorded = json.loads((folder / RECORD).read_text())
        return Version.read(f"{recorded['name']} v={recorded['version']}")
    except FileNotFoundError:
        return _shown_by_files(folder)
    except (OSError, ValueError, TypeError, KeyError):
        return _shown_by_files(folder)


def record(folder: Path, version: Version) -> None:
    """Note what is about to write in a folder."""
    content = {"name": version.name, "version": f"{version.major}.{version.minor}{version.rest}"}
    new = folder / f"{RECORD}.new"
    new.write_text(json.dumps(content) + "\n")
    os.replace(new, folder / RECORD)


def _shown_by_files(folder: Path) -> Version | None:
    """The oldest server that can have written the snapshots in a folder, by their first nine bytes."""
    for file in sorted([*folder.glob("appendonlydir/*.rdb"), *folder.glob("*.rdb")]):
        with file.open("rb") as opened:
            head = opened.read(9)
        if re.fullmatch(rb"VALKEY\d{3}", head):
            return Version("valkey", 9, 0)
        if re.fullmatch(rb"REDIS\d{4}", head):
            number = int(head[5:])
            return Version("redis", *((7, 4) if number >= 12 else (7, 2) if number == 11 else (7, 0)))
    return None
