"""What is built from a checkout: its name, its contents, and what an editable install is."""

from __future__ import annotations

import email
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

import gnet
from gnet._values import namesake
from tests.helpers.peers import run

ROOT = Path(__file__).parent.parent


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what a build reads. It builds without a compiler, and with what is installed."""
    pytest.importorskip("Cython", reason="the build needs Cython")
    monkeypatch.setenv("GNET_PURE", "1")
    place = tmp_path / "checkout"
    ignored = shutil.ignore_patterns("*.so", "__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "gnet", place / "gnet", ignore=ignored)
    for name in ("pyproject.toml", "setup.py", "README.rst", "CHANGES.rst", "LICENSE"):
        shutil.copy(ROOT / name, place)
    (place / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "gnet.1", place / "docs")
    return place


def pip(*arguments: str) -> None:
    output, errors, status = run(
        sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments
    )
    assert status == 0, (output + errors).decode()


@pytest.mark.limit(60)
def test_a_wheel_without_the_core_runs_everywhere_and_holds_the_package_alone(
    checkout: Path, tmp_path: Path
) -> None:
    pip("wheel", "-q", "--no-build-isolation", "--no-deps", "-w", str(tmp_path), str(checkout))
    [wheel] = tmp_path.glob("*.whl")
    assert wheel.name == f"gevent_net-{gnet.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = email.message_from_bytes(
            archive.read(f"gevent_net-{gnet.__version__}.dist-info/METADATA")
        )
    assert {name.split("/")[0].split(".")[0] for name in names} == {"gnet", "gevent_net-0"}
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "gnet").rglob("*.py")}
    assert sources <= set(names)
    assert "gnet/py.typed" in names
    assert f"gevent_net-{gnet.__version__}.data/data/share/man/man1/gnet.1" in names
    assert metadata["Name"] == "gevent-net"
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.10"
    assert "gnet is Node's" in metadata.get_payload()


@pytest.mark.limit(60)
def test_an_editable_install_is_a_path_which_type_checkers_can_read(
    checkout: Path, tmp_path: Path
) -> None:
    target = tmp_path / "site"
    pip(
        "install",
        "-q",
        "--no-build-isolation",
        "--no-deps",
        "-t",
        str(target),
        "-e",
        str(checkout),
    )
    [pth] = target.glob("__editable__*.pth")
    assert [Path(line) for line in pth.read_text("utf-8").splitlines()] == [checkout]
    assert list(target.glob("__editable__*finder.py")) == []


def test_gnet_beside_the_other_package_of_that_name_says_what_is_wrong(tmp_path: Path) -> None:
    namesake.check(str(tmp_path))
    (tmp_path / "neuralnetwork.py").touch()
    with pytest.raises(ImportError, match="two distributions, gevent-net and gNet"):
        namesake.check(str(tmp_path))
