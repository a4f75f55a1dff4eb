"""Which addresses webhooks may be sent to: public ones alone, unless a setting names more networks.

An integration chooses the URL, and the service is inside the city's network: without this table it could be used to
reach machines there (server-side request forgery). `ipaddress.is_global` is not enough: it allows addresses that embed
another one (NAT64, 6to4, IPv4-compatible), and multicast.

Sources: the IANA registries of special-purpose addresses for IPv4 and IPv6 (RFC 6890); RFC 6052 (NAT64), RFC 3056
(6to4), RFC 4380 (Teredo).
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final, TypeAlias

HostAddress: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

THIS_MACHINE: Final[tuple[Network, ...]] = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",
            "127.0.0.0/8",
            "169.254.0.0/16",  # link-local; 169.254.169.254 has the metadata of a cloud's machine
            "168.63.129.16/32",  # the same of Azure, a public address
            "::/96",  # unspecified, loopback, IPv4-compatible
            "::ffff:0:0/96",  # IPv4-mapped
            "fe80::/10",  # link-local
        ),
    )
)
"""Addresses of the machine itself and of its cloud: no setting allows them in production."""

DENIED: Final[tuple[Network, ...]] = (
    *THIS_MACHINE,
    *map(
        ip_network,
        (
            "10.0.0.0/8",
            "100.64.0.0/10",  # shared by customers of a carrier
            "172.16.0.0/12",
            "192.0.0.0/24",  # assignments of protocols
            "192.0.2.0/24",  # documentation
            "192.31.196.0/24",  # AS112
            "192.52.193.0/24",  # automatic multicast tunnelling
            "192.88.99.0/24",  # relays of 6to4
            "192.168.0.0/16",
            "192.175.48.0/24",  # AS112
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
            "2001::/23",  # assignments of protocols, such as Teredo
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4
            "2620:4f:8000::/48",  # AS112
            "3fff::/20",  # documentation
        ),
    ),
)
"""What is denied of IPv4, and of the global unicast addresses of IPv6."""

_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
"""All other addresses of IPv6 are denied: NAT64, unique local, site-local, multicast, what is not assigned."""


def is_allowed(address: HostAddress, networks: Iterable[Network]) -> bool:
    """Whether webhooks may be sent to an address: a public one, or one of these networks."""
    if any(address in network for network in networks):
        return True
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return not any(address in network for network in DENIED)


def overlaps(one: Network, other: Network) -> bool:
    """Whether two networks have an address in common."""
    if isinstance(one, IPv4Network):
        return isinstance(other, IPv4Network) and one.overlaps(other)
    return isinstance(other, IPv6Network) and one.overlaps(other)
