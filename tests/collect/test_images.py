"""The tar of an image as an inventory: what is installed, layer over layer, and nothing of this machine."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from gpu_doctor.collect import layers
from gpu_doctor.collect.images import UNTOLD, read_image
from gpu_doctor.errors import DoctorError
from gpu_doctor.model.inventory import Inventory
from gpu_doctor.model.unknown import Unknown

SITE = "opt/app/lib/python3.11/site-packages"
CFG = b"home = /usr/bin\nversion_info = 3.11.7\nuv = 0.5\n"
Files = dict[str, bytes | tarfile.TarInfo]


def wheel(name: str, version: str, *files: str, site: str = SITE) -> Files:
    """The files of one distribution; its libraries are long, so that a copy would be seen."""
    info = f"{site}/{name.replace('-', '_')}-{version}.dist-info"
    record = "".join(f"{file},sha256=x,9\n" for file in files)
    content = dict.fromkeys((f"{site}/{file}" for file in files), b"\x7fELF" + b"x" * 5000)
    metadata = f"Name: {name}\nVersion: {version}\n\ntext".encode()
    return {f"{info}/METADATA": metadata, f"{info}/RECORD": record.encode(), f"{info}/INSTALLER": b"pip\n", **content}


def packed(files: Files) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in files.items():
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            data = b"" if isinstance(content, tarfile.TarInfo) else content
            if not isinstance(content, tarfile.TarInfo):
                info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def saved(*layers_: Files, env: tuple[str, ...] = ()) -> bytes:
    """What `docker save` writes."""
    names = [f"layer-{number}.tar" for number in range(len(layers_))]
    manifest = json.dumps([{"Config": "config.json", "Layers": names}]).encode()
    config = json.dumps({"config": {"Env": list(env)}}).encode()
    return packed(
        {"config.json": config, **dict(zip(names, map(packed, layers_), strict=True)), "manifest.json": manifest}
    )


@pytest.fixture
def read(tmp_path: Path) -> Callable[[bytes], Inventory]:
    def take(data: bytes) -> Inventory:
        (tmp_path / "image.tar").write_bytes(data)
        return read_image("image.tar", str(tmp_path), {}, lambda _words: None)

    return take


OPAQUE = f"{SITE}/.wh..wh..opq"
BASE: Files = {
    "opt/app/pyvenv.cfg": CFG,
    "opt/app/bin/python": link("opt/app/bin/python", "/usr/bin/python3.11"),
    "etc/os-release": b'ID=debian\nVERSION_ID="12"\n',
    "usr/lib/x86_64-linux-gnu/libc.so.6": b"..GNU C Library (Debian GLIBC) stable release version 2.36.\n",
    **wheel("torch", "2.6.0", "torch/lib/libtorch_cuda.so"),
    f"{SITE}/torch/version.py": b"__version__ = '2.6.0+cu124'\ncuda = '12.4'\n",
    **wheel("nvidia-cufft-cu12", "11.2.1.3", "nvidia/cufft/lib/libcufft.so.11"),
}


def versions(inventory: Inventory) -> dict[str, str]:
    return {d.name: d.label.partition(" ")[2] for d in inventory.distributions}


def test_a_root_file_system_tells_what_is_installed(read: Callable[[bytes], Inventory]) -> None:
    seen = read(packed(BASE))
    assert versions(seen) == {"torch": "2.6.0+cu124", "nvidia-cufft-cu12": "11.2.1.3"}
    assert str(seen.interpreter.version) == "3.11.7"
    assert (seen.interpreter.prefix, seen.interpreter.manager) == ("/opt/app", "uv")
    assert [(library.path, library.package) for library in seen.libraries] == [
        (f"/{SITE}/nvidia/cufft/lib/libcufft.so.11", "nvidia-cufft-cu12"),
        (f"/{SITE}/torch/lib/libtorch_cuda.so", "torch"),
    ]
    assert (str(seen.host.glibc), seen.host.distribution) == ("2.36", "debian")


def test_nothing_of_this_machine_is_told(read: Callable[[bytes], Inventory], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    seen = read(packed(BASE))
    assert (seen.driver, seen.gpus, seen.host.kernel, seen.host.variables) == (UNTOLD, UNTOLD, "", ())
    assert "gpu-doctor-" not in repr(seen)


def test_layers_lie_over_each_other_and_hide_what_is_below(read: Callable[[bytes], Inventory]) -> None:
    gone = f"{SITE}/.wh.nvidia_cufft_cu12-11.2.1.3.dist-info"
    seen = read(
        saved(
            BASE,
            {gone: b"", **wheel("numpy", "2.0.0")},
            {f"{SITE}/torch/version.py": b"__version__ = '2.6.0+cpu'\ncuda = None\n"},
            env=("CUDA_VISIBLE_DEVICES=0", "HF_TOKEN=hf_secret", "PATH=/usr/bin"),
        )
    )
    assert versions(seen) == {"torch": "2.6.0+cpu", "numpy": "2.0.0"}
    assert [(v.name, v.value) for v in seen.host.variables] == [("CUDA_VISIBLE_DEVICES", "0")]


def test_an_opaque_folder_begins_anew_whatever_comes_first_in_its_layer(read: Callable[[bytes], Inventory]) -> None:
    for upper in ({**wheel("numpy", "2.0.0"), OPAQUE: b""}, {OPAQUE: b"", **wheel("numpy", "2.0.0")}):
        assert versions(read(saved(BASE, upper))) == {"numpy": "2.0.0"}


def test_the_environment_with_most_gpu_packages_is_meant(read: Callable[[bytes], Inventory]) -> None:
    system = "usr/lib/python3/dist-packages"
    others = {k: v for number in range(5) for k, v in wheel(f"tool{number}", "1.0", site=system).items()}
    assert "torch" in versions(read(packed({**others, **BASE})))


def test_no_member_leaves_the_folder_and_no_link_is_made(tmp_path: Path) -> None:
    victim, inside = tmp_path / "victim", tmp_path / "inside"
    victim.mkdir()
    inside.mkdir()
    evil: Files = {
        f"../victim/{SITE}/a-1.dist-info/METADATA": b"escaped",
        f"{victim}/lib/python3.11/site-packages/b-1.dist-info/METADATA": b"escaped",
        "opt": link("opt", str(victim)),
        f"{SITE}/c-1.dist-info": link(f"{SITE}/c-1.dist-info", str(victim)),
        f"{SITE}/c-1.dist-info/METADATA": b"through a link",
        "usr/lib/python3.11/os.py": link("usr/lib/python3.11/os.py", "/etc/passwd"),
        f"{SITE}/d-1.dist-info/METADATA": link(f"{SITE}/d-1.dist-info/METADATA", "/etc/passwd", tarfile.LNKTYPE),
        f"{SITE}/.wh...": b"",
        ".wh..": b"",
    }
    (tmp_path / "evil.tar").write_bytes(packed(evil))
    layers.unpack(str(tmp_path / "evil.tar"), "evil", str(inside), lambda _words: None)
    assert list(victim.iterdir()) == []
    assert not [path for path in inside.rglob("*") if path.is_symlink()]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.tar", "inside", "victim"]
    assert (inside / SITE / "c-1.dist-info/METADATA").read_bytes() == b"through a link"
    assert "root:" not in "".join(path.read_text() for path in inside.rglob("*") if path.is_file())


def test_libraries_are_not_unpacked(tmp_path: Path) -> None:
    (tmp_path / "image.tar").write_bytes(packed(BASE))
    layers.unpack(str(tmp_path / "image.tar"), "image", str(tmp_path / "out"), lambda _words: None)
    assert os.path.getsize(tmp_path / "out" / SITE / "torch/lib/libtorch_cuda.so") == 0


@pytest.mark.parametrize(("limit", "value"), [("_MOST_MEMBERS", 3), ("_LARGEST_TOTAL", 100), ("_MOST_LAYERS", 1)])
def test_a_bomb_is_refused(
    read: Callable[[bytes], Inventory], monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(layers, limit, value)
    with pytest.raises(DoctorError, match=r"cannot read image\.tar|not the tar of an image"):
        read(saved(BASE, BASE))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (packed(BASE)[:3000] + b"\xff" * 600, "not the tar of an image|no Python environment"),
        (packed({"etc/os-release": b"ID=alpine"}), "no Python environment is in it"),
        (packed({"index.json": b"{}", "oci-layout": b"{}"}), "an OCI layout"),
        (packed({"manifest.json": b"[]"}), "not the tar of an image"),
        (packed({"manifest.json": b'[{"Config": "c", "Layers": ["none"]}]'}), "not the tar of an image"),
    ],
)
def test_what_is_no_image_is_refused(read: Callable[[bytes], Inventory], data: bytes, says: str) -> None:
    with pytest.raises(DoctorError, match=says):
        read(data)


def test_an_image_without_libc_says_so(read: Callable[[bytes], Inventory]) -> None:
    seen = read(packed({name: content for name, content in BASE.items() if "libc.so" not in name}))
    assert seen.host.glibc == Unknown("the image's libc was not found")
