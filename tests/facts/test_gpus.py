import pytest

from gpu_doctor.errors import FactsError, UnknownHardware
from gpu_doctor.facts.gpus import GIB, GpuFact, Gpus
from gpu_doctor.facts.tables import Facts
from tests.facts.slips import slip


@pytest.fixture(scope="module")
def facts():
    return Facts.load()


SPELLINGS = """
    GeForce RTX 4090 | NVIDIA GeForce RTX 4090 | nvidia geforce rtx 4090 | RTX 4090 | rtx4090 | RTX-4090 | 4090
    | RTX   4090 | NVIDIA(R) GeForce RTX(TM) 4090 | RTX 4090 24GB | rtx 4090 24 gb
"""


@pytest.mark.parametrize("words", SPELLINGS.split("|"))
def test_a_product_is_found_however_it_is_spelled(facts, words):
    assert facts.find_gpu(words) == GpuFact("GeForce RTX 4090", (8, 9), 24 * GIB)


@pytest.mark.parametrize(
    ("words", "name", "capability"),
    [
        ("RTX 5090", "GeForce RTX 5090", (12, 0)),
        ("rtx 5070ti", "GeForce RTX 5070 Ti", (12, 0)),
        ("4070tisuper", "GeForce RTX 4070 Ti SUPER", (8, 9)),
        ("RTX 4090 Laptop GPU", "GeForce RTX 4090 Laptop GPU", (8, 9)),
        ("GeForce RTX 2070 with Max-Q Design", "GeForce RTX 2070 Laptop GPU", (7, 5)),
        ("RTX 3060 mobile", "GeForce RTX 3060 Laptop GPU", (8, 6)),
        ("GTX 1080Ti", "GeForce GTX 1080 Ti", (6, 1)),
        ("T4", "Tesla T4", (7, 5)),
        ("Tesla T4", "Tesla T4", (7, 5)),
        ("T4G", "T4G", (7, 5)),
        ("K80", "Tesla K80", (3, 7)),
        ("A10G", "A10G", (8, 6)),
        ("RTX A6000", "RTX A6000", (8, 6)),
        ("RTX 6000 Ada", "RTX 6000 Ada Generation", (8, 9)),
        ("quadro rtx 6000", "Quadro RTX 6000", (7, 5)),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "RTX PRO 6000 Blackwell Server Edition", (12, 0)),
        ("L40S", "L40S", (8, 9)),
        ("H100", "H100", (9, 0)),
        ("B200", "B200", (10, 0)),
        ("GB10", "GB10", (12, 1)),
        ("DGX Spark", "DGX Spark", (12, 1)),
        ("Orin", "Jetson Orin", (8, 7)),
        ("750", "GeForce GTX 750", (5, 0)),
    ],
)
def test_products_and_families(facts, words, name, capability):
    found = facts.find_gpu(words)
    assert (found.name, found.capability) == (name, capability)


@pytest.mark.parametrize(
    ("words", "name", "size"),
    [
        ("NVIDIA A100-SXM4-80GB", "A100 SXM4", 80),
        ("NVIDIA A100 80GB PCIe", "A100 PCIe", 80),
        ("NVIDIA H100 80GB HBM3", "H100", 80),
        ("Tesla V100-SXM2-16GB", "Tesla V100 SXM2", 16),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", "A100", 40),
        ("GRID T4-16Q", "Tesla T4", 16),
        ("NVIDIA B300 SXM6 AC", "B300", None),
        ("NVIDIA GH200 480GB", "GH200", None),
    ],
)
def test_names_as_nvml_gives_them(facts, words, name, size):
    found = facts.find_gpu(words)
    assert (found.name, found.memory_bytes) == (name, size and size * GIB)


def test_memory_is_unknown_where_a_name_is_sold_with_several_sizes(facts):
    assert facts.find_gpu("A100").memory_bytes is None
    assert facts.find_gpu("A100 80GB").memory_bytes == 80 * GIB
    assert facts.find_gpu("RTX 3080").memory_bytes is None
    assert facts.find_gpu("RTX 3080 12 GB").memory_bytes == 12 * GIB


@pytest.mark.parametrize(
    ("words", "capability"),
    [
        ("sm_120", (12, 0)),
        ("sm120", (12, 0)),
        ("SM_120", (12, 0)),
        ("12.0", (12, 0)),
        ("120", (12, 0)),
        ("compute_89", (8, 9)),
        ("sm_90a", (9, 0)),
        ("cc 8.6", (8, 6)),
        ("75", (7, 5)),
        ("sm_140", (14, 0)),
    ],
)
def test_architectures(facts, words, capability):
    sm = f"sm_{capability[0]}{capability[1]}"
    assert facts.find_gpu(words) == GpuFact(sm, capability, None)


def test_an_architecture_that_never_was_is_refused(facts):
    with pytest.raises(UnknownHardware, match="no GPU has the compute capability 'sm_85'") as caught:
        facts.find_gpu("sm_85")
    assert "sm_80, sm_86, sm_87, sm_89, sm_90" in caught.value.hint


def test_a_name_of_several_different_gpus_is_refused_with_the_candidates(facts):
    with pytest.raises(UnknownHardware) as caught:
        facts.find_gpu("RTX 6000")
    for candidate in ("Quadro RTX 6000 (7.5)", "RTX 6000 Ada Generation (8.9)", "RTX PRO 6000 Blackwell"):
        assert candidate in caught.value.message
    with pytest.raises(UnknownHardware, match=r"and [0-9]+ more"):
        facts.find_gpu("RTX")


def test_an_unknown_name_is_refused_with_close_ones(facts):
    with pytest.raises(UnknownHardware, match="no GPU is known by the name 'RTX 5900'") as caught:
        facts.find_gpu("RTX 5900")
    assert "GeForce RTX 5090" in caught.value.hint
    with pytest.raises(UnknownHardware):
        facts.find_gpu("RTX 4090 Ti")


@pytest.mark.parametrize(
    "words", ["", "  ", "NVIDIA GeForce", "GPU", "☃", "\x00\x1b[31m", "x" * 10_000, "24GB", "-", "Blackwell"]
)
def test_words_that_name_nothing_are_refused(facts, words):
    with pytest.raises(UnknownHardware) as caught:
        facts.find_gpu(words)
    assert len(caught.value.message) < 200
    assert caught.value.message.isprintable()


def test_every_product_is_found_by_its_own_name(facts):
    table = Gpus.load(facts._folder)
    for product in table._products:
        found = table.find(product.name)
        assert found.capability == product.capability, product
        assert found.memory_bytes in (None, *(int(size * GIB) for size in product.sizes)), product


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"8.9"', '"8.90"', "capability does not fit"),
        ('"12.1"', '"1.2"', "capability is lower than in the row before"),
        ('["GeForce RTX 5090", 32]', '["GEFORCE RTX 5080", 32]', "has the same key"),
        ('["GeForce RTX 4060 Ti", 8, 16]', '["GeForce RTX 4060 Ti", 16, 8]', "gpus does not fit"),
        ('["GeForce RTX 5090", 32]', '["GeForce RTX 5090", 0]', "gpus does not fit"),
        ('["GeForce RTX 5090", 32]', '["", 32]', "gpus does not fit"),
        ('capability = "12.1"', 'capability = "12.1"\nnote = "x"', "unknown key note"),
    ],
)
def test_a_slip_in_the_table_is_named(tmp_path, old, new, message):
    with pytest.raises(FactsError, match=r"gpus\.toml, group \d+") as caught:
        Gpus.load(slip(tmp_path, "gpus", old, new))
    assert message in caught.value.message


def test_only_plain_digits_are_a_capability(facts):
    with pytest.raises(UnknownHardware):
        facts.find_gpu("sm_１２０")
