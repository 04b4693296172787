"""`dbutils.fs`: files through Hadoop's file systems, the ones that Spark reads and writes with.

The work is done in the JVM, by the functions that Scala's `dbutils.fs` calls too. A path without a scheme is on `dbfs:`.
"""

import json
from collections import namedtuple

MountInfo = namedtuple("MountInfo", "mountPoint source encryptionType")

# The name that the root has for clients.
ROOT = MountInfo("/", "DatabricksRoot", "")

HEAD_BYTES = 65536
INT_MAX = 2**31 - 1

# What an error of the JVM is here. Its text names the Java class, as code that was written for the service looks for it.
ERRORS = {
    "java.io.FileNotFoundException": FileNotFoundError,
    "org.apache.hadoop.fs.FileAlreadyExistsException": FileExistsError,
    "java.lang.IllegalArgumentException": ValueError,
}


class FileInfo(namedtuple("FileInfo", "path name size modificationTime")):
    """One entry of a listing."""

    def isDir(self):
        return self.name.endswith("/")

    def isFile(self):
        return not self.isDir()


class FileSystem:
    """What user code knows as `dbutils.fs`."""

    def __init__(self, spark):
        self._spark = spark

    def ls(self, dir):
        """Lists a folder, or one file."""
        return [FileInfo(*entry) for entry in json.loads(self._call("listing", dir))]

    def mkdirs(self, dir):
        return self._call("mkdirs", dir)

    def rm(self, dir, recurse=False):
        """Removes a file or, with `recurse`, a folder; `False` when there is nothing there."""
        return self._call("rm", dir, bool(recurse))

    def cp(self, source, destination, recurse=False):
        return self._call("cp", source, destination, bool(recurse))

    def mv(self, source, destination, recurse=False):
        return self._call("mv", source, destination, bool(recurse))

    def put(self, file, contents, overwrite=False):
        """Writes a text as a file."""
        written = self._call("write", file, contents, bool(overwrite))
        print(f"Wrote {written} bytes.")
        return True

    def head(self, file, maxBytes=HEAD_BYTES):
        """The first bytes of a file as text."""
        return self._call("head", file, min(int(maxBytes), INT_MAX))

    def mounts(self):
        """The root, and what is mounted below it."""
        if self._spark is None:
            return [ROOT]
        return [MountInfo(*mount) for mount in self._call("mountTable")]

    def mount(self, source, mount_point, encryption_type="", owner=None, extra_configs=None):
        """Shows a folder of another file system below `dbfs:/`."""
        return self._mount(source, mount_point, encryption_type, extra_configs, False)

    def updateMount(self, source, mount_point, encryption_type="", owner=None, extra_configs=None):
        """As `mount`, in place of a mount that is there."""
        return self._mount(source, mount_point, encryption_type, extra_configs, True)

    def unmount(self, mount_point):
        return self._call("unmount", mount_point)

    def refreshMounts(self):
        """Every use of a mount looks at the table as it is."""
        return True

    def help(self, _name=None):
        print("dbutils.fs: ls, head, put, cp, mv, rm, mkdirs, mount, updateMount, unmount, mounts, refreshMounts")

    def _mount(self, source, mount_point, encryption_type, extra_configs, replace):
        options = {str(key): str(value) for key, value in (extra_configs or {}).items()}
        return self._call("mountWith", source, mount_point, encryption_type or "", options, replace)

    def _call(self, name, *arguments):
        if self._spark is None:
            raise RuntimeError("dbutils.fs: this interpreter has no Spark")
        try:
            return self._spark.files(name, *arguments)
        except Exception as error:
            # pyspark has classes of its own for some, which keep the original.
            raised = getattr(error, "java_exception", None) or getattr(error, "_origin", None)
            if raised is None:
                raise
            kind = raised.getClass().getName()
            if not kind.startswith(("java.io.", "org.apache.hadoop.", "java.lang.Illegal", "java.nio.file.")):
                raise
            text = f"{kind}: {raised.getMessage()}"
        raise ERRORS.get(kind, OSError)(text)
