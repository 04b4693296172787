// `dbfs:/`: a Hadoop file system over one folder, `fs.dbfs.root`, for the driver and for executors alike. The same files are served over REST.
//
// A path below a mount is one of the file system that is mounted there. What a path may be is what it may be there: no `..`, no NUL, nothing of the server's own folder, and no symbolic link that leads out.
package firesteel

import java.io.{File, FileNotFoundException, IOException}
import java.net.URI
import java.nio.file.attribute.PosixFileAttributes
import java.nio.file.{FileAlreadyExistsException => Taken, Files, LinkOption, NoSuchFileException, Path => LocalPath, Paths}

import scala.collection.JavaConverters._

import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs._
import org.apache.hadoop.fs.permission.{FsAction, FsPermission}
import org.apache.hadoop.util.Progressable

object Dbfs {
  val Scheme = "dbfs"

  /** The folder in the root that is the server's own. */
  val Own = ".firesteel"

  val Root: URI = URI.create("dbfs:///")
}

/** Where a path is: in the folder, or in another file system that is mounted there. */
private sealed trait Place
private final case class Here(at: LocalPath) extends Place
private final case class There(system: FileSystem, at: Path, mount: Mount, top: Path) extends Place {
  /** A status as it looks from `dbfs:/`. */
  def seen(status: FileStatus): FileStatus = {
    val below = status.getPath.toUri.getPath.stripPrefix(top.toUri.getPath).stripPrefix("/")
    val point = new Path(s"${Dbfs.Scheme}:${mount.point}")
    val path = if (below.isEmpty) point else new Path(point, new Path(null, null, below))
    new FileStatus(
      status.getLen, status.isDirectory, status.getReplication, status.getBlockSize, status.getModificationTime, status.getAccessTime,
      status.getPermission, status.getOwner, status.getGroup, path)
  }
}

/** Set as `fs.dbfs.impl`. Bytes are read and written by Hadoop's own local file system; what a path is, is decided here. */
final class DbfsFileSystem extends FileSystem {
  private val local = new RawLocalFileSystem
  private var root: LocalPath = _
  private var directory = new Path("dbfs:/")

  override def getScheme: String = Dbfs.Scheme
  override def getUri: URI = Dbfs.Root

  override def initialize(name: URI, conf: Configuration): Unit = {
    super.initialize(name, conf)
    setConf(conf)
    val folder = conf.getTrimmed("fs.dbfs.root")
    if (folder == null || folder.isEmpty) throw new IOException("`fs.dbfs.root` is not set: dbfs:/ has no folder")
    local.initialize(URI.create("file:///"), conf)
    root = Files.createDirectories(new File(folder).toPath).toRealPath()
  }

  override def getWorkingDirectory: Path = directory
  override def setWorkingDirectory(to: Path): Unit = directory = makeQualified(to)
  override def getHomeDirectory: Path = makeQualified(new Path("/"))

  override def open(path: Path, bufferSize: Int): FSDataInputStream = place(path) match {
    case there: There => there.system.open(there.at, bufferSize)
    case Here(at) =>
      if (Files.isDirectory(at)) throw new FileNotFoundException(s"$path is a directory")
      if (!Files.isRegularFile(at)) throw new FileNotFoundException(s"No such file: $path")
      local.open(raw(at), bufferSize)
  }

  override def create(
      path: Path, permission: FsPermission, overwrite: Boolean, bufferSize: Int, replication: Short, blockSize: Long,
      progress: Progressable): FSDataOutputStream = place(path) match {
    case there: There => there.system.create(there.at, overwrite, bufferSize, replication, blockSize, progress)
    case Here(at) =>
      if (Files.isDirectory(at)) throw new FileAlreadyExistsException(s"$path is a directory")
      if (!overwrite && Files.exists(at)) throw new FileAlreadyExistsException(s"$path already exists")
      makeFolders(at.getParent, path)
      local.create(raw(at), overwrite, bufferSize, replication, blockSize, progress)
  }

  override def createNonRecursive(
      path: Path, permission: FsPermission, flags: java.util.EnumSet[CreateFlag], bufferSize: Int, replication: Short, blockSize: Long,
      progress: Progressable): FSDataOutputStream = {
    if (!getFileStatus(makeQualified(path).getParent).isDirectory) throw new ParentNotDirectoryException(s"${path.getParent} is a file")
    create(path, permission, flags.contains(CreateFlag.OVERWRITE), bufferSize, replication, blockSize, progress)
  }

