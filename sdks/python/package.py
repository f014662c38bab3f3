#!/usr/bin/env python3
"""Makes the wheel and the sdist of prova-sdk, with nothing but the standard library.

    python3 sdks/python/package.py [FOLDER]    into FOLDER, else into sdks/python/dist

It is also the build backend that pyproject.toml names, so that pip and build make the
same files. The verifier of receipts is not written twice: its modules are copied from
verifiers/python/prova to prova_sdk/_receipt. An sdist holds the copy. The same sources
make the same bytes.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import re
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Dict, Optional

HERE = Path(__file__).resolve().parent
VERIFIER = HERE / "../../verifiers/python/prova"
LICENSE = HERE / "../../LICENSE"

# What verify_receipt needs of the verifier; each imports only others of them.
SHARED = ("canonical", "ed25519", "merkle", "notes", "receipt", "trust", "witness")

# The time of every file: zip knows none before.
EPOCH = (1980, 1, 1, 0, 0, 0)


def setting(name: str) -> str:
    """A text of the project table. Python 3.10 has no reader of TOML."""
    found = re.search(rf'^{name} = "([^"\\]*)"$', (HERE / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    if found is None:
        raise SystemExit(f"pyproject.toml has no {name}")
    return found[1]


def sources() -> Dict[str, bytes]:
    """The package, by path: what stands in src, and the shared modules where they are not copied yet."""
    src = HERE / "src"
    files = {p.relative_to(src).as_posix(): p.read_bytes() for p in src.rglob("*") if p.suffix == ".py" or p.name == "py.typed"}
    if "prova_sdk/_receipt/__init__.py" not in files:
        files["prova_sdk/_receipt/__init__.py"] = b'"""The modules of verifiers/python/prova that verify one receipt, as they stand there."""\n'
        files.update({f"prova_sdk/_receipt/{name}.py": (VERIFIER / f"{name}.py").read_bytes() for name in SHARED})
    return dict(sorted(files.items()))


def license_text() -> bytes:
    beside = HERE / "LICENSE"
    return (beside if beside.exists() else LICENSE).read_bytes()


def metadata() -> bytes:
    """The core metadata, as of version 2.1, which every installer reads."""
    lines = [
        "Metadata-Version: 2.1", f"Name: {setting('name')}", f"Version: {setting('version')}", f"Summary: {setting('description')}",
        f"License: {setting('license')}", f"Requires-Python: {setting('requires-python')}", "Description-Content-Type: text/markdown",
        "Classifier: Programming Language :: Python :: 3", "Classifier: Typing :: Typed", "", "",
    ]  # fmt: skip
    return "\n".join(lines).encode() + (HERE / "README.md").read_bytes()


def base_name() -> str:
    return f"{setting('name').replace('-', '_')}-{setting('version')}"


def build_wheel(wheel_directory: str, config_settings: Optional[object] = None, metadata_directory: Optional[str] = None) -> str:
    info = base_name() + ".dist-info/"
    files = sources()
    files[info + "METADATA"] = metadata()
    files[info + "WHEEL"] = b"Wheel-Version: 1.0\nGenerator: prova-sdk\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[info + "LICENSE"] = license_text()
    record = [f"{name},sha256={digest(data)},{len(data)}" for name, data in files.items()] + [info + "RECORD,,", ""]
    files[info + "RECORD"] = "\n".join(record).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            wheel.writestr(entry, data)
    name = base_name() + "-py3-none-any.whl"
    (Path(wheel_directory) / name).write_bytes(out.getvalue())
    return name


def digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def build_sdist(sdist_directory: str, config_settings: Optional[object] = None) -> str:
    files = {"src/" + name: data for name, data in sources().items()}
    files.update({name: (HERE / name).read_bytes() for name in ("README.md", "package.py", "pyproject.toml")})
    files.update({"LICENSE": license_text(), "PKG-INFO": metadata()})
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in sorted(files.items()):
            entry = tarfile.TarInfo(f"{base_name()}/{name}")
            entry.size, entry.mode = len(data), 0o644
            tar.addfile(entry, io.BytesIO(data))
    name = base_name() + ".tar.gz"
    (Path(sdist_directory) / name).write_bytes(gzip.compress(out.getvalue(), mtime=0))
    return name


def lay_out(folder: str) -> None:
    """Puts the package where it can be imported from, such as for a type checker."""
    for name, data in sources().items():
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "dist"
    folder.mkdir(parents=True, exist_ok=True)
    for name in (build_wheel(str(folder)), build_sdist(str(folder))):
        print(folder / name)


if __name__ == "__main__":
    main()
