import pytest
from packaging.version import Version

from gpu_doctor.errors import FactsError
from gpu_doctor.facts.tables import Facts
from gpu_doctor.facts.wheels import Wheels
from tests.facts.slips import slip


@pytest.fixture(scope="module")
def facts():
    return Facts.load()


@pytest.mark.parametrize(
    ("name", "generation"),
    [
        ("nvidia-cublas-cu11", 11),
        ("nvidia-cublas-cu12", 12),
        ("nvidia-cudnn-cu13", 13),
        ("nvidia-cublas", 13),
        ("nvidia-cuda-runtime", 13),
        ("cupy-cuda12x", 12),
        ("cupy-cuda110", 11),
        ("jax-cuda12-plugin", 12),
        ("nvidia-ml-py", None),
        ("torch", None),
        ("onnxruntime-gpu", None),
        ("nvidia-cuda", None),
    ],
)
def test_the_generation_that_a_name_tells(facts, name, generation):
    assert facts.cuda_generation(name) == generation


@pytest.mark.parametrize(
    ("soname", "wheel"),
    [
        ("libcublas.so.11", "nvidia-cublas-cu11"),
        ("libcublas.so.12", "nvidia-cublas-cu12"),
        ("libcublasLt.so.13", "nvidia-cublas"),
        ("libcudart.so.11.0", "nvidia-cuda-runtime-cu11"),
        ("libcufft.so.11", "nvidia-cufft-cu12"),
        ("libnvJitLink.so.13", "nvidia-nvjitlink"),
        ("libm.so.6", None),
        ("libcublas.so", None),
    ],
)
def test_the_wheel_that_provides_a_library(facts, soname, wheel):
    assert facts.provider_of(soname) == wheel


def test_a_library_of_several_generations_needs_one_to_be_named(facts):
    assert facts.provider_of("libcudnn.so.9") is None
    assert facts.provider_of("libcudnn.so.9", 12) == "nvidia-cudnn-cu12"
    assert facts.provider_of("libcudnn.so.9", 13) == "nvidia-cudnn-cu13"
    assert facts.provider_of("libcurand.so.10", 13) == "nvidia-curand"
    assert facts.providers_of("libcudnn.so.9") == ("nvidia-cudnn-cu11", "nvidia-cudnn-cu12", "nvidia-cudnn-cu13")


def test_the_libraries_of_a_wheel(facts):
    assert "libcudnn_ops_infer.so.8" in facts.sonames_of("nvidia-cudnn-cu12", Version("8.9.7.29"))
    assert "libcudnn_ext.so.9" not in facts.sonames_of("nvidia-cudnn-cu12", Version("9.10.2.21"))
    assert "libcudnn_ext.so.9" in facts.sonames_of("nvidia-cudnn-cu12", Version("9.28.0.42"))
    assert {"libcudnn.so.8", "libcudnn.so.9"} <= set(facts.sonames_of("nvidia-cudnn-cu12"))
    assert facts.sonames_of("nvidia-unheard-of") == ()


def test_every_row_names_its_generation(facts):
    assert facts.sonames_of("nvidia-cublas") == ("libcublas.so.13", "libcublasLt.so.13", "libnvblas.so.13")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'name = "nvidia-cublas-cu12"\ncuda = 12',
            'name = "nvidia-cublas-cu12"\ncuda = 13',
            "cuda is not the generation",
        ),
        ('name = "nvidia-curand-cu11"', 'name = "nvidia-cublas-cu11"', "has the same key as wheel 1"),
        ('versions = "<9"', 'versions = "9 or so"', "versions does not fit"),
        ('"libcudart.so.12"', '""', "sonames does not fit"),
    ],
)
def test_a_slip_in_the_table_is_named(tmp_path, old, new, message):
    with pytest.raises(FactsError, match=rf"wheels\.toml, wheel \d+ .*{message}"):
        Wheels(slip(tmp_path, "wheels", old, new))


def test_a_library_of_older_versions_alone_limits_the_wheel(facts):
    assert facts.requirement_for("libcudnn.so.8", 12) == "nvidia-cudnn-cu12<9"
    assert facts.requirement_for("libcudnn_ops.so.9", 12) == "nvidia-cudnn-cu12"
    assert facts.requirement_for("libcudnn.so.9") is None
