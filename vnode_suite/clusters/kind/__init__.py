"""Clusters in Docker: kind, through pytest-kind's `KindCluster`, with kubeadm's real kube-proxy and kindnet."""