  override def append(path: Path, bufferSize: Int, progress: Progressable): FSDataOutputStream = place(path) match {
    case there: There => there.system.append(there.at, bufferSize, progress)
    case Here(at) => local.append(raw(at), bufferSize, progress)
  }

  override def truncate(path: Path, length: Long): Boolean = place(path) match {
    case there: There => there.system.truncate(there.at, length)
    case Here(at) => local.truncate(raw(at), length)
  }

  override def rename(from: Path, to: Path): Boolean = (place(from), place(to)) match {
    case (source: There, target: There) if source.mount == target.mount => source.system.rename(source.at, target.at)
    case (Here(source), Here(target)) => renameHere(from, source, target)
    case _ => throw new IOException(s"$from and $to are in different file systems; copy and delete")
  }

  private def renameHere(from: Path, source: LocalPath, target: LocalPath): Boolean =
    if (source == root || target.startsWith(source)) false
    else if (!Files.exists(source)) throw new FileNotFoundException(s"No such file or directory: $from")
    else {
      // As every Hadoop file system: a folder that is there takes it in.
      val end = if (Files.isDirectory(target)) target.resolve(source.getFileName) else target
      if (Files.exists(end) || !Files.isDirectory(end.getParent)) false else local.rename(raw(source), raw(end))
    }

  override def delete(path: Path, recursive: Boolean): Boolean = place(path) match {
    case there: There if there.at == there.top => throw new IOException(s"$path is a mount; unmount it")
    case there: There => there.system.delete(there.at, recursive)
    case Here(at) if at == root => throw new IOException("the root of dbfs:/ cannot be deleted")
    case Here(at) =>
      val inside = mounts.find(mount => Paths.get(root.toString, mount.point).startsWith(at))
      inside.foreach(mount => throw new IOException(s"${mount.point} is mounted there; unmount it first"))
      if (Files.isSymbolicLink(at)) Files.deleteIfExists(at) else local.delete(raw(at), recursive)
  }

  override def mkdirs(path: Path, permission: FsPermission): Boolean = place(path) match {
    case there: There => there.system.mkdirs(there.at)
    case Here(at) =>
      makeFolders(at, path)
      true
  }

  override def getFileStatus(path: Path): FileStatus = place(path) match {
    case there: There => there.seen(there.system.getFileStatus(there.at))
    case Here(at) => status(at, makeQualified(path))
  }

  override def listStatus(path: Path): Array[FileStatus] = place(path) match {
    case there: There => there.system.listStatus(there.at).map(there.seen)
    case Here(at) =>
      val own = status(at, makeQualified(path))
      if (own.isDirectory) entries(at, own.getPath) else Array(own)
  }

  private def entries(at: LocalPath, path: Path): Array[FileStatus] = {
    val found = Files.newDirectoryStream(at)
    val names =
      try found.iterator.asScala.map(_.getFileName.toString).toVector
      finally found.close()
    val shown = names.filterNot(name => at == root && name == Dbfs.Own).sorted
    // One that is gone by now, or a link that leads nowhere or out, is passed over.
    shown.flatMap { name =>
      try Some(status(within(at.resolve(name), name), new Path(path, new Path(null, null, name))))
      catch { case _: IOException => None }
    }.toArray
  }

  override def setTimes(path: Path, modified: Long, accessed: Long): Unit = place(path) match {
    case there: There => there.system.setTimes(there.at, modified, accessed)
    case Here(at) => local.setTimes(raw(at), modified, accessed)
  }

  /** Every file is its user's alone. */
  override def setPermission(path: Path, permission: FsPermission): Unit = ()

  override def getStatus(path: Path): FsStatus = local.getStatus(raw(root))

  /** Every mount, in the order of their points. */
  def mounts: Seq[Mount] = Mounts.read(root)

  /** Adds a mount; its point becomes a folder. */
  def mount(mount: Mount, replace: Boolean): Unit = {
    val point = "/" + names(new Path(s"${Dbfs.Scheme}:/${mount.point.stripPrefix("dbfs:").dropWhile(_ == '/')}")).mkString("/")
    if (point == "/") throw new IllegalArgumentException("the root of dbfs:/ cannot be a mount point")
    Mounts.change(root) { all =>
      val others = all.filterNot(_.point == point)
      if (!replace && others.length < all.length) throw new IllegalArgumentException(s"Directory already mounted: $point")
      others.find(other => other.holds(point) || mount.copy(point = point).holds(other.point)).foreach { other =>
        throw new IllegalArgumentException(s"$point and the mount ${other.point} would be within each other")
      }
      val at = within(root.resolve(point.drop(1)), point)
      makeFolders(at, new Path(point))
      if (at.toFile.list.nonEmpty) throw new IllegalArgumentException(s"$point is not empty; mount at an empty or a new folder")
      others :+ mount.copy(point = point)
    }
  }

