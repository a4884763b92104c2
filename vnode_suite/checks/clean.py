"""CLEAN: leaving nothing behind, and touching nothing that was there before."""

from __future__ import annotations

from dataclasses import dataclass

from vnode_suite.checks.registry import check
from vnode_suite.model import Judgement, Text, fails, holds


@dataclass(frozen=True, slots=True)
class Gone:
    """What was made, and what of it is still there."""

    made: tuple[str, ...]
    left: tuple[str, ...]
    #: Why it could not be told whether something is there: an error is not absence.
    unknown: str = ""
    #: What to do, where whatever kept it there, or from being seen, says so.
    remedy: str = ""
    #: What stays because that was asked for (``--vnode-keep``).
    kept: tuple[str, ...] = ()
    #: Whether the run may rightly have made none: all that it made is kept, or the VNode is somebody else's.
    may_be_none: bool = False


def _nothing_left(gone: Gone, reason: str, what: Text) -> Judgement:
    expected = Text(
        f"none of the {len(gone.made)} {what.en} is left", f"{len(gone.made)} 个{what.zh}均已清除"
    )
    remedy = Text(gone.remedy, gone.remedy) if gone.remedy else None
    if gone.unknown:
        return fails("absence-not-shown", expected, Text(gone.unknown, gone.unknown), remedy)
    if not gone.made and gone.may_be_none and not gone.left:
        return holds(expected, _stays(gone.kept) if gone.kept else Text("none was made", "未创建任何对象"))
    if not gone.made:
        return fails("nothing-was-made", expected, Text("nothing to look for was made", "没有可供核对的对象"))
    if gone.left:
        names = ", ".join(gone.left)
        return fails(reason, expected, Text(f"left: {names}", f"残留:{names}"), remedy)
    all_gone = Text("all are gone", "全部清除")
    if gone.kept:
        stays = _stays(gone.kept)
        all_gone = Text(f"{all_gone.en}; {stays.en}", f"{all_gone.zh};{stays.zh}")
    return holds(expected, all_gone)


def _stays(kept: tuple[str, ...]) -> Text:
    names = ", ".join(kept)
    return Text(f"kept on request: {names}", f"按要求保留:{names}")


@check("CLEAN-01")
def vnodes_are_gone_from_the_cloud(gone: Gone) -> Judgement:
    """Every VNode that this run created is gone from the cloud."""
    return _nothing_left(gone, "vnode-still-listed", Text("VNodes", " VNode "))


@check("CLEAN-02")
def cluster_objects_are_gone(gone: Gone) -> Judgement:
    """What the run and its VNodes made is gone from the cluster."""
    return _nothing_left(gone, "object-left", Text("objects", "对象"))


@dataclass(frozen=True, slots=True)
class Difference:
    """Objects that this run did not make, before and after."""

    looked_at: int
    #: ``ConfigMap kube-system/x: changed`` and the like.
    changes: tuple[str, ...]


@check("CLEAN-03")
def nothing_else_was_touched(difference: Difference) -> Judgement:
    """Nothing that the run did not create was changed."""
    expected = Text(
        f"{difference.looked_at} objects of others are as they were",
        f"{difference.looked_at} 个既有对象保持不变",
    )
    if not difference.looked_at:
        return fails("nothing-to-compare", expected, Text("no object to compare", "没有可比较的对象"))
    if not difference.changes:
        return holds(expected, Text("all are as they were", "全部未变"))
    shown = "; ".join(difference.changes[:6])
    return fails("foreign-object-changed", expected, Text(shown, shown))


@check("CLEAN-04")
def instances_went_before_the_vnode(gone: Gone) -> Judgement:
    """Pods' instances are gone before the VNode is deleted, and after."""
    return _nothing_left(gone, "instance-left", Text("instances", "实例"))
