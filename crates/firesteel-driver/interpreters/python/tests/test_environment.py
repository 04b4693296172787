"""The cluster's own environment: what `%pip` puts there, who sees it, and that the runtime does not change."""

import os
import sys
import tempfile
import textwrap
import unittest
import zipfile

from .fake_driver import Driver


def wheel(folder, name, version, source):
    """A package of one module, as a file that pip installs without a network."""
    path = os.path.join(folder, f"{name}-{version}-py3-none-any.whl")
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}/__init__.py", source)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


class Environment(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.environment = os.path.join(cls.folder.name, "clusters", "one", "python")
        cls.driver = Driver(arguments=[cls.environment])

    @classmethod
    def tearDownClass(cls):
        cls.driver.end()
        cls.folder.cleanup()

    def setUp(self):
        self.python = self.driver.context()
        self.addCleanup(self.python.close)

    def install(self, name, version, source):
        return self.python.run(f"%pip install --no-index {wheel(self.folder.name, name, version, source)}")

    def test_its_python_is_its_own_and_has_what_the_runtime_has(self):
        code = """
            import sys, os, IPython, pyspark
            [os.path.relpath(path, ENVIRONMENT) for path in (sys.prefix, sys.executable)], os.environ["VIRTUAL_ENV"] == ENVIRONMENT
        """
        said = self.python.run(textwrap.dedent(code).replace("ENVIRONMENT", repr(self.environment))).text
        self.assertEqual(said, "(['.', 'bin/python'], True)")
        self.assertEqual(self.python.run("!which python").text, os.path.join(self.environment, "bin", "python"))
        self.assertIn("pip", self.python.run("!pip --version").text)

    def test_what_is_installed_is_there_at_once_and_in_new_interpreters(self):
        done = self.install("fresh_package", "1.0", "VALUE = 41")
        self.assertIn("Successfully installed fresh_package-1.0", done.text.replace("fresh-package", "fresh_package"))
        self.assertTrue(done.message["installed"])
        self.assertEqual(self.python.run("import fresh_package; fresh_package.VALUE").text, "41")
        other = self.driver.context()
        done = other.run("import fresh_package; fresh_package.__file__")
        self.assertIn(self.environment, done.text)
        self.assertNotIn("installed", done.message)
        other.close()
        self.assertFalse(os.path.exists(os.path.join(sys.prefix, "fresh_package")))

    def test_a_new_version_of_what_is_imported_is_there_after_a_restart(self):
        done = self.install("cycler", "99.0", "__version__ = '99.0'; raise ValueError('broken')")
        self.assertIn("restartPython()", done.text)
        other = self.driver.context()
        # And one that is broken breaks what needs it, no more.
        self.assertIn("broken", other.run("import cycler").summary)
        self.assertEqual(other.run("import os; os.getppid()").text, str(self.driver.parent.pid))
        other.close()
        self.assertTrue(self.python.run("!pip uninstall --yes --quiet cycler").message["installed"])
        other = self.driver.context()
        self.assertNotIn("99.0", other.run("import cycler, matplotlib; cycler.__version__").text)
        other.close()

    def test_what_pip_says_is_the_error(self):
        done = self.python.run("%pip install --no-index no-such-package")
        self.assertIn("ended with exit status 1:\nERROR: ", done.summary)
        self.assertIn("No matching distribution found for no-such-package", done.summary)
        done = self.python.run("%sh echo one; echo two >&2; exit 3")
        self.assertTrue(done.cause.endswith("exit status 3.\none\ntwo"), done.cause)

    def test_spark_s_own_package_stays(self):
        path = wheel(self.folder.name, "pyspark", "1.0", "")
        done = self.python.run(f"%pip install --no-index {path}")
        self.assertIn("PipError", done.summary)
        self.assertIn("pyspark==", done.printed)

    def test_a_program_left_behind_prints_on(self):
        done = self.python.run("%sh (sleep 1; echo late) & echo now")
        self.assertEqual(done.text, "now")
        self.python.wait_for_output("late")
