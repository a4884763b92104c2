#!/bin/sh
# Runs the kind of iptables, nft or legacy, that the node's own rules are written in; asked once a container.
set -eu
choice=/run/iptables-kind
if [ ! -s "$choice" ]; then
    legacy=$( (/usr/sbin/iptables-legacy-save || true) 2>/dev/null | grep -c '^-' || true)
    nft=$( (/usr/sbin/iptables-nft-save || true) 2>/dev/null | grep -c '^-' || true)
    if [ "$legacy" -gt "$nft" ]; then echo legacy > "$choice"; else echo nft > "$choice"; fi
fi
name=$(basename "$0")
# iptables-save and ip6tables-restore have the kind in the middle of their names.
exec "/usr/sbin/${name%%-*}-$(cat "$choice")${name#"${name%%-*}"}" "$@"
