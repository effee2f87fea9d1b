"""Where callbacks may go: no text breaks the reading of an address, and no spelling changes the verdict on it."""

import ipaddress
from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from store.destinations import Destinations, InvalidDestination

STRICT = Destinations(plain_http=False, networks=())
IPV4 = st.ip_addresses(v=4) | st.sampled_from(
    [
        ipaddress.IPv4Address(text)
        for text in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "8.8.8.8", "0.0.0.0")
    ]
)
# Of https://www.iana.org/assignments/iana-ipv4-special-registry and …/iana-ipv6-special-registry (October 2025): the
# address block and "Globally Reachable".
REGISTRIES = """
0.0.0.0/8 False
0.0.0.0/32 False
10.0.0.0/8 False
100.64.0.0/10 False
127.0.0.0/8 False
169.254.0.0/16 False
172.16.0.0/12 False
192.0.0.0/24 False
192.0.0.0/29 False
192.0.0.8/32 False
192.0.0.9/32 True
192.0.0.10/32 True
192.0.0.170/32 False
192.0.0.171/32 False
192.0.2.0/24 False
192.31.196.0/24 True
192.52.193.0/24 True
192.88.99.0/24 N/A
192.168.0.0/16 False
192.175.48.0/24 True
198.18.0.0/15 False
198.51.100.0/24 False
203.0.113.0/24 False
240.0.0.0/4 False
255.255.255.255/32 False
::1/128 False
::/128 False
::ffff:0:0/96 False
64:ff9b:1::/48 False
100::/64 False
100:0:0:1::/64 False
2001::/23 False
2001::/32 N/A
2001:1::1/128 True
2001:1::2/128 True
2001:1::3/128 True
2001:2::/48 False
2001:3::/32 True
2001:4:112::/48 True
2001:10::/28 N/A
2001:20::/28 True
2001:30::/28 True
2001:db8::/32 False
2002::/16 N/A
2620:4f:8000::/48 True
3fff::/20 False
5f00::/16 False
fc00::/7 False
fe80::/10 False
"""
TABLE = [
    (ipaddress.ip_network(block), reachable == "True")
    for block, reachable in (line.split() for line in REGISTRIES.strip().splitlines())
]
# Of other registries: multicast, what is not assigned for global unicast, and what was withdrawn; and the prefix of
# translators, which is reachable as such.
OTHERS = "224.0.0.0/4 ff00::/8 fec0::/10 4000::/3 1000::/4 200::/7 ::/8 64:ff9b::/96"
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def by_the_registries(address: Address) -> bool:
    """The verdict of the most special entry."""
    holding = [entry for entry in TABLE if entry[0].version == address.version and address in entry[0]]
    if holding:
        return max(holding, key=lambda entry: entry[0].prefixlen)[1]
    if address.version == 4:
        return not address.is_multicast
    return address in ipaddress.IPv6Network("2000::/3")


def permitted(url: str, rules: Destinations = STRICT) -> bool:
    try:
        rules.read(url)
    except InvalidDestination:
        return False
    return True


@settings(deadline=None)
@given(st.text() | st.text(alphabet="htps:/[]@.%?#&=\\ 0123456789abcdefx").map("https://".__add__))
@example("https://[fe80::1%25eth0]/")
@example("https://[::1]a/")
@example("https://[v1.a]/")
@example("https://1.2.3.4.5/")
@example("https://a:b:c/")
@example("https://①②⑦.⓪.⓪.①/")
def test_any_text_is_an_address_or_is_refused_in_words(text: str) -> None:
    with suppress(InvalidDestination):
        found = STRICT.read(text)
        assert found.scheme == "https"
        assert found.host
        assert 0 < found.port < 65536
        assert found.target.startswith("/")
        assert found.target.isascii()
        assert not set(found.target) & set("\r\n #")


