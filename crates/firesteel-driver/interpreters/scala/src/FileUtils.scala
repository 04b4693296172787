// `dbutils.fs`: files through Hadoop's file systems, the ones that Spark reads and writes with. Scala's user code and Python's call the same
// functions. A path without a scheme is on `dbfs:`.
package firesteel

import java.io.{ByteArrayOutputStream, FileNotFoundException, IOException}
import java.nio.charset.StandardCharsets.UTF_8

import scala.collection.JavaConverters._

import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.{FileStatus, FileSystem, FileUtil, Path}

/** One entry of a listing; the name of a folder ends in a slash, and so does its path. */
final case class FileInfo(path: String, name: String, size: Long, modificationTime: Long) {
  def isDir: Boolean = name.endsWith("/")
  def isFile: Boolean = !isDir
}

final case class MountInfo(mountPoint: String, source: String, encryptionType: String)

final class FileUtils(configuration: () => Configuration) {
  private val HeadBytes = 65536

  /** Lists a folder, or the one file that the path is. */
  def ls(dir: String): Seq[FileInfo] = {
    val (system, path) = open(dir)
    system.listStatus(path).toSeq.map(info)
  }

  def mkdirs(dir: String): Boolean = {
    val (system, path) = open(dir)
    system.mkdirs(path)
  }

  /** False when there is nothing there. */
  def rm(dir: String, recurse: Boolean = false): Boolean = {
    val (system, path) = open(dir)
    system.delete(path, recurse)
  }

  def cp(from: String, to: String, recurse: Boolean = false): Boolean = copy(from, to, recurse, remove = false)

  def mv(from: String, to: String, recurse: Boolean = false): Boolean = copy(from, to, recurse, remove = true)

  /** The first bytes of a file as text. */
  def head(file: String, maxBytes: Int = HeadBytes): String = {
    val (system, path) = open(file)
    val length = math.min(system.getFileStatus(path).getLen, math.max(maxBytes, 0)).toInt
    val stream = system.open(path)
    try {
      val bytes = new Array[Byte](length)
      var read = 0
      var count = 0
      while (read < bytes.length && count >= 0) {
        count = stream.read(bytes, read, bytes.length - read)
        read += math.max(count, 0)
      }
      new String(bytes, 0, read, UTF_8)
    } finally stream.close()
  }

  /** Writes a text as a file. */
  def put(file: String, contents: String, overwrite: Boolean = false): Boolean = {
    println(s"Wrote ${write(file, contents, overwrite)} bytes.")
    true
  }

  /** The root first, under the name that it has for clients. */
  def mounts(): Seq[MountInfo] =
    MountInfo("/", "DatabricksRoot", "") +: root.mounts.map(mount => MountInfo(mount.point, mount.source, mount.encryption))

  /** Shows a folder of another file system below `dbfs:/`. */
  def mount(
      source: String, mountPoint: String, encryptionType: String = "", owner: String = null, extraConfigs: Map[String, String] = Map.empty
  ): Boolean = {
    root.mount(Mount(mountPoint, qualified(source, extraConfigs), orEmpty(encryptionType), extraConfigs), replace = false)
    true
  }

  /** As `mount`, in place of a mount that is there. */
  def updateMount(
      source: String, mountPoint: String, encryptionType: String = "", owner: String = null, extraConfigs: Map[String, String] = Map.empty
  ): Boolean = {
    root.mount(Mount(mountPoint, qualified(source, extraConfigs), orEmpty(encryptionType), extraConfigs), replace = true)
    true
  }

  def unmount(mountPoint: String): Boolean = {
    root.unmount(mountPoint)
    true
  }

  /** Every use of a mount looks at the table as it is. */
  def refreshMounts(): Boolean = true

  def help(): Unit =
    println("dbutils.fs: ls, head, put, cp, mv, rm, mkdirs, mount, updateMount, unmount, mounts, refreshMounts")

  /** For Python, which would ask for each field by a call of its own. */
  def listing(dir: String): String = {
    val out = new ByteArrayOutputStream
    val json = Json.generator(out)
    json.writeStartArray()
    ls(dir).foreach { entry =>
      json.writeStartArray()
      json.writeString(entry.path)
      json.writeString(entry.name)
      json.writeNumber(entry.size)
      json.writeNumber(entry.modificationTime)
      json.writeEndArray()
    }
    json.writeEndArray()
    json.close()
    out.toString("UTF-8")
  }

  /** Writes a text as a file and returns its bytes; Python says so itself, where its user sees it. */
  def write(file: String, contents: String, overwrite: Boolean): Int = {
    val (system, path) = open(file)
    val bytes = contents.getBytes(UTF_8)
    val stream = system.create(path, overwrite)
    try stream.write(bytes)
    finally stream.close()
    bytes.length
  }

  def mountTable(): java.util.List[java.util.List[String]] =
    mounts().map(mount => Seq(mount.mountPoint, mount.source, mount.encryptionType).asJava).asJava

  def mountWith(
      source: String, point: String, encryption: String, options: java.util.Map[String, String], replace: Boolean): Boolean =
    if (replace) updateMount(source, point, encryption, null, options.asScala.toMap)
    else mount(source, point, encryption, null, options.asScala.toMap)

  private def copy(from: String, to: String, recurse: Boolean, remove: Boolean): Boolean = {
    val (source, sourcePath) = open(from)
    val (target, targetPath) = open(to)
    val status = source.getFileStatus(sourcePath)
    if (status.isDirectory && !recurse) throw new IOException(s"`$from` is a folder; give recurse = true")
    // A file of the same name is replaced, a folder takes it in: as `cp` has it everywhere.
    val moved = remove && source == target && isNew(target, targetPath) && makeParent(target, targetPath) && source.rename(sourcePath, targetPath)
    moved || FileUtil.copy(source, sourcePath, target, targetPath, remove, true, configuration())
  }

  private def isNew(system: FileSystem, path: Path): Boolean = !system.exists(path)

  private def makeParent(system: FileSystem, path: Path): Boolean = path.getParent == null || system.mkdirs(path.getParent)

  private def info(status: FileStatus): FileInfo = {
    val end = if (status.isDirectory) "/" else ""
    FileInfo(status.getPath.toString + end, status.getPath.getName + end, status.getLen, status.getModificationTime)
  }

  private def open(name: String): (FileSystem, Path) = {
    val path = new Path(withScheme(name))
    (path.getFileSystem(configuration()), path)
  }

  private def withScheme(name: String): String =
    if (name.takeWhile(_ != '/').contains(':')) name else s"${Dbfs.Scheme}:/${name.dropWhile(_ == '/')}"

  private def root: DbfsFileSystem = new Path(s"${Dbfs.Scheme}:/").getFileSystem(configuration()).asInstanceOf[DbfsFileSystem]

  /** The source of a mount, in full; it must be there. */
  private def qualified(source: String, options: Map[String, String]): String = {
    val settings = new Configuration(configuration())
    options.foreach { case (key, value) => settings.set(key, value) }
    val path = new Path(withScheme(source))
    val system = FileSystem.newInstance(path.toUri, settings)
    try {
      val found = system.getFileStatus(path)
      if (!found.isDirectory) throw new FileNotFoundException(s"`$source` is not a folder")
      found.getPath.toString
    } finally system.close()
  }

  private def orEmpty(text: String): String = if (text == null) "" else text
}
