"""The rules of the house, held by the tests: sizes, sentences, and who may do what."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "gpu_doctor"
SCRIPTS = PACKAGE / "probe" / "scripts"
MODULES = sorted(PACKAGE.rglob("*.py"))
PROBE_SCRIPTS = [path for path in MODULES if path.is_relative_to(SCRIPTS) and path.name != "__init__.py"]

# Libraries that a sick environment can make hang or abort; the parent process never imports them.
PATIENTS = {
    *("bitsandbytes", "ctranslate2", "cupy", "faster_whisper", "jax", "numba", "onnxruntime", "pynvml"),
    *("tensorflow", "torch", "torchaudio", "torchvision", "transformers", "triton", "whisperx", "xformers"),
}
PROCESS_MODULES = {"multiprocessing", "pty", "subprocess", "_posixsubprocess"}
PROCESS_CALLS = re.compile(r"^(exec\w+|fork\w*|popen|posix_spawnp?|spawn\w+|startfile|system)$")
# In the standard library of the running Python, but not in 3.8's.
AFTER_38 = {"annotationlib", "compression", "graphlib", "string.templatelib", "tomllib", "zoneinfo"}


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def dotted(path: Path) -> str:
    """Return the module's import name."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[tuple[str, str | None]]:
    """Yield (module, name) for `from module import name` and (module, None) for `import module`, wherever they stand."""
    package = dotted(path) if path.name == "__init__.py" else dotted(path).rpartition(".")[0]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            yield from ((base, alias.name) for alias in node.names)


def imported_roots(path: Path) -> set[str]:
    return {module.partition(".")[0] for module, _ in imports(path)}


def each(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", [pytest.param(path, id=name_of(path)) for path in paths])


# --- Small enough to read aloud ---------------------------------------------------------------------------------------


@each(MODULES)
def test_a_module_has_at_most_300_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


def lines_without_docstring(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count a function from `def` to its end; its docstring is documentation and costs nothing."""
    total = (function.end_lineno or 0) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None:
        total -= (first.end_lineno or 0) - first.lineno + 1
    return total


@each(MODULES)
def test_a_function_has_at_most_40_lines(path: Path) -> None:
    functions = [node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert {f.name: lines_without_docstring(f) for f in functions if lines_without_docstring(f) > 40} == {}


def defines(path: Path, name: str) -> bool:
    targets = [target for node in tree(path).body if isinstance(node, ast.Assign) for target in node.targets]
    targets += [node.target for node in tree(path).body if isinstance(node, ast.AnnAssign)]
    return any(isinstance(target, ast.Name) and target.id == name for target in targets)


RULES = [path for path in sorted((PACKAGE / "checks").glob("*.py")) if defines(path, "RULE")]


@each(RULES)
def test_a_rule_has_at_most_100_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 100


# --- One exact sentence -----------------------------------------------------------------------------------------------

Documented = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def public(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, Documented]]:
    """Yield the public classes, functions and methods; what stands inside a function is nobody else's."""
    for node in body:
        if isinstance(node, Documented) and not node.name.startswith("_"):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body, f"{prefix}{node.name}.")


def first_line(node: Documented | ast.Module) -> str:
    return (ast.get_docstring(node) or "").partition("\n")[0]


@each(MODULES)
def test_public_things_begin_with_one_sentence(path: Path) -> None:
    lines = {name: first_line(node) for name, node in public(tree(path).body)}
    assert {name: line for name, line in lines.items() if not re.fullmatch(r"[A-Z`].*[^.]\.", line)} == {}
    assert {name: line for name, line in lines.items() if re.search(r"[a-z`)]\. [A-Z]", line)} == {}


@each(MODULES)
def test_a_module_says_what_it_is_for(path: Path) -> None:
    assert first_line(tree(path)) != ""


# --- Each effect has one owner ----------------------------------------------------------------------------------------


@each(PROBE_SCRIPTS)
def test_a_probe_script_needs_the_standard_library_and_one_more(path: Path) -> None:
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))
    outside = imported_roots(path) - set(sys.stdlib_module_names)
    assert len(outside) <= 1, f"asks about one library, imports {sorted(outside)}"
    assert "gpu_doctor" not in outside
    assert imported_roots(path) & AFTER_38 == set()


@each(MODULES)
def test_nobody_imports_a_probe_script(path: Path) -> None:
    wanted = {f"{module}.{name}" if name else module for module, name in imports(path)}
    assert {name for name in wanted if name.startswith("gpu_doctor.probe.scripts.")} == set()


@each(MODULES)
def test_nobody_imports_through_a_facade(path: Path) -> None:
    """A name is imported from the module that defines it."""
    through = set()
    for module, name in imports(path):
        package = ROOT / module.replace(".", "/") / "__init__.py"
        if module.partition(".")[0] == "gpu_doctor" and name and package.exists():
            submodule = package.parent / name
            own = submodule.with_suffix(".py").exists() or submodule.is_dir()
            if not own and name in {n for _, n in imports(package)}:
                through.add(f"{module}.{name}")
    assert through == set()


