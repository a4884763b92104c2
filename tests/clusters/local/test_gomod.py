"""The go.mod that a release is built from, as text in and text out."""

from __future__ import annotations

from vnode_suite.clusters.local.sources.gomod import GoMod, module_of_release, module_with_borrowed_pins
from vnode_suite.data.versions import ModuleBuild

RELEASE = """\
// This is a generated file. Do not edit directly.
module k8s.io/kubernetes

go 1.16

require (
	github.com/auth0/go-jwt-middleware v1.0.1 // indirect
	github.com/modern-go/reflect2 v1.0.1
	k8s.io/api v0.0.0
	k8s.io/utils v0.0.0-20211116205334-6203023598ed
)

replace (
	github.com/elazarl/goproxy => github.com/elazarl/goproxy v0.0.0-20180725130230-947c36da3153 // tag v1.11
	github.com/modern-go/reflect2 => github.com/modern-go/reflect2 v1.0.1
	k8s.io/api => ./staging/src/k8s.io/api
	k8s.io/controller-manager => ./staging/src/k8s.io/controller-manager
	vbom.ml/util => vbom.ml/util v0.0.0-20160121211510-db5cfe13f5cc
)
"""
BUILD = ModuleBuild(
    layout="own-go-mod",
    pins={"github.com/modern-go/reflect2": "v1.0.2"},
    drop=("k8s.io/controller-manager",),
    empty_modules=("vbom.ml/util",),
)


def test_staging_folders_become_the_modules_that_were_published_of_them() -> None:
    """1.22.15 publishes k8s.io/api as v0.22.15."""
    mod = module_of_release(RELEASE, "1.22.15", "../kubernetes", BUILD, {"vbom.ml/util": "../empty"})
    assert mod.replaces["k8s.io/api"] == "k8s.io/api v0.22.15"
    assert mod.requires["k8s.io/kubernetes"] == "v1.22.15"
    assert mod.replaces["k8s.io/kubernetes"] == "../kubernetes"


def test_what_the_table_says_goes_over_what_the_release_says() -> None:
    """Pins, modules left out, modules replaced by an empty one."""
    mod = module_of_release(RELEASE, "1.22.15", "../kubernetes", BUILD, {"vbom.ml/util": "../empty"})
    assert mod.requires["github.com/modern-go/reflect2"] == "v1.0.2"
    assert mod.replaces["github.com/modern-go/reflect2"] == "github.com/modern-go/reflect2 v1.0.2"
    assert "k8s.io/controller-manager" not in mod.replaces
    assert mod.replaces["vbom.ml/util"] == "../empty"


def test_comments_do_not_lose_a_line() -> None:
    """Kubernetes writes tag names behind commit hashes."""
    mod = GoMod.parse(RELEASE)
    assert mod.replaces["github.com/elazarl/goproxy"].endswith("947c36da3153")
    assert mod.requires["github.com/auth0/go-jwt-middleware"] == "v1.0.1"


def test_what_was_written_reads_back_the_same() -> None:
    """Nothing is lost on the way through text."""
    mod = GoMod.parse(RELEASE)
    assert GoMod.parse(mod.render()) == mod


def test_single_lines_are_read_as_blocks_are() -> None:
    """Both forms are Go's."""
    mod = GoMod.parse("module m\nrequire a.b/c v1.0.0\nreplace a.b/c => ../c\n")
    assert mod.requires == {"a.b/c": "v1.0.0"}
    assert mod.replaces == {"a.b/c": "../c"}


def test_a_release_without_go_mod_takes_its_own_staging_and_anothers_pins() -> None:
    """Staging modules that only the lender has are not asked for."""
    mod = module_with_borrowed_pins(
        RELEASE, "1.13.12", "../kubernetes", ["api", "csi-api"], BUILD, {"vbom.ml/util": "../empty"}
    )
    assert mod.replaces["k8s.io/api"] == "../kubernetes/staging/src/k8s.io/api"
    assert mod.replaces["k8s.io/csi-api"] == "../kubernetes/staging/src/k8s.io/csi-api"
    assert mod.requires["k8s.io/utils"] == "v0.0.0-20211116205334-6203023598ed"
    assert mod.requires["k8s.io/kubernetes"] == "v1.13.12"
