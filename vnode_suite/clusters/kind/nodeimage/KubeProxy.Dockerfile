# kube-proxy runs iptables, and the one that the node runs: two kinds of it on one kernel do not see each other's rules.
ARG BASE
FROM ${BASE}
COPY root/ /