@settings(deadline=None)
@given(IPV4)
def test_every_spelling_of_an_address_has_the_same_verdict(address: ipaddress.IPv4Address) -> None:
    verdict = STRICT.permit(address)
    assert verdict == by_the_registries(address)
    a, b, c, d = address.packed
    rest = (b << 16) + (c << 8) + d
    spellings = [f"{a}.{b}.{c}.{d}", f"{int(address)}", f"{int(address):#x}", f"0{int(address):o}"]
    spellings += [
        f"{a:#x}.{b:#x}.{c:#x}.{d:#x}",
        f"{a}.{rest}",
        f"0{a:o}.{b}.{(c << 8) + d}",
        f"[::ffff:{address}]",
    ]
    spellings += [f"{a}.{b}.{c}.{d}."]
    assert [permitted(f"https://{spelling}/") for spelling in spellings] == [verdict] * len(spellings)


@pytest.mark.parametrize(("network", "reachable"), TABLE, ids=lambda value: str(value))
def test_the_registries_of_special_addresses_are_followed(
    network: ipaddress.IPv4Network | ipaddress.IPv6Network, reachable: bool
) -> None:
    within = (network[0], network[network.num_addresses // 2], network[-1])
    beyond = [int(network[0]) - 1, int(network[-1]) + 1]
    about = [type(network[0])(each) for each in beyond if 0 <= each < 1 << network.max_prefixlen]
    mapped = ipaddress.ip_network("::ffff:0:0/96")
    for address in (*within, *about):
        if address not in mapped:
            assert STRICT.permit(address) == by_the_registries(address), address
    assert STRICT.permit(within[1]) == reachable or network.num_addresses > 1


@pytest.mark.parametrize("network", OTHERS.split())
def test_what_is_no_unicast_of_the_public_internet_is_refused(network: str) -> None:
    whole = ipaddress.ip_network(network)
    for address in (whole[0], whole[whole.num_addresses // 2], whole[-1]):
        assert not STRICT.permit(address), address


@pytest.mark.parametrize(
    "address", ["192.0.0.8", "192.0.0.100", "3fff::1", "5f00::1", "100:0:0:1::1", "192.88.99.1"]
)
def test_what_was_passed_is_refused(address: str) -> None:
    assert not STRICT.permit(ipaddress.ip_address(address))


@settings(deadline=None)
@given(IPV4)
def test_an_address_that_stands_for_another_is_public_only_if_it_is_mapped_and_the_other_is(
    inner: ipaddress.IPv4Address,
) -> None:
    bits, verdict = int(inner), by_the_registries(inner)
    mapped, compatible = ipaddress.IPv6Address(0xFFFF << 32 | bits), ipaddress.IPv6Address(bits)
    translated = ipaddress.IPv6Address(0x64FF9B << 96 | bits)
    six_to_four, teredo = (
        ipaddress.IPv6Address(0x2002 << 112 | bits << 80),
        ipaddress.IPv6Address(0x20010000 << 96 | 0x08080808 << 64 | (~bits & 0xFFFFFFFF)),
    )
    assert STRICT.permit(mapped) == verdict
    for address in (compatible, translated, six_to_four, teredo):
        assert not STRICT.permit(address)
    # Behind a translator its prefix can be allowed, and with it what is public.
    all_of_them = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "2002::/16", "2001::/32")))
    behind = Destinations(plain_http=False, networks=all_of_them)
    for address in (translated, six_to_four, teredo):
        assert behind.permit(address) == verdict


def test_an_allowed_network_is_allowed_and_no_other() -> None:
    rules = Destinations(plain_http=True, networks=(ipaddress.ip_network("10.1.0.0/16"),))
    assert permitted("http://10.1.2.3/", rules)
    assert permitted("https://[::ffff:10.1.2.3]:8443/", rules)
    assert not permitted("http://10.2.0.1/", rules)
    assert not permitted("https://10.1.2.3/")


@pytest.mark.parametrize(
    ("url", "authority", "target"),
    [
        ("https://Example.org", "example.org", "/"),
        ("https://example.org:443/a?b=c", "example.org", "/a?b=c"),
        ("https://example.org:8443?x", "example.org:8443", "/?x"),
        ("https://[2606:2800:220:1::1]:444/", "[2606:2800:220:1::1]:444", "/"),
    ],
)
def test_an_address_is_taken_apart(url: str, authority: str, target: str) -> None:
    found = STRICT.read(url)
    assert (found.authority, found.target) == (authority, target)
