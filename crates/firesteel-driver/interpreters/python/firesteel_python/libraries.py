"""Installs one library into the cluster's own environment: `python -m firesteel_python.libraries KIND WHAT`, in its Python.

What is printed is told to whoever asked for the library when the exit status is not 0.
"""

import email.parser
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile

METADATA = "EGG-INFO/PKG-INFO"


def install(kind, what):
    """Installs and ends the process, unless it is an egg."""
    if kind == "egg":
        return install_egg(what, sysconfig.get_path("purelib"))
    python = [sys.executable, "-m"]
    if importlib.util.find_spec("pip") is None:
        subprocess.run([*python, "ensurepip"], check=True)
    command = [*python, "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    command += ["-r", what] if kind == "requirements" else ["--", what]
    os.execv(sys.executable, command)


def install_egg(path, packages):
    """Unpacks an egg, which pip does not know: its modules to where all others are, so that what runs already finds them too, and
    what it says of itself to where pip looks. What it depends on is not installed."""
    try:
        egg = zipfile.ZipFile(path)
    except zipfile.BadZipFile:
        sys.exit(f"{os.path.basename(path)} is no egg: it is not a zip file")
    with egg, tempfile.TemporaryDirectory(dir=os.path.dirname(packages)) as aside:
        if METADATA not in egg.namelist():
            sys.exit(f"{os.path.basename(path)} is no egg: it holds no {METADATA}")
        facts = email.parser.BytesHeaderParser().parsebytes(egg.read(METADATA))
        egg.extractall(aside)
        name = "-".join(str(facts[key]).replace("-", "_").replace(os.sep, "_") for key in ("Name", "Version"))
        os.rename(os.path.join(aside, "EGG-INFO"), os.path.join(aside, f"{name}.egg-info"))
        shutil.copytree(aside, packages, dirs_exist_ok=True)


if __name__ == "__main__":
    install(*sys.argv[1:])
