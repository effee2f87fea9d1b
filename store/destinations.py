"""Where callbacks may go: addresses that are well formed, and hosts of the public internet unless others are allowed.

What a name stands for is judged when a message is sent, by the very address that it is then sent to.
"""

import ipaddress
import re
import socket
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from model.errors import RanefError
from store.settings import StoreSettings
from store.special_addresses import Address, Network, embedded, is_public

LONGEST_URL = 2000

# Two programs that read a doubtful address differently are how one is told one thing and does another.
_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]+")
_NAME = re.compile(
    r"(?=.{1,253}\.?$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.?"
)
_PORTS = {"https": 443, "http": 80}


class InvalidDestination(RanefError):
    """A callback cannot go there; the message says why."""


@dataclass(frozen=True, slots=True)
class Destination:
    """An address of the web, taken apart: `target` is what a request asks for, path and query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """What the header Host says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Destinations:
    """The rules: whether plain HTTP is allowed, and which networks that are not public."""

    plain_http: bool
    networks: tuple[Network, ...]

    @classmethod
    def of(cls, settings: StoreSettings) -> "Destinations":
        """Take the rules from the settings."""
        return cls(settings.callback_http, settings.callback_networks)

    def read(self, url: str) -> Destination:
        """Take an address apart; raises InvalidDestination, also if it names a host by an address that is refused."""
        parts = _split(url)
        if parts.scheme not in ("https", "http"):
            raise InvalidDestination("The address begins with https://.")
        if parts.scheme == "http" and not self.plain_http:
            raise InvalidDestination("The address begins with https://; plain HTTP is not allowed here.")
        try:
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise InvalidDestination("The port is a number from 1 to 65535.") from None
        if port == 0:
            raise InvalidDestination("The port is a number from 1 to 65535.")
        literal = _literal(host)
        if literal is None and not _NAME.fullmatch(host):
            raise InvalidDestination(
                "The host is a name in letters, digits, hyphens and points, or an address."
            )
        if literal is not None and not self.permit(literal):
            raise InvalidDestination("The host is not in the public internet.")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Destination(parts.scheme, host, _PORTS[parts.scheme] if port is None else port, target)

    def permit(self, address: Address) -> bool:
        """Tell whether a message may be sent to an address: a public one, or one of the allowed networks."""
        inner = embedded(address)
        if inner and getattr(address, "ipv4_mapped", None) is not None:
            return self.permit(inner[0])
        if is_public(address):
            return True
        # Whoever allows a network of translated addresses allows none that stands for a private one.
        return any(address in network for network in self.networks) and all(map(self.permit, inner))


def _split(url: str) -> SplitResult:
    if len(url) > LONGEST_URL:
        raise InvalidDestination(f"The address has more than {LONGEST_URL} characters.")
    if not _CHARACTERS.fullmatch(url):
        raise InvalidDestination("The address has characters that are to be written as %XX, or a fragment.")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise InvalidDestination("The address is none of RFC 3986.") from None
    if "@" in parts.netloc:
        raise InvalidDestination(
            "The address holds no user and no password; put a token into the path or query."
        )
    return parts


def _literal(host: str) -> Address | None:
    """Give the address that a host is, in any of the spellings that a resolver takes for one."""
    if host.rstrip(".") == "localhost" or host.rstrip(".").endswith(".localhost"):
        return ipaddress.IPv4Address("127.0.0.1")
    if ":" in host:
        try:
            return ipaddress.IPv6Address(host)
        except ValueError:
            return None
    try:
        # Takes 127.1, 0x7f000001, 017700000001 and 2130706433 as well, as resolvers do.
        return ipaddress.IPv4Address(socket.inet_aton(host.rstrip(".")))
    except (OSError, ValueError):
        return None
