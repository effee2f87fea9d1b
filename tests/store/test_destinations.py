"""Where callbacks may go: no text breaks the reading of an address, and no spelling changes the verdict on it."""

import ipaddress
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from store.destinations import Destinations, InvalidDestination

STRICT = Destinations(plain_http=False, networks=())
IPV4 = st.ip_addresses(v=4) | st.sampled_from(
    [
        ipaddress.IPv4Address(text)
        for text in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "8.8.8.8", "0.0.0.0")
    ]
)
SPECIAL = (
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.2.0/24 192.168.0.0/16 "
    "198.18.0.0/15 224.0.0.0/4 240.0.0.0/4 ::/128 ::1/128 64:ff9b::/96 100::/64 2001::/32 2001:db8::/32 2002::/16 "
    "fc00::/7 fe80::/10 fec0::/10 ff00::/8"
)


def permitted(url: str, rules: Destinations = STRICT) -> bool:
    try:
        rules.read(url)
    except InvalidDestination:
        return False
    return True


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


@given(IPV4)
def test_every_spelling_of_an_address_has_the_same_verdict(address: ipaddress.IPv4Address) -> None:
    verdict = STRICT.permit(address)
    assert verdict == (address.is_global and not address.is_multicast)
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


@pytest.mark.parametrize("network", SPECIAL.split())
def test_networks_that_are_not_of_the_public_internet(network: str) -> None:
    whole = ipaddress.ip_network(network)
    for address in (whole[0], whole[whole.num_addresses // 2], whole[-1]):
        assert not STRICT.permit(address), address


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