  /** Takes a mount away, and the folder that was its point. */
  def unmount(mountPoint: String): Unit = {
    val point = "/" + names(new Path(s"${Dbfs.Scheme}:/${mountPoint.stripPrefix("dbfs:").dropWhile(_ == '/')}")).mkString("/")
    Mounts.change(root) { all =>
      val others = all.filterNot(_.point == point)
      if (others.length == all.length) throw new IllegalArgumentException(s"Directory not mounted: $point")
      others
    }
    Files.deleteIfExists(root.resolve(point.drop(1)))
  }

  /** Where a path is; throws where it is nowhere below the root. */
  private def place(path: Path): Place = {
    val below = names(path)
    val text = below.mkString("/", "/", "")
    mounts.find(_.holds(text)) match {
      case None => Here(within(below.foldLeft(root)(_.resolve(_)), text))
      case Some(mount) =>
        val settings = if (mount.options.isEmpty) getConf else new Configuration(getConf)
        mount.options.foreach { case (key, value) => settings.set(key, value) }
        val top = new Path(mount.source)
        val rest = text.stripPrefix(mount.point).stripPrefix("/")
        There(top.getFileSystem(settings), if (rest.isEmpty) top else new Path(top, new Path(null, null, rest)), mount, top)
    }
  }

  /** The names of a path; throws where it holds what leads elsewhere. */
  private def names(path: Path): Array[String] = {
    checkPath(path)
    val text = makeQualified(path).toUri.getPath
    if (text.indexOf(0) >= 0) throw new IOException("the path holds a NUL character")
    val names = text.split('/').filter(_.nonEmpty)
    if (names.exists(name => name == "." || name == "..")) throw new IOException(s"`$text` holds `.` or `..` as a name")
    if (names.headOption.contains(Dbfs.Own)) throw new IOException(s"`/${Dbfs.Own}` is the server's own")
    names
  }

  /** Refuses a place that a symbolic link takes out of the root. */
  private def within(at: LocalPath, text: String): LocalPath = {
    var there = at
    while (there != root && !Files.exists(there, LinkOption.NOFOLLOW_LINKS)) there = there.getParent
    val real =
      try there.toRealPath()
      catch { case _: NoSuchFileException => throw new IOException(s"$text leads nowhere, by a symbolic link") }
    if (!real.startsWith(root)) throw new IOException(s"$text leads out of dbfs:/")
    at
  }

  private def makeFolders(at: LocalPath, path: Path): Unit =
    try Files.createDirectories(at)
    catch { case _: Taken => throw new ParentNotDirectoryException(s"$path is a file, or leads through one") }

  private def raw(at: LocalPath): Path = new Path(at.toUri)

  private def status(at: LocalPath, path: Path): FileStatus = {
    val facts =
      try Files.readAttributes(at, classOf[PosixFileAttributes])
      catch {
        case _: NoSuchFileException => throw new FileNotFoundException(s"No such file or directory: $path")
        case failed: java.nio.file.FileSystemException if failed.getReason == "Not a directory" =>
          throw new FileNotFoundException(s"No such file or directory: $path")
      }
    val length = if (facts.isDirectory) 0L else facts.size
    val access = if (facts.isDirectory) FsAction.ALL else FsAction.READ_WRITE
    val permission = new FsPermission(access, FsAction.NONE, FsAction.NONE)
    new FileStatus(
      length, facts.isDirectory, 1, getDefaultBlockSize(path), facts.lastModifiedTime.toMillis, facts.lastAccessTime.toMillis, permission,
      facts.owner.getName, facts.group.getName, path)
  }
}

/** Set as `fs.AbstractFileSystem.dbfs.impl`: the newer of Hadoop's two doors, which Spark's streaming uses for its checkpoints. */
final class DbfsContext(uri: URI, conf: Configuration)
    extends DelegateToFileSystem(uri, new DbfsFileSystem, conf, Dbfs.Scheme, false) {
  override def getUriDefaultPort: Int = -1
}
