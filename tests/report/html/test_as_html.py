"""The page: its verdicts and commands, its pictures, that it is sound HTML, loads nothing, and holds any text."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpu_doctor.model.case import BenchRun, Case, Report
from gpu_doctor.model.finding import CheckRun, Evidence, Finding
from gpu_doctor.model.hardware import Variable
from gpu_doctor.model.inventory import UNASKED, Observation
from gpu_doctor.model.libraries import Tried
from gpu_doctor.model.past import PastRepair, PastTreatment
from gpu_doctor.model.plan import HeldBack, Plan, Treatment
from gpu_doctor.model.remedy import InstallPackages, MakeLink, Remedy, RunByHand
from gpu_doctor.model.requirement import Ignored, Judged, Requirement
from gpu_doctor.model.unknown import Unknown
from gpu_doctor.report.html.as_html import render
from tests import kit
from tests.bench.samples import bench
from tests.checks.judge import judge_all
from tests.patients.test_patients import EXPECTED, recorded
from tests.report import patients, planned, repairs

VOID = {"br", "hr", "img", "input", "link", "meta", "source", "wbr"}
LOADING = {"action", "background", "cite", "data", "formaction", "manifest", "ping", "poster", "src", "srcset"}
EVIL = '</script><script>alert("1")</script>\'"><img src=x onerror=alert(1)>&amp;{{ 7*7 }}\x1b[2J\u202etxt\u200b\ufffe\ud800'
FIX = "gpu-doctor fix cudnn-unreachable --python /home/ada/venv/bin/python"


@dataclass
class Node:
    """An element of a page, with all that stands in it."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Node | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    @property
    def words(self) -> str:
        return " ".join(self.text.split())

    def walk(self) -> Iterator[Node]:
        yield self
        for child in self.children:
            if isinstance(child, Node):
                yield from child.walk()

    def all(self, tag: str, kind: str = "") -> list[Node]:
        return [n for n in self.walk() if n.tag == tag and (not kind or kind in n.attributes.get("class", "").split())]

    def one(self, tag: str, kind: str = "") -> Node:
        (node,) = self.all(tag, kind)
        return node

    def by_id(self, name: str) -> Node:
        (node,) = (n for n in self.walk() if n.attributes.get("id") == name)
        return node


class Reader(HTMLParser):
    """Read a page and refuse whatever a browser would have to guess."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Node("")
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"an attribute of <{tag}> twice: {names}"
        node = Node(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert any(node.tag == "svg" for node in self.open) or tag == "svg", f"<{tag}/> is none in HTML"
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def read(report: Report) -> Node:
    """Return the page of a report, after everything that must hold of every page."""
    source = render(report)
    reader = Reader()
    reader.feed(source)
    reader.close()
    assert [node.tag for node in reader.open] == [""]
    page = reader.root
    assert source.startswith("<!DOCTYPE html>\n")
    source.encode()
    ids = [node.attributes["id"] for node in page.walk() if "id" in node.attributes]
    assert [name for name, count in Counter(ids).items() if count > 1] == []
    assert_it_loads_nothing(page)
    assert_it_can_be_read_aloud(page, set(ids))
    return page


def assert_it_loads_nothing(page: Node) -> None:
    for node in page.walk():
        assert node.tag not in {"base", "embed", "iframe", "img", "link", "object", "image", "use", "foreignobject"}
        assert {name for name in node.attributes if name.startswith("on")} == set()
        assert LOADING & set(node.attributes) == set()
        links = [value for name, value in node.attributes.items() if name.endswith("href")]
        assert [link for link in links if not link.startswith("#")] == []
    css = "".join(node.text for node in page.all("style"))
    assert re.search(r"url\(|@import|https?:|//", css) is None
    script = page.one("script")
    assert script.attributes == {}
    assert re.search(r"https?:|fetch|import|XMLHttp|WebSocket|innerHTML|eval", script.text) is None
    digest = base64.b64encode(hashlib.sha256(script.text.encode()).digest()).decode()
    (policy,) = (n for n in page.all("meta") if n.attributes.get("http-equiv") == "Content-Security-Policy")
    assert policy.attributes["content"] == (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )


def assert_it_can_be_read_aloud(page: Node, ids: set[str]) -> None:
    assert page.one("html").attributes["lang"] == "en"
    assert [len(page.all(tag)) for tag in ("header", "main", "footer", "h1")] == [1, 1, 1, 1]
    levels = [int(node.tag[1]) for node in page.walk() if re.fullmatch("h[1-6]", node.tag)]
    assert levels[0] == 1
    assert [(a, b) for a, b in pairwise(levels) if b > a + 1] == []
    assert [node for node in page.walk() if re.fullmatch("h[1-6]", node.tag) and not node.words] == []
    for table in page.all("table"):
        assert next(child for child in table.children if isinstance(child, Node)).tag == "caption"
        assert table.one("caption").words
        assert [
            th.words for th in table.all("th") if th.attributes.get("scope") not in {"col", "row", "colgroup"}
        ] == []
    for svg in page.all("svg"):
        named = svg.attributes.get("aria-labelledby", "").split()
        assert svg.attributes.get("aria-hidden") == "true" or (svg.attributes["role"] == "img" and len(named) == 2)
        assert set(named) <= ids
        assert all(page.by_id(name).words for name in named)
    links = {node.attributes["href"][1:] for node in page.all("a")}
    assert links <= ids
    for nav in page.all("nav"):
        assert nav.attributes["aria-label"]
    for button in page.all("button"):
        assert (button.attributes["type"], "hidden" in button.attributes) == ("button", True)


def shells(node: Node) -> list[str]:
    return [box.one("code").text for box in node.all("div", "cmd")]


def banner(page: Node) -> Node:
    return page.one("div", "banner")


def changed(report: Report, **changes: object) -> Report:
    (case,) = report.cases
    return replace(report, cases=(replace(case, inventory=replace(case.inventory, **changes)),))


# --- The verdict --------------------------------------------------------------------------------------------------------


def test_a_sick_page_begins_with_the_cause_and_its_command() -> None:
    page = read(patients.sick())
    top = banner(page)
    assert (top.one("h2").words, top.attributes["class"]) == ("Sick", "banner sick")
    assert top.one("p", "cause").words == patients.CUDNN.message
    assert shells(top) == [FIX]
    assert "RTX 4090 (sm_89), driver 580.95.05" in top.words
    assert "1 error, 1 warning · 1 rule passed · 1 could not judge" in top.words
    assert page.one("head").one("title").text == "Sick: /home/ada/venv – gpu-doctor"


def test_a_healthy_page_says_so_and_has_no_command() -> None:
    page = read(patients.healthy())
    assert (banner(page).one("h2").words, banner(page).one("p", "cause").words) == ("Healthy", "5 rules passed.")
    assert shells(banner(page)) == []
    assert page.all("article") == []


def test_a_healthy_page_points_to_its_remarks() -> None:
    runs = (CheckRun("ort-packages-clash", "failed", findings=(patients.CLASH,)), *patients.passed("driver-too-old"))
    page = read(patients.report(runs))
    assert banner(page).one("p", "cause").words == "1 rule passed, with remarks below."
    assert shells(banner(page)) == []
    assert page.one("article", "warning").one("h4").words == patients.CLASH.message


def test_an_undetermined_page_says_why() -> None:
    page = read(patients.unstarted())
    assert banner(page).one("h2").words == "Undetermined"
    assert f"cannot be asked: {patients.UNSTARTED}. By the files alone 1 rule passed." in banner(page).words


def test_nothing_that_could_judge_is_undetermined_with_the_reason() -> None:
    runs = [CheckRun(rule.id, "skipped", "no package here uses a GPU", applies=False) for rule in patients.RULES]
    page = read(patients.report(runs, patients.environment(probes=UNASKED)))
    assert "No rule could judge this environment: no package here uses a GPU." in banner(page).words
    assert "Nothing was asked: only files were read." in page.by_id("case-1-probes").words


def test_a_broken_rule_is_seen_in_the_banner() -> None:
    top = banner(read(patients.crashed()))
    assert top.one("h2").words == "Undetermined"
    assert "The rule driver-too-old broke, so the verdict lacks it: KeyError: 'sm_90'." in top.words


@pytest.mark.parametrize("name", EXPECTED)
def test_a_recorded_patient_has_its_verdict_and_a_page_of_bounded_size(name: str) -> None:
    case = judge_all(recorded(name))
    report = Report((case,), "0.1.0", "2026-11-20")
    page = read(report)
    assert banner(page).one("h2").words.lower() == EXPECTED[name][0]
    assert {article.all("code")[0].words for article in page.all("article", "error")} == EXPECTED[name][1]
    assert len(render(report).encode()) < 90_000
    assert render(report) == render(report)


def test_several_environments_stand_on_one_page_with_a_table_of_contents() -> None:
    sick, healthy = patients.sick().cases[0], patients.healthy().cases[0]
    page = read(Report((sick, healthy), "0.1.0", "2026-11-20"))
    assert page.one("head").one("title").text == "Sick: 2 environments – gpu-doctor"
    assert [node.one("h2").words for node in page.all("div", "banner")] == ["Sick", "Healthy"]
    places = [n.words for n in page.all("a") if n.attributes["href"] in ("#case-1", "#case-2")]
    assert places == ["sick: /home/ada/venv", "healthy: /home/ada/venv"]


def test_a_report_of_nothing_is_a_page() -> None:
    assert (
        read(Report((), "0.1.0", "2026-11-20")).one("head").one("title").text.startswith("Undetermined: 0 environments")
    )


def test_the_page_says_who_wrote_it_by_which_facts() -> None:
    assert "gpu-doctor 0.1.0 with the facts of 2026-11-20" in read(patients.healthy()).one("footer").words


# --- Findings -----------------------------------------------------------------------------------------------------------


def test_evidence_is_shown_with_its_place_and_the_line_that_shows_it_again() -> None:
    page = read(patients.dead())
    evidence = page.one("article").all("dl", "evidence")[0]
    assert patients.CRASH.again in shells(evidence)
    assert "killed by SIGSEGV" in evidence.words
    (log,) = evidence.all("pre")
    assert log.text.splitlines()[-1].strip() == "what(): std::bad_alloc"


def test_a_line_is_not_repeated_and_much_evidence_is_folded() -> None:
    rows = tuple(Evidence(f"row {n}", str(n), f"/place/{n}", "cat /place") for n in range(11))
    finding = replace(patients.CUDNN, evidence=rows)
    page = read(patients.report([CheckRun("cudnn-unreachable", "failed", findings=(finding,))]))
    article = page.one("article")
    assert shells(article).count("cat /place") == 1
    folded = next(node for node in article.all("details") if node.one("summary").words == "3 more")
    assert [dt.words for dt in folded.all("dt")] == ["row 8", "row 9", "row 10"]


def test_a_consequence_stands_under_its_cause() -> None:
    page = read(patients.sick())
    cause, other = page.all("article")
    assert cause.one("ul", "explains").one("li").words.startswith(patients.SHADOW.message)
    assert other.all("ul", "explains") == []
    assert page.by_id(f"case-1-{patients.SHADOW.fingerprint}") in list(cause.walk())


def test_both_remedies_are_shown_with_their_price() -> None:
    links = Remedy("Place links.", "safe", (MakeLink("/opt/a.so", "b.so"),), price="the next sync takes them away")
    upgrade = Remedy("Upgrade.", "ask", (InstallPackages(patients.UV, patients.PYTHON, ("ctranslate2>=4.6.3",)),))
    finding = replace(patients.CUDNN, remedy=links, durable=upgrade)
    page = read(patients.report([CheckRun("cudnn-unreachable", "failed", findings=(finding,))]))
    first, durable = page.one("article").all("div", "cure")
    assert (first.one("h5").words, durable.one("h5").words) == ("The least change", "The durable way")
    assert shells(first) == [FIX, "ln -sfn b.so /opt/a.so"]
    assert shells(durable)[0] == f"{FIX} --prefer durable"
    assert "The price: the next sync takes them away." in first.words
    assert "price" not in durable.words


def test_what_a_person_must_do_is_shown_as_it_is_and_whole() -> None:
    long = "sudo apt-get install " + " ".join(f"package-{n}" for n in range(400))
    page = read(patients.by_hand(long))
    assert shells(banner(page)) == [long]
    assert "by hand" in banner(page).words


def test_a_remedy_is_told_once() -> None:
    twin = replace(patients.CUDNN, subject="other", severity="warning")
    page = read(patients.report([CheckRun("cudnn-unreachable", "failed", findings=(patients.CUDNN, twin))]))
    first, second = page.all("article")
    assert len(first.all("div", "cure")) == 1
    assert second.all("div", "cure") == []
    assert second.one("a").attributes["href"] == f"#{first.attributes['id']}"


def test_a_relapse_and_a_repair_that_was_cut_off_are_said() -> None:
    treatment = PastTreatment("cudnn-unreachable", patients.CUDNN.subject, "", "", True)
    healed = PastRepair("r1", "2026-11-01T10:00:00Z", "", "0.1.0", "", (treatment,), "kept")
    cut = PastRepair("r2", "2026-11-02T10:00:00Z", "", "0.1.0", "", (), None)
    report = patients.sick()
    page = read(replace(report, cases=(replace(report.cases[0], repairs=(cut, healed)),)))
    assert "Healed before, on 2026-11-01 (repair r1)" in page.all("article")[0].words
    assert "The repair r2 was cut off" in banner(page).words


# --- A preflight --------------------------------------------------------------------------------------------------------

ASKED = (
    Judged(Requirement("python>=3.10", "python", "", ">=", "3.10"), "met", "Python is 3.11.7."),
    Judged(
        Requirement("ctranslate2-cuda", "ctranslate2-cuda", where="pyproject.toml:14"),
        "unmet",
        "ctranslate2 dies.",
        (Evidence("seen", "SIGABRT", "/opt/app"),),
        (patients.CUDNN, replace(patients.CLASH, subject="elsewhere")),
        4.2,
    ),
    Judged(Requirement("vram>=24GB", "vram", "", ">=", "24GB"), "undetermined", "NVML did not tell."),
)


def test_requirements_come_first_those_not_met_before_the_others() -> None:
    page = read(replace(patients.sick(), requirements=ASKED))
    part = page.by_id("requirements")
    rows = [node for node in part.one("ul", "demands").children if isinstance(node, Node)]
    wanted = ["ctranslate2-cuda", "vram>=24GB", "python>=3.10"]
    assert [row.all("code")[0].words for row in rows] == wanted
    assert [row.all("span", "state")[0].words for row in rows] == ["unmet", "undetermined", "met"]
    assert [chip.words for chip in part.one("ul", "chips").all("li")] == ["1 unmet", "1 undetermined", "1 met"]
    assert "pyproject.toml:14 · 4.2 s" in rows[0].words
    # A cause that is on the page is linked, another one is told.
    assert [a.attributes["href"] for a in rows[0].all("a")] == [f"#case-1-{patients.CUDNN.fingerprint}"]
    assert "because Both write into onnxruntime/" in rows[0].words


def test_without_requirements_there_is_no_such_part() -> None:
    assert [n for n in read(patients.sick()).walk() if n.attributes.get("id") in ("requirements", "ignored")] == []


def test_what_is_ignored_is_said_with_its_reason() -> None:
    ignored = Ignored(patients.CLASH, "the CPU build is meant", "2027-01-31", "pyproject.toml:20")
    words = read(replace(patients.healthy(), ignored=(ignored,))).by_id("ignored").words
    assert "because the CPU build is meant, until 2027-01-31 (pyproject.toml:20)" in words


# --- The coverage picture -----------------------------------------------------------------------------------------------

TORCH = kit.lib("torch/lib/libtorch_cuda.so", "torch", sass="80 86 87 90", ptx="90")
CUFFT = kit.lib("nvidia/cufft/lib/libcufft.so.11", "nvidia-cufft-cu12", sass="90", unknown="it keeps more elsewhere")
PLAIN = kit.lib("numpy/core.so", "numpy")


def cover(**changes: object) -> Node:
    return read(changed(patients.healthy(), libraries=(CUFFT, TORCH, PLAIN), **changes)).by_id("case-1-coverage")


def test_each_library_says_how_its_code_reaches_each_architecture() -> None:
    table = cover().one("table", "cover")
    assert [th.words for th in table.all("tr")[0].all("th")] == ["package, library", "Ampere", "Ada", "Hopper"]
    assert [th.words for th in table.all("tr")[1].all("th")] == ["sm_80", "sm_86", "sm_89this GPURTX 4090", "sm_90"]
    rows = [[td.words for td in tr.all("td")] for tr in table.all("tr")[2:]]
    assert rows == [["SASS", "SASS", "SASS", "SASS"], ["unknown", "unknown", "unknown", "SASS"]]
    assert [th.words for th in table.all("th") if th.attributes["scope"] == "row"] == [
        "torchlibtorch_cuda.so",
        "nvidia-cufft-cu12libcufft.so.11",
    ]


def test_this_gpus_column_is_marked_and_counted_in_a_sentence() -> None:
    part = cover()
    assert [td.words for td in part.all("td", "mine")] == ["SASS", "unknown"]
    assert (
        "RTX 4090 (sm_89): of 2 libraries with GPU code, 1 with machine code for it and 1 that could not be read to "
        "the end. 1 other library carries no GPU code."
    ) in part.words
    assert "nvidia-cufft-cu12: it keeps more elsewhere" in part.words


def test_a_newer_gpu_has_its_own_column_and_code_to_compile() -> None:
    part = cover(gpus=(kit.gpu("NVIDIA GeForce RTX 5090", (12, 0)),))
    assert [td.words for td in part.all("td", "mine")] == ["PTX", "unknown"]
    part = cover(gpus=(kit.gpu("NVIDIA A40", (8, 6)), kit.gpu("Tesla V100", (7, 0))))
    assert [td.words for td in part.all("td", "mine")] == ["none", "SASS", "unknown", "unknown"]


def test_without_a_gpu_no_column_is_marked() -> None:
    for gpus in ((), Unknown("NVML is silent")):
        part = cover(gpus=gpus)
        assert part.all("td", "mine") == []
        assert "No GPU is known here, so no column is marked." in part.words


def test_a_board_has_a_column_only_where_it_is_this_machine() -> None:
    names = [th.words for th in cover(gpus=(kit.gpu("Orin", (8, 7)),)).all("th")]
    assert "sm_87this GPUOrin" in names
    assert [name for name in (th.words for th in cover().all("th")) if "sm_87" in name] == []


def test_an_architecture_that_is_none_breaks_nothing() -> None:
    odd = replace(TORCH, gpu_code=replace(TORCH.gpu_code, sass=("sm_evil", "sm_80")))
    page = read(changed(patients.healthy(), libraries=(odd,)))
    assert "unknown" in {td.words for td in page.all("td", "mine")}


def test_without_gpu_code_there_is_no_picture() -> None:
    page = read(changed(patients.healthy(), libraries=(PLAIN,)))
    assert [n for n in page.walk() if n.attributes.get("id") == "case-1-coverage"] == []


# --- The library map ----------------------------------------------------------------------------------------------------

CUDNN = kit.lib("nvidia/cudnn/lib/libcudnn.so.9", "nvidia-cudnn-cu12")
SECOND = kit.lib("ctranslate2.libs/libcudnn-74a4.so.9.1.0", "ctranslate2")
WINS = kit.resolution(
    "torch/lib/libtorch_cuda.so",
    "torch",
    "libcudnn.so.9",
    found="nvidia/cudnn/lib/libcudnn.so.9",
    after=("torch",),
    rule=f"DT_RPATH of {kit.SITE}/torch/lib/libtorch_cuda.so",
)
MISSES = kit.resolution(
    "onnxruntime/capi/ort.so",
    "onnxruntime",
    "libcudnn.so.9",
    found=None,
    after=("onnxruntime",),
    tried=(
        Tried("/etc/ld.so.cache", "ld.so.cache", "not listed"),
        Tried("/lib/libcudnn.so.9", "default directory", "unusable: i386"),
    ),
)
CUDART = replace(WINS, names=("libcudart.so.12",), found=f"{kit.SITE}/nvidia/cuda_runtime/lib/libcudart.so.12")


def library_part(*resolutions: object, **changes: object) -> Node:
    owner = kit.dist("nvidia-cudnn-cu12", "9.10.2.21")
    inner = {"resolutions": resolutions, "libraries": (CUDNN,), "distributions": (owner,), **changes}
    return read(changed(patients.healthy(), **inner)).by_id("case-1-libraries")


def test_the_map_tells_winner_loser_and_the_copy_that_nobody_loads() -> None:
    part = library_part(WINS, MISSES, libraries=(CUDNN, SECOND))
    (won,) = part.all("div", "won")
    assert won.one("ul", "askers").words.startswith("torch after import torch DT_RPATH which files")
    assert won.one("ul", "node").words == (
        "get nvidia-cudnn-cu12 9.10.2.21 libcudnn.so.9 in /opt/app/venv/lib/python3.11/site-packages/nvidia/cudnn/lib"
    )
    (lost,) = part.all("div", "lost")
    assert lost.words.startswith("onnxruntime after import onnxruntime libcudnn.so.9 which files")
    assert "looked for in /etc/ld.so.cache; /lib, unusable: i386" in lost.words
    assert lost.one("p", "node").words == "not found"
    assert "nobody loads ctranslate2: libcudnn-74a4.so.9.1.0" in part.one("ul", "idle").words


def test_a_folder_in_the_environment_is_told_from_there_on() -> None:
    found = replace(WINS, found=f"{patients.SITE}/nvidia/cudnn/lib/libcudnn.so.9")
    assert "libcudnn.so.9 in lib/python3.11/site-packages/nvidia/cudnn/lib" in library_part(found, MISSES).words


def test_what_everyone_gets_is_one_table() -> None:
    part = library_part(WINS, CUDART)
    rows = [[cell.words for cell in tr.all("td")] for tr in part.one("table").all("tr")[1:]]
    assert [row[1:] for row in rows] == [["torch", "DT_RPATH"], ["torch", "DT_RPATH"]]
    assert part.all("div", "lost") == []


def test_libraries_with_the_same_story_share_it() -> None:
    absent = replace(MISSES, names=("libcudart.so.12",))
    part = library_part(WINS, MISSES, CUDART, absent)
    assert [h4.words for h4 in part.all("h4")] == ["cuDNN, CUDA runtime"]
    assert [chip.words for chip in part.one("div", "lost").one("ul", "rules").all("li")] == [
        "libcudnn.so.9",
        "libcudart.so.12",
    ]


def test_a_consumer_that_can_do_without_is_told_apart() -> None:
    assert "(can do without)" in library_part(WINS, replace(MISSES, optional=True)).one("div", "lost").words
    assert "(can do without)" not in library_part(WINS, MISSES).words


def test_a_driver_that_is_not_there_is_no_row_of_the_map() -> None:
    page = read(changed(patients.healthy(), resolutions=(replace(MISSES, names=("libcuda.so.1",)),)))
    assert [n for n in page.walk() if n.attributes.get("id") == "case-1-libraries"] == []


# --- Questions, benchmarks, and what is not known -----------------------------------------------------------------------


def test_each_question_is_a_bar_as_long_as_it_took() -> None:
    half = kit.probe("library", "torch", "answered", kit.trial("a"), kit.trial("b", "failed", "no"), seconds=1.0)
    page = read(changed(patients.healthy(), probes=(kit.probe("import", "torch", seconds=4.0), patients.CRASH, half)))
    picture = page.one("svg", "times")
    bars = [(node.attributes["class"], float(node.attributes["width"])) for node in picture.all("rect")]
    assert [kind for kind, _ in bars] == ["good", "bad", "part"]
    assert bars[0][1] == pytest.approx(4 * bars[2][1], rel=0.01)
    said = [node.words for node in picture.all("text", "took")]
    assert said == ["4.0 s", "1.2 s · ✕ crashed", "1.0 s · ✕ 1 of 2"]
    assert "import torch: answered after 4.0 s" in picture.one("desc").words
    part = page.by_id("case-1-probes")
    assert patients.CRASH.again in shells(part)
    assert "1 of 2 experiments passed" in part.words
    assert "std::bad_alloc" in part.one("pre").text


def test_the_picture_is_a_timeline_in_the_order_of_asking() -> None:
    late = kit.probe("library", "torch", "answered", seconds=1.0, began=4.0)
    early = kit.probe("import", "torch", seconds=4.0, began=0.0)
    picture = read(changed(patients.healthy(), probes=(late, early))).one("svg", "times")
    bars = [(float(node.attributes["x"]), float(node.attributes["width"])) for node in picture.all("rect")]
    # The second bar begins where the first one ends.
    assert bars[0][0] == 0
    assert bars[1][0] == pytest.approx(bars[0][1], rel=0.01)
    words = picture.one("desc").words
    assert words.index("import torch: asked at 0.0 s, answered after 4.0 s") < words.index("asked at 4.0 s")
    ends = [float(node.attributes["x"]) for node in picture.all("text", "took")]
    assert max(ends) <= 920 - 150  # what is said behind a bar is in the picture


def test_questions_of_which_nobody_noted_when_begin_together() -> None:
    probes = (kit.probe("import", "torch", seconds=4.0), kit.probe("library", "torch", "answered", seconds=1.0))
    picture = read(changed(patients.healthy(), probes=probes)).one("svg", "times")
    assert [float(node.attributes["x"]) for node in picture.all("rect")] == [0.0, 0.0]
    assert "asked at" not in picture.one("desc").words


def test_questions_that_took_no_time_are_drawn_too() -> None:
    page = read(changed(patients.healthy(), probes=(kit.probe("import", "torch"),)))
    assert [float(node.attributes["width"]) for node in page.one("svg", "times").all("rect")] == [3.0]


def test_what_was_not_tried_is_said_with_the_reason() -> None:
    part = read(patients.without_gpu()).by_id("case-1-probes")
    assert "not tried: CUDA init, 2 torch GPU experiments (no GPU visible)" in part.words


def test_benchmarks_are_plotted_with_their_best_value() -> None:
    died = bench(3, ending="crashed", reason="was killed by SIGSEGV", runs=(), audio_seconds=None, versions={})
    page = read(changed(patients.healthy(), benches=(bench(1, seconds=1.0), bench(2, seconds=2.0), died)))
    part = page.by_id("case-1-benches")
    assert len(part.all("svg")) == 1
    assert [td.words for td in part.one("table").all("td")] == ["0.200", "0.100"]
    assert "crashed: was killed by SIGSEGV" in part.words


def test_what_was_not_judged_is_said_with_the_reason() -> None:
    part = read(changed(patients.sick(), observations=(Observation("/opt/x", "permission denied"),))).by_id(
        "case-1-unjudged"
    )
    assert f"{patients.NO_GPU}kernel-image-missing" in part.words
    assert "permission denied" in part.words
    assert "1 rule passed" in [summary.words for summary in part.all("summary")]


def test_where_all_could_judge_that_is_said() -> None:
    assert "Every rule that applies could judge." in read(patients.healthy()).by_id("case-1-unjudged").words


def test_a_rule_that_does_not_apply_is_no_loss() -> None:
    runs = (*patients.passed("driver-too-old"), CheckRun("cudnn-unreachable", "skipped", "no cuDNN", applies=False))
    part = read(patients.report(runs)).by_id("case-1-unjudged")
    assert "Every rule that applies could judge." in part.words
    assert "1 rule had nothing to judge here" in [summary.words for summary in part.all("summary")]


def test_environment_and_machine_are_told_and_the_unknown_is_said() -> None:
    machine = kit.host(shm_bytes=Unknown("not mounted"), variables=(Variable("LD_LIBRARY_PATH", "/usr/local/cuda"),))
    torch = kit.dist("torch", "2.8.0", cuda="12.8", built="2.8.0+cu128")
    report = changed(patients.healthy(), host=machine, driver=Unknown("NVML is silent"), distributions=(torch,))
    part = read(report).by_id("case-1-environment")
    for words in ("unknown: NVML is silent", "/dev/shm unknown (not mounted)", "/usr/local/cuda", "/home/ada/venv"):
        assert words in part.words
    assert [td.words for td in part.one("table").all("td")] == ["2.8.0+cu128", "CUDA 12.8"]


# --- A plan, and figures ------------------------------------------------------------------------------------------------


def test_the_plan_says_what_would_be_done_and_what_is_left_to_a_person() -> None:
    page = read(planned.planned())
    part = page.by_id("case-1-plan")
    first, second, driver, silent = part.all("div", "card")
    assert first.words.startswith(
        f"planned {patients.CUDNN.message} cudnn-unreachable Would be repaired by: Place links"
    )
    assert "(safe: changes no package, can be undone)" in first.words
    assert "The price: a reinstall of ctranslate2 takes them away." in first.words
    assert shells(first)[0].startswith("ln -sfn ../nvidia/cudnn/lib/libcudnn_cnn.so.9 /home/ada/venv/")
    assert shells(first)[-1] == f"# list-in-record {repairs.INFO}/RECORD"
    assert len(shells(second)) == len(repairs.ODD)
    assert driver.words.startswith(
        "held back The driver is older than CUDA 12 needs. driver-too-old Held back: this is"
    )
    assert shells(driver) == ["sudo apt install nvidia-driver-580"]
    assert shells(silent) == []
    assert first.one("a").attributes["href"] == f"#case-1-{repairs.LOADED.fingerprint}"
    assert "Plan" in [a.words for a in page.all("nav")[0].all("a")]
    assert banner(page).one("h2").words == "Sick"


def test_a_plan_of_nothing_says_so_and_a_check_has_none() -> None:
    assert "There is nothing to repair." in read(planned.planned(Plan((), ()))).by_id("case-1-plan").words
    assert [n for n in read(patients.sick()).walk() if n.attributes.get("id") == "case-1-plan"] == []


def test_a_page_of_figures_speaks_of_these_alone() -> None:
    page = read(planned.bad())
    assert banner(page).one("h2").words == "Failed"
    assert page.one("head").one("title").text == "Failed: /home/ada/venv – gpu-doctor"
    assert banner(page).one("p", "cause").words == planned.FAILS.message
    assert [a.words for a in page.all("nav")[0].all("a")] == ["Findings", "Benchmarks", "Environment"]
    gone = ("case-1-unjudged", "case-1-probes")
    assert [n for n in page.walk() if n.attributes.get("id") in gone] == []


def test_figures_are_plotted_and_told_whole() -> None:
    part = read(planned.bad()).by_id("case-1-benches")
    assert [h4.words for h4 in part.all("h4")] == [
        *("whisper on cpu", "whisper on cuda:0", "matmul on cuda:0", "stft on cuda:0"),
    ]
    slow = part.all("section", "card")[1]
    rows = {tr.one("th").words: tr.one("td").words for tr in slow.one("table").one("tbody").all("tr")}
    assert rows["rtf"] == "0.400 (10.0 s of audio in 4.00 s)"
    assert rows["speed-up"] == "2.00 × the CPU"
    assert len(slow.all("svg")) == 1
    assert "crashed: was killed by SIGSEGV" in part.all("section", "card")[3].words
    worse = part.one("ul", "reasons").all("li")
    assert len(worse) == 3
    assert worse[0].words.startswith(
        "worse whisper on cuda:0: time is worse than in the run of 2026-11-01 10:00: 2.00 s"
    )
    assert "left out: xtts: coqui-tts is not installed: uv pip install coqui-tts" in part.words


def test_figures_without_a_finding_are_counted_in_the_banner() -> None:
    top = banner(read(planned.good()))
    assert (top.one("h2").words, top.one("p", "cause").words) == ("Measured", "2 of 2 workloads measured.")
    top = banner(read(planned.measured(planned.SLOW, planned.DIED, comparisons=(planned.WORSE,))))
    assert top.one("p", "cause").words == "1 of 2 workloads measured, 3 figures worse than before."
    top = banner(read(planned.measured(planned.DIED)))
    assert (top.one("h2").words, top.attributes["class"]) == ("Not measured", "banner undetermined")


def test_every_workload_of_a_run_is_on_its_page() -> None:
    benches = tuple(replace(planned.SLOW, wish=replace(planned.SLOW.wish, device=f"cuda:{n}")) for n in range(20))
    assert len(read(planned.measured(*benches)).by_id("case-1-benches").all("h4")) == 20


def test_a_rule_that_broke_is_seen_on_a_page_of_figures() -> None:
    (case,) = planned.good().cases
    broken = replace(case, runs=(CheckRun("bench-fails", "crashed", "KeyError: 'x'"),))
    page = read(Report((broken,), "0.1.0", "2026-11-20"))
    assert "The rule bench-fails broke, so the verdict lacks it: KeyError: 'x'." in banner(page).words


def test_the_page_ends_with_a_line() -> None:
    assert render(patients.healthy()).endswith("</html>\n")


# --- Whatever stands in it ----------------------------------------------------------------------------------------------


def hostile(text: str) -> Report:
    """A report in which every text that others write is this one."""
    place = f"/opt/{text}/lib{text}.so"
    evidence = (Evidence(text, text, text, text), Evidence(text, f"{text}\n{text}", place))
    remedy = Remedy(text, "manual", (RunByHand(text, text),), price=text)
    finding = Finding(text, "error", text, text, evidence, remedy, durable=remedy)
    effect = replace(finding, subject=f"{text}2", consequence_of=finding.fingerprint)
    library = kit.lib(place, text, sass="80", unknown=text)
    consumer = kit.resolution(place, text, "libcudnn.so.9", found=place, after=(text,), rule=text)
    missing = replace(consumer, found=None, names=(f"libcudnn{text}",), tried=(Tried(place, text, text),))
    probes = (
        kit.probe("import", text, "raised", kit.trial(text, "failed", text), reason=text, log=text, again=text),
        kit.probe("cudnn", text, "skipped", reason=text),
    )
    inventory = patients.environment(
        kit.dist(text, "1.0", built=text),
        libraries=(library,),
        resolutions=(consumer, missing),
        probes=probes,
        gpus=(kit.gpu(text),),
        host=kit.host(variables=(Variable(text, text),), container=text, kernel=text),
        observations=(Observation(text, text),),
        benches=(bench(1, device_name=text, model=text), bench(2, device_name=text, model=text, versions={text: text})),
    )
    runs = (
        CheckRun(text, "failed", text, (finding, effect)),
        CheckRun(text, "skipped", text),
        CheckRun(text, "crashed", text),
    )
    plan = Plan((Treatment(finding, remedy, remedy.steps, remedy),), (HeldBack(effect, remedy, text),))
    case = Case(inventory, runs, patients.RULES, (PastRepair(text, text, text, text, text, (), None),), plan)
    comparison = replace(planned.WORSE, lost=(text,))
    figures = replace(case, plan=None, bench=BenchRun((comparison,), (("xtts", text),)))
    asked = Judged(Requirement(text, text, where=text), "unmet", text, evidence, (finding,))
    return Report((case, figures), text, text, (asked,), (Ignored(finding, text, text, text),))


def assert_it_holds(text: str) -> None:
    source = render(hostile(text))
    page = read(hostile(text))
    assert len(page.all("script")) == 1
    assert (
        re.search(
            "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]", source
        )
        is None
    )


def test_hostile_text_is_shown_and_does_nothing() -> None:
    assert_it_holds(EVIL)
    page = read(hostile(EVIL))
    for article in page.all("article"):
        assert '</script><script>alert("1")</script>' in article.one("h4").text
        assert r"\x1b[2J\u202etxt\u200b" in article.one("h4").text
        assert "{{ 7*7 }}" in article.one("h4").text
    assert page.by_id("case-1-plan").text.count("<img src=x onerror=alert(1)>") >= 4
    assert page.by_id("case-2-benches").text.count("<img src=x onerror=alert(1)>") >= 2


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(min_size=1, max_size=40).filter(str.strip))
def test_any_text_is_held(text: str) -> None:
    assert_it_holds(text)
