// Other file systems below folders of `dbfs:/`. The table is a file of the server's own folder in the root, so that the driver, executors
// and a cluster made later see the same mounts.
package firesteel

import java.nio.channels.FileChannel
import java.nio.file.attribute.PosixFilePermissions
import java.nio.file.{Files, NoSuchFileException, Path => LocalPath, StandardCopyOption, StandardOpenOption}

/** `point` is a path such as `/mnt/data`; `source` what it shows, such as `s3a://bucket/data`; `options` the Hadoop settings for it. */
final case class Mount(point: String, source: String, encryption: String, options: Map[String, String]) {
  def holds(path: String): Boolean = path == point || path.startsWith(point + "/")
}

object Mounts {
  /** Mounts of one root. */
  val Max = 1000

  private val FileName = "mounts.json"

  /** In the order of their points. */
  def read(root: LocalPath): Seq[Mount] =
    try parse(Files.readAllBytes(file(root)))
    catch { case _: NoSuchFileException => Nil }

  /** Changes the table, one at a time over all processes: written aside and renamed, so that readers see the old one or the new. */
  def change(root: LocalPath)(edit: Seq[Mount] => Seq[Mount]): Unit = synchronized {
    Files.createDirectories(file(root).getParent)
    val held = FileChannel.open(file(root).resolveSibling("mounts.lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE)
    try {
      held.lock()
      val mounts = edit(read(root))
      if (mounts.length > Max) throw new IllegalStateException(s"there are $Max mounts; unmount some")
      val aside = file(root).resolveSibling(s"$FileName.new")
      Files.deleteIfExists(aside)
      // The settings of a mount can hold keys.
      Files.createFile(aside, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")))
      Files.write(aside, render(mounts.sortBy(_.point)))
      Files.move(aside, file(root), StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING)
    } finally held.close()
  }

  private def file(root: LocalPath): LocalPath = root.resolve(Dbfs.Own).resolve(FileName)

  private def parse(bytes: Array[Byte]): Seq[Mount] =
    Json.parse(bytes).getOrElse("mounts", Nil).asInstanceOf[Seq[Any]].map { entry =>
      val fields = entry.asInstanceOf[Map[String, Any]]
      def text(name: String) = fields.getOrElse(name, "").toString
      val options = fields.getOrElse("options", Map.empty).asInstanceOf[Map[String, Any]].map { case (key, value) => key -> value.toString }
      Mount(text("point"), text("source"), text("encryption"), options)
    }

  private def render(mounts: Seq[Mount]): Array[Byte] = {
    val out = new java.io.ByteArrayOutputStream
    val json = Json.generator(out)
    json.writeStartObject()
    json.writeArrayFieldStart("mounts")
    mounts.foreach { mount =>
      json.writeStartObject()
      json.writeStringField("point", mount.point)
      json.writeStringField("source", mount.source)
      json.writeStringField("encryption", mount.encryption)
      json.writeObjectFieldStart("options")
      mount.options.foreach { case (key, value) => json.writeStringField(key, value) }
      json.writeEndObject()
      json.writeEndObject()
    }
    json.writeEndArray()
    json.writeEndObject()
    json.close()
    out.toByteArray
  }
}
