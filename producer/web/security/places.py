"""The unit by which requests are counted for limits: an address, or an IPv6 network. Pure."""

from __future__ import annotations

import ipaddress


def place(address: str) -> str:
    """Returns the IPv4 address, or the IPv6 /64 network that one customer has.

    Text that is no address is returned as it is.
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if mapped := getattr(found, "ipv4_mapped", None):
        return str(mapped)
    return address if found.version == 4 else str(ipaddress.ip_network(f"{address}/64", strict=False))
