"""The approver as it is deployed: its rights, and the published image's objects for a user's cluster.

Source: the vendor's published vnode-approver and its deployment. The one that a run has gets exactly
these rights, through a ServiceAccount of its own.
"""

from __future__ import annotations

from vnode_suite.access import objects
from vnode_suite.access.creating import Making
from vnode_suite.access.generate import filled_token
from vnode_suite.access.kubeconfig import AdminCluster, build
from vnode_suite.access.objects import NAMESPACE, Json, Naming
from vnode_suite.access.rights import CERTIFICATES_GROUP
from vnode_suite.core.documents import dump_yaml
from vnode_suite.core.secrets import Secret

IMAGE = "registry.cn-hangzhou.aliyuncs.com/eci-release/vnode-approver:0.0.1"
ACCOUNT = "vnode-approver"
ROLE = "system:vnode-approver"
_DEPLOYMENT = "vnode-approver-deployment"
_MOUNTED = "/var/run/secrets/kubernetes.io/serviceaccount"

#: All that the published deployment may do. It may not get a single request, nor delete one.
RULES: tuple[Json, ...] = (
    {
        "apiGroups": [CERTIFICATES_GROUP],
        "resources": ["certificatesigningrequests"],
        "verbs": ["list", "watch"],
    },
    {
        "apiGroups": [CERTIFICATES_GROUP],
        "resources": ["certificatesigningrequests/approval"],
        "verbs": ["update"],
    },
    {"apiGroups": [CERTIFICATES_GROUP], "resources": ["signers"], "verbs": ["approve"]},
    {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
)


def account_name(naming: Naming) -> str:
    """The published name for a user's own; a run's name for a run's, which may meet a published one."""
    return f"{naming.prefix}-{ACCOUNT}" if naming.run else ACCOUNT


def rights_objects(naming: Naming) -> tuple[Json, Json, Json]:
    """ServiceAccount, ClusterRole and ClusterRoleBinding of an approver."""
    account = account_name(naming)
    role = f"{naming.prefix}:{ACCOUNT}" if naming.run else ROLE
    subject: Json = {"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}
    return (
        {**objects.serviceaccount(account, naming), "automountServiceAccountToken": naming.run is None},
        objects.cluster_role(role, list(RULES), naming),
        objects.role_binding(role, role, subject, naming),
    )


def approver_access(making: Making, cluster: AdminCluster, naming: Naming) -> Secret:
    """A kubeconfig for an approver beside a run, with the published deployment's rights and no more."""
    account = account_name(naming)
    for body in (*rights_objects(naming), objects.token_secret(account, naming)):
        making.ensure(body)
    token = filled_token(making.kube, account)
    return Secret(build(cluster, {"token": token.reveal()}, server=making.kube.server), "kubeconfig")


def published_objects(naming: Naming, *, image: str = IMAGE) -> tuple[Json, ...]:
    """Everything of the published deployment, so that approving goes on when the command has ended."""
    labels = {**naming.labels, "app": ACCOUNT}
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": ACCOUNT, "namespace": NAMESPACE, "labels": labels},
        "data": {"kubeconfig.conf": _in_cluster_kubeconfig()},
    }
    container = {
        "name": "approver",
        "image": image,
        "imagePullPolicy": "Always",
        "command": [ACCOUNT, "-v=2"],
        "volumeMounts": [{"name": "kubeconfig", "mountPath": "/etc/vnode"}],
        "resources": {"limits": {"cpu": "100m", "memory": "64Mi"}},
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": _DEPLOYMENT, "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": ACCOUNT}},
            "template": {
                "metadata": {"labels": {"app": ACCOUNT}},
                "spec": {
                    "serviceAccountName": ACCOUNT,
                    "containers": [container],
                    "volumes": [{"name": "kubeconfig", "configMap": {"name": ACCOUNT}}],
                },
            },
        },
    }
    return (*rights_objects(naming), config, deployment)


def _in_cluster_kubeconfig() -> str:
    """What the published approver reads at /etc/vnode: the Pod's own ServiceAccount, named by path."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "in-cluster",
        "clusters": [
            {
                "name": "in-cluster",
                "cluster": {
                    "certificate-authority": f"{_MOUNTED}/ca.crt",
                    "server": "https://kubernetes.default.svc:443",
                },
            }
        ],
        "users": [{"name": ACCOUNT, "user": {"tokenFile": f"{_MOUNTED}/token"}}],
        "contexts": [{"name": "in-cluster", "context": {"cluster": "in-cluster", "user": ACCOUNT}}],
    }
    return dump_yaml(document)
