"""The shapes of answers: signed links."""

from pydantic import Field

from service.answers.common import Answer


class Link(Answer):
    """A signed link, without its token."""

    id: str = Field(examples=["lnk_mfrggzdfmztwq2lknnwg23tpob"])
    """The id, by which the link is looked at and revoked; it opens nothing."""
    paths: list[str]
    """The paths that the link opens, as they were given."""
    created_at: str
    """When the link was made (RFC 3339, UTC)."""
    expires_at: str
    """When the link expires (RFC 3339, UTC)."""
    links: dict[str, str]
    """Addresses of this link itself, by name: `self`."""


class NewLink(Link):
    """A signed link that was made just now; its token is shown this once."""

    token: str
    """The secret: the value of the parameter `link` in the query of an address that the link opens."""
    addresses: list[str]
    """The addresses, token included, of the paths that do not end in `/*`, in their order."""


class LinkList(Answer):
    """A page of signed links that have not expired."""

    items: list[Link]
    """The links, the last made first."""
    next_cursor: str | None
    """The `cursor` of the next page; null on the last."""
