"""What is built: the same from a checkout and from an sdist, and whole."""

from __future__ import annotations

import ast
import base64
import csv
import hashlib
import importlib.metadata
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import unittest
import zipfile
from pathlib import Path

import prova_sdk

SOURCE = Path(__file__).resolve().parent.parent
VERIFIER = SOURCE / "../../verifiers/python/prova"


def build(folder: Path, out: str) -> "list[Path]":
    done = subprocess.run([sys.executable, "-I", str(folder / "package.py"), out], capture_output=True, text=True, check=True)
    return [Path(line) for line in done.stdout.split()]


class Package(unittest.TestCase):
    def test_an_sdist_makes_the_same_wheel_and_itself(self) -> None:
        with tempfile.TemporaryDirectory() as a, tempfile.TemporaryDirectory() as b:
            wheel, sdist = build(SOURCE, a)
            with tarfile.open(sdist) as tar:
                tar.extractall(b)
            again, sdist_again = build(Path(b) / sdist.name[: -len(".tar.gz")], b + "/out")
            self.assertEqual((wheel.name, wheel.read_bytes()), (again.name, again.read_bytes()))
            self.assertEqual(sdist.read_bytes(), sdist_again.read_bytes())
            self.check_record(wheel)

    def check_record(self, wheel: Path) -> None:
        with zipfile.ZipFile(wheel) as z:
            record = next(n for n in z.namelist() if n.endswith("/RECORD"))
            listed = {row[0]: row[1:] for row in csv.reader(z.read(record).decode().splitlines())}
            self.assertEqual(sorted(listed), sorted(z.namelist()))
            for name, (digest, size) in listed.items():
                if name != record:
                    data = z.read(name)
                    want = "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
                    self.assertEqual((digest, size), (want, str(len(data))), name)

    def test_the_verifier_is_the_one_of_the_repository(self) -> None:
        copied = Path(prova_sdk.__file__).parent / "_receipt"
        names = [p.name for p in copied.glob("*.py") if p.name != "__init__.py"]
        self.assertIn("ed25519.py", names)
        for name in names:
            self.assertEqual((copied / name).read_bytes(), (VERIFIER / name).read_bytes(), name)

    def test_the_version_is_said_once(self) -> None:
        text = (SOURCE / "pyproject.toml").read_text("utf-8")
        self.assertIn(f'version = "{prova_sdk.__version__}"', text)
        if os.environ.get("PROVA_INSTALLED"):
            about = importlib.metadata.metadata("prova-sdk")
            self.assertEqual((about["Version"], about["Requires-Python"]), (prova_sdk.__version__, ">=3.10"))
            self.assertNotIn(str(SOURCE), prova_sdk.__file__)
            self.assertTrue((Path(prova_sdk.__file__).parent / "py.typed").exists())

    def test_the_code_of_the_readme_is_python(self) -> None:
        blocks = re.findall("```python\n(.*?)```", (SOURCE / "README.md").read_text("utf-8"), re.DOTALL)
        self.assertGreater(len(blocks), 4)
        for block in blocks:
            # What it takes from the package is there.
            names = {n.id for n in ast.walk(ast.parse(block)) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
            for name in names & {"Client", "FINISHED", "Recorder", "WebhookReceiver", "current_run", "verify_receipt", "verify_webhook"}:
                self.assertIn(name, prova_sdk.__all__)

    def test_all_that_is_named_is_there(self) -> None:
        for name in prova_sdk.__all__:
            self.assertTrue(hasattr(prova_sdk, name), name)
        self.assertEqual(sorted(prova_sdk.__all__), prova_sdk.__all__)


if __name__ == "__main__":
    unittest.main()
