"""Which addresses of the internet are reached from everywhere: the special-purpose registries of IANA, as a table.

Python's `is_global` follows them years behind, and differs from version to version.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# IANA IPv4 Special-Purpose Address Registry and IANA IPv6 Special-Purpose Address Registry, as of October 2025
# (https://www.iana.org/assignments/iana-ipv4-special-registry, …/iana-ipv6-special-registry): every entry, and what
# its column "Globally Reachable" says; "N/A" counts as no. After them what other registries take out.
_REACHABLE = """
192.0.0.9/32 192.0.0.10/32 192.31.196.0/24 192.52.193.0/24 192.175.48.0/24
2001:1::1/128 2001:1::2/128 2001:1::3/128 2001:3::/32 2001:4:112::/48 2001:20::/28 2001:30::/28 2620:4f:8000::/48
"""
_UNREACHABLE = """
0.0.0.0/8 0.0.0.0/32 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.0.0/29
192.0.0.8/32 192.0.0.170/32 192.0.0.171/32 192.0.2.0/24 192.88.99.0/24 192.88.99.2/32 192.168.0.0/16 198.18.0.0/15
198.51.100.0/24 203.0.113.0/24 240.0.0.0/4 255.255.255.255/32
::1/128 ::/128 ::ffff:0:0/96 64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001::/23 2001::/32 2001:2::/48 2001:10::/28
2001:db8::/32 2002::/16 3fff::/20 5f00::/16 fc00::/7 fe80::/10
224.0.0.0/4 ff00::/8 fec0::/10
"""
# In the registry it is reachable; but it stands for an IPv4 address, which a translator reaches from within.
_TRANSLATED = IPv6Network("64:ff9b::/96")
_MAPPED = IPv6Network("::ffff:0:0/96")
_COMPATIBLE = IPv6Network("::/96")
_SIX_TO_FOUR, _TEREDO = IPv6Network("2002::/16"), IPv6Network("2001::/32")
_GLOBAL_UNICAST = IPv6Network("2000::/3")

# The longest prefix decides.
_SPECIAL: list[tuple[Network, bool]] = sorted(
    [(ip_network(text), True) for text in _REACHABLE.split()]
    + [(ip_network(text), False) for text in _UNREACHABLE.split()],
    key=lambda entry: -entry[0].prefixlen,
)


def is_public(address: Address) -> bool:
    """Tell whether an address is one of the public internet; none that stands for an IPv4 address is."""
    if isinstance(address, IPv6Address) and address in _TRANSLATED:
        return False
    for network, reachable in _SPECIAL:
        if address.version == network.version and address in network:
            return reachable
    return isinstance(address, IPv4Address) or address in _GLOBAL_UNICAST


def embedded(address: Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses that an IPv6 address stands for: mapped, compatible, translated or of the end of a tunnel."""
    if isinstance(address, IPv4Address):
        return ()
    bits = int(address)
    if address in _MAPPED or address in _TRANSLATED or (address in _COMPATIBLE and bits > 1):
        return (IPv4Address(bits & 0xFFFFFFFF),)
    if address in _SIX_TO_FOUR:
        return (IPv4Address(bits >> 80 & 0xFFFFFFFF),)
    if address in _TEREDO:
        return (IPv4Address(bits >> 64 & 0xFFFFFFFF), IPv4Address(~bits & 0xFFFFFFFF))
    return ()