def may_print(path: Path) -> bool:
    return path.is_relative_to(PACKAGE / "cli") or path.is_relative_to(SCRIPTS) or path == PACKAGE / "__main__.py"


@each([path for path in MODULES if not may_print(path)])
def test_only_the_command_line_prints(path: Path) -> None:
    nodes = list(ast.walk(tree(path)))
    calls = [node.lineno for node in nodes if isinstance(node, ast.Name) and node.id == "print"]
    streams = [
        node.lineno
        for node in nodes
        if isinstance(node, ast.Attribute) and node.attr in ("stdout", "stderr") and ast.unparse(node.value) == "sys"
    ]
    assert calls + streams == []


# A repair starts package managers, in one module.
STARTERS = (PACKAGE / "probe", PACKAGE / "fix" / "manager.py")


@each([path for path in MODULES if not any(path.is_relative_to(place) for place in STARTERS)])
def test_only_probe_and_the_package_managers_module_start_processes(path: Path) -> None:
    assert imported_roots(path) & PROCESS_MODULES == set()
    started = {
        f"{module}.{name}" for module, name in imports(path) if module == "os" and PROCESS_CALLS.match(name or "")
    }
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "os" and PROCESS_CALLS.match(node.attr):
                started.add(f"os.{node.attr}")
            if node.value.id == "asyncio" and node.attr.startswith("create_subprocess"):
                started.add(f"asyncio.{node.attr}")
    assert started == set()


@each([path for path in MODULES if not path.is_relative_to(SCRIPTS)])
def test_no_patient_is_imported_into_this_process(path: Path) -> None:
    assert imported_roots(path) & PATIENTS == set()


# --- One slug is everything of a rule ---------------------------------------------------------------------------------


def slug(path: Path) -> str:
    return path.stem.replace("_", "-")


def rule_id(path: Path) -> object:
    """Return the first argument of `RULE = Rule(…)`, or its `id`."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Rule":
            named = [keyword.value for keyword in node.keywords if keyword.arg == "id"]
            return ast.literal_eval((named or node.args)[0])
    return None


@each(RULES)
def test_a_rule_is_called_like_its_file_everywhere(path: Path) -> None:
    assert rule_id(path) == slug(path)
    assert (ROOT / "docs" / "rules" / f"{slug(path)}.md").exists()
    assert (ROOT / "tests" / "checks" / f"test_{path.stem}.py").exists()


def test_no_page_describes_a_rule_that_is_gone() -> None:
    pages = {page.stem for page in (ROOT / "docs" / "rules").glob("*.md")} - {"README", "index"}
    assert pages - {slug(path) for path in RULES} == set()


# --- What must not be in the repository, and what starting up may cost --------------------------------------------------

# Spelled in pieces, so that this file does not contain them.
FORBIDDEN = re.compile(
    "|".join(
        (
            r"(?:test\.)?py" + r"pi\.(?:org|io|python\.org|nvidia\.com)",
            r"python" + r"hosted\.org",
            r"download\.py" + r"torch\.org",
            r"(?:conda\.|repo\.)ana" + r"conda\.(?:org|com)",
            r"repo\.prefix" + r"\.dev",
            r"crates" + r"\.io",
            r"registry\.npm" + r"js\.org",
            r"farm" + r"-(?:bench|studio)",
            r"(?<![\w)\]])\.lib" + r"rary\b",
            r"(?<![\w.~-])/(?:wo" + r"rk|ro" + r"ot)/",
            r"/tmp/gd" + r"-labs",
        )
    )
)


def tracked() -> list[Path]:
    """Return the files that git tracks, or, without git (a source archive), those of the package and its papers."""
    listing = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=False)
    if listing.returncode == 0:
        return [path for name in listing.stdout.split("\0") if name and (path := ROOT / name).is_file()]
    return [
        p for folder in ("gpu_doctor", "docs", "tests", "scripts") for p in (ROOT / folder).rglob("*") if p.is_file()
    ]


def test_no_tracked_file_names_a_registry_or_a_workplace() -> None:
    found = []
    for path in tracked():
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if match := FORBIDDEN.search(line):
                found.append(f"{name_of(path)}:{number}: {match[0]}")
    assert found == []


def test_version_is_answered_without_the_terminal_libraries() -> None:
    code = (
        "import sys; sys.argv = ['gpu-doctor', '--version']\n"
        "from gpu_doctor.__main__ import main\n"
        "try: code = main()\n"
        "except SystemExit as end: code = end.code\n"
        "loaded = sorted({'typer', 'rich', 'click', 'cattrs', 'packaging'} & set(sys.modules))\n"
        "sys.exit(f'exit {code}, loaded {loaded}' if code or loaded else 0)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    assert re.fullmatch(r"gpu-doctor \d+\.\d+\.\d+\S*\n", run.stdout)


@pytest.mark.parametrize("page", [p for p in tracked() if p.suffix == ".md"], ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []
