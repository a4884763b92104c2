"""The virtual private cloud: addresses, the bridge, namespaces, packet rules and names."""
