"""Keys: who sends a request, for which tenant, and what they may do; only hashes of keys are ever stored.

`python -m service.keys new --tenant acme --scope write` makes one: it prints the key, and the line to store.
`python -m service.keys secret --tenant acme` makes what the callbacks of a tenant are signed with.
"""

import argparse
import hashlib
import hmac
import ipaddress
import re
import secrets
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from service.settings import ServiceSettings
from store.keys import TENANT
from store.signing import new_secret

NOBODY_IN_PARTICULAR = "default"
"""The one tenant there is while there are no keys."""
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


class Scope(StrEnum):
    """What a key allows; each includes those before it."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"

    def includes(self, other: "Scope") -> bool:
        """Tell whether who may do this may do that too."""
        order = list(Scope)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class Key:
    """A key without the key itself: its SHA-256 is as good, since a key has 256 random bits."""

    tenant: str
    scope: Scope
    digest: bytes

    def __str__(self) -> str:
        return f"{self.tenant} {self.scope} sha256:{self.digest.hex()}"


class InvalidKeys(ValueError):
    """The configured keys cannot be read; the message names every line that is wrong, and shows none."""


@dataclass(frozen=True, slots=True)
class KeyRing:
    """All configured keys."""

    keys: tuple[Key, ...] = ()

    @classmethod
    def of(cls, settings: ServiceSettings) -> "KeyRing":
        """Read the keys of the file and of the environment; raises InvalidKeys and OSError."""
        text = settings.keys.replace(";", "\n")
        found = [*_read("RANEF_KEYS", text)]
        if settings.keys_file is not None:
            found += _read(str(settings.keys_file), settings.keys_file.read_text(encoding="utf-8"))
        wrong = [entry for entry in found if isinstance(entry, str)]
        keys = tuple(entry for entry in found if isinstance(entry, Key))
        if len({key.digest for key in keys}) < len(keys):
            wrong.append("a key is there twice")
        if wrong:
            raise InvalidKeys("; ".join(wrong))
        if settings.keys_file is not None and not keys:
            # An empty file is more likely an accident than a wish to serve everybody.
            raise InvalidKeys(f"{settings.keys_file} has no keys")
        return cls(keys)

    def find(self, token: str) -> Key | None:
        """Give the key that a token is, comparing it with every one in constant time."""
        digest = _digest(token)
        found = None
        for key in self.keys:
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found

    def still_has(self, digest: str, tenant: str) -> bool:
        """Tell whether a key is still there by its hash in hexadecimal digits (empty: where there are none)."""
        if not self.keys:
            return not digest and tenant == NOBODY_IN_PARTICULAR
        return any(key.digest.hex() == digest and key.tenant == tenant for key in self.keys)


def new_key(tenant: str, scope: Scope) -> tuple[str, Key]:
    """Make a key; gives the token, which is kept nowhere, and what is to be stored."""
    token = f"ranef_{secrets.token_urlsafe(32)}"
    return token, Key(tenant, scope, _digest(token))


def refusal_to_listen(settings: ServiceSettings, keys: KeyRing) -> str | None:
    """Say why a service without keys must not listen where it is told to; None if it may."""
    if keys.keys or settings.trust_everyone_on_this_network or _is_loopback(settings.host):
        return None
    return (
        f"Without keys everybody who reaches {settings.host} could use this service, so it does not start. "
        "Make a key (`python -m service.keys new --tenant NAME --scope write`) and store its line in "
        "RANEF_KEYS or in the file that RANEF_KEYS_FILE names; or listen on 127.0.0.1; or, on a network "
        "where everyone may do everything, set RANEF_TRUST_EVERYONE_ON_THIS_NETWORK=true."
    )


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _read(source: str, text: str) -> Iterator[Key | str]:
    """Give the keys of a text, and for each line that is none what is wrong with it."""
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        place = f"{source}, line {number}"
        if len(words) != 3:
            yield f"{place}: a line is a tenant, a scope and a hash"
            continue
        tenant, scope, digest = words
        if not TENANT.fullmatch(tenant):
            yield f"{place}: a tenant's name has 1 to 63 of a-z 0-9 _ -, and begins with a letter or digit"
        elif scope not in set(Scope):
            yield f"{place}: a scope is one of {', '.join(Scope)}"
        elif (match := _DIGEST.fullmatch(digest)) is None:
            yield f"{place}: a hash is `sha256:` and 64 hexadecimal digits"
        else:
            yield Key(tenant, Scope(scope), bytes.fromhex(match[1]))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _tenant(name: str) -> str:
    if not TENANT.fullmatch(name):
        raise argparse.ArgumentTypeError("1 to 63 of a-z 0-9 _ -, beginning with a letter or digit")
    return name


def main(arguments: list[str] | None = None) -> None:
    """Make a key or a secret: it goes to standard output once, with the line that is to be stored."""
    parser = argparse.ArgumentParser(
        prog="python -m service.keys", description="Keys, and secrets of callbacks."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    new = commands.add_parser("new", help="make a key")
    new.add_argument("--scope", required=True, choices=list(Scope), type=Scope)
    secret = commands.add_parser("secret", help="make a secret that callbacks are signed with")
    for command in (new, secret):
        command.add_argument("--tenant", required=True, type=_tenant)
    chosen = parser.parse_args(arguments)
    if chosen.command == "secret":
        made = new_secret()
        sys.stdout.write(
            f"secret (for who receives):  {made}\nline to store:              {chosen.tenant} {made}\n"
        )
        return
    token, key = new_key(chosen.tenant, chosen.scope)
    sys.stdout.write(f"key (shown this once):  {token}\nline to store:          {key}\n")


if __name__ == "__main__":
    main()
