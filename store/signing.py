"""What callbacks are signed with: a secret of each tenant, after the Standard Webhooks specification.

`python -m service.keys secret --tenant acme` makes one; a tenant with two gets two signatures, to change them.
"""

import base64
import binascii
import hmac
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from store.keys import TENANT
from store.settings import StoreSettings

_PREFIX = "whsec_"
# The specification asks for 24 to 64 bytes.
_BYTES = range(24, 65)


class InvalidSecrets(ValueError):
    """The configured secrets cannot be read; the message names every line that is wrong, and shows none."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """All secrets, by tenant; those of a tenant in the order of their lines."""

    by_tenant: Mapping[str, tuple[bytes, ...]] = field(repr=False)

    @classmethod
    def of(cls, settings: StoreSettings) -> "Secrets":
        """Read the secrets of the file and of the environment; raises InvalidSecrets and OSError."""
        found = [*_read("RANEF_CALLBACK_SECRETS", settings.callback_secrets.replace(";", "\n"))]
        if settings.callback_secrets_file is not None:
            path = settings.callback_secrets_file
            found += _read(str(path), path.read_text(encoding="utf-8"))
        wrong = [entry for entry in found if isinstance(entry, str)]
        if wrong:
            raise InvalidSecrets("; ".join(wrong))
        by_tenant: dict[str, tuple[bytes, ...]] = {}
        for entry in found:
            if not isinstance(entry, str):
                tenant, secret = entry
                by_tenant[tenant] = (*by_tenant.get(tenant, ()), secret)
        return cls(by_tenant)

    def __contains__(self, tenant: str) -> bool:
        return tenant in self.by_tenant

    def sign(self, tenant: str, message: str, timestamp: int, body: bytes) -> str:
        """Give the header `webhook-signature`: one signature by each secret of the tenant; raises KeyError.

        Each is `v1,` and the base64 of HMAC-SHA256 over id, timestamp (unix seconds) and body, with points between.
        """
        signed = f"{message}.{timestamp}.".encode() + body
        digests = (hmac.digest(secret, signed, "sha256") for secret in self.by_tenant[tenant])
        return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


def new_secret() -> str:
    """Make a secret of 256 random bits, as receivers want it."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def _read(source: str, text: str) -> Iterator[tuple[str, bytes] | str]:
    """Give the tenants and secrets of a text, and for each line that is none what is wrong with it."""
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        place = f"{source}, line {number}"
        if len(words) != 2 or not TENANT.fullmatch(words[0]):
            yield f"{place}: a line is a tenant and a secret"
            continue
        tenant, secret = words
        try:
            decoded = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            decoded = b""
        if not secret.startswith(_PREFIX) or len(decoded) not in _BYTES:
            yield f"{place}: a secret is `{_PREFIX}` and the base64 of 24 to 64 bytes"
        else:
            yield tenant, decoded
