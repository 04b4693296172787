"""`dbutils.fs`: files through Hadoop's file systems, the ones that Spark reads and writes with.

A path without a scheme is on `dbfs:`.
"""

from collections import namedtuple

MountInfo = namedtuple("MountInfo", "mountPoint source encryptionType")

HEAD_BYTES = 65536
COPY_BYTES = 1 << 20


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
        system, path = self._open(dir)
        return [_info(status) for status in system.listStatus(path)]

    def mkdirs(self, dir):
        system, path = self._open(dir)
        return system.mkdirs(path)

    def rm(self, dir, recurse=False):
        """Removes a file or, with `recurse`, a folder; `False` when there is nothing there."""
        system, path = self._open(dir)
        return system.delete(path, bool(recurse))

    def cp(self, source, destination, recurse=False):
        return self._copy(source, destination, recurse, remove=False)

    def mv(self, source, destination, recurse=False):
        return self._copy(source, destination, recurse, remove=True)

    def put(self, file, contents, overwrite=False):
        """Writes a text as a file."""
        system, path = self._open(file)
        content = contents.encode()
        stream = system.create(path, bool(overwrite))
        try:
            for start in range(0, len(content), COPY_BYTES):
                stream.write(content[start : start + COPY_BYTES])
        finally:
            stream.close()
        print(f"Wrote {len(content)} bytes.")
        return True

    def head(self, file, maxBytes=HEAD_BYTES):
        """The first bytes of a file as text."""
        system, path = self._open(file)
        stream = system.open(path)
        try:
            utilities = getattr(self._jvm, "org.apache.commons.io.IOUtils")
            bounded = getattr(self._jvm, "org.apache.commons.io.input.BoundedInputStream")(stream, int(maxBytes))
            return bytes(utilities.toByteArray(bounded)).decode("utf-8", "replace")
        finally:
            stream.close()

    def mounts(self):
        """The root is the only mount."""
        return [MountInfo("/", "DatabricksRoot", "")]

    def refreshMounts(self):
        return True

    def mount(self, *_arguments, **_options):
        raise NotImplementedError("dbutils.fs: mounts are not available on this cluster")

    updateMount = unmount = mount

    def help(self, _name=None):
        print("dbutils.fs: ls, head, put, cp, mv, rm, mkdirs, mounts, refreshMounts")

    @property
    def _jvm(self):
        return self._spark.context._jvm

    def _open(self, name):
        """Returns the Hadoop file system that holds a path, and the path."""
        if self._spark is None:
            raise RuntimeError("dbutils.fs: this interpreter has no Spark")
        if ":/" not in name:
            name = "dbfs:/" + name.lstrip("/")
        path = getattr(self._jvm, "org.apache.hadoop.fs.Path")(name)
        try:
            return path.getFileSystem(self._spark.context._jsc.hadoopConfiguration()), path
        except Exception as error:
            if "No FileSystem for scheme" in str(error):
                scheme = name.split(":", 1)[0]
                raise NotImplementedError(f"dbutils.fs: `{scheme}:` is not available on this cluster") from None
            raise

    def _copy(self, source, destination, recurse, remove):
        from_system, from_path = self._open(source)
        to_system, to_path = self._open(destination)
        if from_system.getFileStatus(from_path).isDirectory() and not recurse:
            raise ValueError(f"dbutils.fs: `{source}` is a folder; give recurse=True")
        files = getattr(self._jvm, "org.apache.hadoop.fs.FileUtil")
        configuration = self._spark.context._jsc.hadoopConfiguration()
        return files.copy(from_system, from_path, to_system, to_path, remove, True, configuration)


def _info(status):
    path, folder = status.getPath(), status.isDirectory()
    end = "/" if folder else ""
    return FileInfo(path.toString() + end, path.getName() + end, status.getLen(), status.getModificationTime())
