"""The requests to the kernel that each member of the VPC costs."""

from __future__ import annotations

import errno

import pytest

from vnode_suite.simulated.vpc.rtnetlink import RequestRefused, RtNetlink


@pytest.mark.netns
def test_what_the_kernel_refuses_is_told_by_its_number() -> None:
    """A link that is not there can neither be set up nor taken away, and the socket goes on."""
    with RtNetlink() as kernel:
        for request in (kernel.set_up, kernel.delete):
            with pytest.raises(RequestRefused, match="No such device") as refused:
                request("vs-nowhere")
            assert refused.value.errno == errno.ENODEV
