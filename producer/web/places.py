"""What counts as one place that requests come from. Pure."""

from __future__ import annotations

import ipaddress


def place(address: str) -> str:
    """The address itself; of IPv6 the network of 64 bits that one customer has. Text that is no address stays as it is."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if mapped := getattr(found, "ipv4_mapped", None):
        return str(mapped)
    return address if found.version == 4 else str(ipaddress.ip_network(f"{address}/64", strict=False))
