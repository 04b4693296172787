"""Eggs, which are unpacked; all else is pip's."""

import importlib
import importlib.metadata
import os
import sys
import tempfile
import unittest
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

from firesteel_python import libraries  # noqa: E402

METADATA = "Metadata-Version: 1.0\nName: egg-of-a-test\nVersion: 1.0\n"


class Eggs(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.packages = os.path.join(self.folder.name, "packages")
        os.mkdir(self.packages)

    def install(self, files):
        path = os.path.join(self.folder.name, "test-1.0-py3.egg")
        with zipfile.ZipFile(path, "w") as egg:
            for name, text in files.items():
                egg.writestr(name, text)
        libraries.install_egg(path, self.packages)

    def test_an_egg_is_imported_and_known_by_its_metadata(self):
        self.install({"egg_of_a_test/__init__.py": "VALUE = 1\n", libraries.METADATA: METADATA})
        sys.path.insert(0, self.packages)
        self.addCleanup(sys.path.remove, self.packages)
        importlib.invalidate_caches()
        self.assertEqual(importlib.import_module("egg_of_a_test").VALUE, 1)
        self.assertEqual(importlib.metadata.version("egg-of-a-test"), "1.0")
        # A second one beside it, in a package of the same name.
        self.install({"egg_of_a_test/more.py": "VALUE = 2\n", libraries.METADATA: METADATA.replace("1.0", "2.0")})
        self.assertEqual(importlib.import_module("egg_of_a_test.more").VALUE, 2)

    def test_what_is_no_egg_is_told(self):
        for files in ({"a.py": ""}, {}):
            with self.assertRaisesRegex(SystemExit, "test-1.0-py3.egg is no egg: it holds no EGG-INFO/PKG-INFO"):
                self.install(files)
        path = os.path.join(self.folder.name, "text.egg")
        with open(path, "w") as file:
            file.write("text")
        with self.assertRaisesRegex(SystemExit, "text.egg is no egg: it is not a zip file"):
            libraries.install_egg(path, self.packages)

    def test_nothing_is_written_beside_the_packages(self):
        self.install({"../../outside.py": "", "inside.py": "", libraries.METADATA: METADATA})
        self.assertFalse(os.path.exists(os.path.join(self.folder.name, "outside.py")))
        self.assertIn("inside.py", os.listdir(self.packages))


if __name__ == "__main__":
    unittest.main()
