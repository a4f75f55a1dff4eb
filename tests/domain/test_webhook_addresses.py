"""Webhooks reach public addresses, and no others, however an address is written or embedded."""

from ipaddress import ip_address, ip_network
from typing import Final

import pytest

from mediation_api.domain.webhook_addresses import THIS_MACHINE, is_allowed, overlaps

DENIED: Final = (
    "0.0.0.0",  # noqa: S104 - an address
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",  # metadata of a cloud
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",  # metadata of a cloud
    "169.254.169.254",  # metadata of most clouds
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",  # metadata of a cloud
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",  # IPv4-compatible 127.0.0.1
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",  # NAT64 of 127.0.0.1
    "64:ff9b:1::7f00:1",
    "100::1",
    "2001::1",  # Teredo
    "2001:db8::1",
    "2002:7f00:1::",  # 6to4 of 127.0.0.1
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",  # metadata of a cloud
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
)
PUBLIC: Final = ("1.1.1.1", "9.9.9.9", "172.15.255.255", "172.32.0.1", "192.167.1.1", "2606:4700::1111", "2a00:1450::1")


@pytest.mark.parametrize("address", DENIED)
def test_an_address_that_is_not_public_is_denied(address: str) -> None:
    assert not is_allowed(ip_address(address), ())


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_allowed(address: str) -> None:
    assert is_allowed(ip_address(address), ())


def test_the_test_of_the_standard_library_would_let_some_of_them_pass() -> None:
    assert {address for address in DENIED if ip_address(address).is_global} >= {
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "::7f00:1",
        "224.0.0.1",
        "168.63.129.16",
    }


def test_a_network_that_is_named_is_allowed_and_no_other() -> None:
    own = (ip_network("10.20.0.0/16"), ip_network("fd12::/16"))
    assert is_allowed(ip_address("10.20.3.4"), own)
    assert is_allowed(ip_address("fd12::1"), own)
    assert not is_allowed(ip_address("10.21.3.4"), own)
    assert not is_allowed(ip_address("::1"), own)


def test_networks_overlap_if_they_share_an_address() -> None:
    named = ("127.0.0.1/32", "0.0.0.0/0", "::1/128", "::/0", "10.0.0.0/8", "fd00::/8")
    assert [any(overlaps(ip_network(one), never) for never in THIS_MACHINE) for one in named] == [
        *[True] * 4,
        *[False] * 2,
    ]
