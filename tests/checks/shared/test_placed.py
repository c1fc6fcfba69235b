"""Links that a repair placed outlive what is done to their package."""

from __future__ import annotations

from gpu_doctor.checks.shared.placed import placed_again, repair_links, written_again
from gpu_doctor.model.inventory import StrayLink
from gpu_doctor.model.remedy import InstallPackages, MakeLink, Remedy
from gpu_doctor.model.unknown import Unknown
from tests.kit import PREFIX, SITE, dist, inventory, lib

CT2 = dist("ctranslate2", "4.6.1")
FOLDER = f"{SITE}/ctranslate2.libs"
OPS = StrayLink(f"{FOLDER}/libcudnn_ops.so.9", "../nvidia/cudnn/lib/libcudnn_ops.so.9", exists=True)
BLAS = StrayLink(f"{FOLDER}/libcublas.so.12", "../nvidia/cublas/lib/libcublas.so.12", exists=True)
OTHERS = (
    StrayLink(f"{FOLDER}/libcudnn_cnn.so.9", "../nvidia/cudnn/lib/libcudnn_cnn.so.9", exists=False),
    StrayLink(f"{FOLDER}/libcudnn.so.8", "libcudnn.so.9", exists=True),
    StrayLink(f"{SITE}/nvidia/cudnn/lib/libcudnn.so.9", "../x/libcudnn.so.9", exists=True),
)
HERE = inventory(CT2, libraries=(lib("ctranslate2.libs/libct2.so.4", "ctranslate2"),), links=(BLAS, OPS, *OTHERS))


def test_a_repairs_links_have_the_name_of_their_target() -> None:
    assert repair_links(HERE, "ctranslate2") == (BLAS, OPS)
    assert repair_links(inventory(CT2), "ctranslate2") == ()


def test_they_are_placed_again_after_the_files_are_written_again() -> None:
    """They stand in the package's RECORD, so that its removal takes them along: without this a reinstall is a trap."""
    links = (MakeLink(BLAS.path, BLAS.points_to), MakeLink(OPS.path, OPS.points_to))
    step = InstallPackages(("uv", "pip"), f"{PREFIX}/bin/python", ("ctranslate2==4.6.1",), reinstall=True)
    remedy = Remedy("Write the files of ctranslate2 4.6.1 again.", "ask", (step, *links))
    assert written_again(HERE, CT2) == remedy
    assert written_again(HERE, dist("ctranslate2", Unknown("no METADATA"))) is None


def test_what_an_upgrade_makes_needless_is_left_out() -> None:
    assert placed_again(HERE, "ctranslate2", but="libcudnn") == (MakeLink(BLAS.path, BLAS.points_to),)
