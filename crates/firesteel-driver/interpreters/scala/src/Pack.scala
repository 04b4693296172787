// Makes the jar: a Java runtime alone has no tool for it. The entries are sorted and carry no time, so that the same classes give the same
// bytes; a class-data archive is refused when the jars of its class path have changed.
package firesteel

import java.nio.file.{Files, Path, Paths}
import java.util.jar.{Attributes, JarEntry, JarOutputStream, Manifest}

import scala.collection.JavaConverters._

object Pack {
  def main(args: Array[String]): Unit = args match {
    case Array(classes, jar) => pack(Paths.get(classes), Paths.get(jar))
    case _ => throw new IllegalArgumentException("usage: Pack <classes-dir> <out.jar>")
  }

  private def pack(classes: Path, jar: Path): Unit = {
    val manifest = new Manifest
    manifest.getMainAttributes.put(Attributes.Name.MANIFEST_VERSION, "1.0")
    manifest.getMainAttributes.put(Attributes.Name.MAIN_CLASS, "firesteel.Agent")
    val out = new JarOutputStream(Files.newOutputStream(jar), manifest)
    try files(classes).foreach { file =>
      val entry = new JarEntry(classes.relativize(file).toString)
      entry.setTime(0)
      out.putNextEntry(entry)
      Files.copy(file, out)
      out.closeEntry()
    } finally out.close()
  }

  private def files(root: Path): Seq[Path] = {
    val found = Files.walk(root)
    try found.iterator.asScala.filter(file => Files.isRegularFile(file)).toVector.sortBy(_.toString)
    finally found.close()
  }
}
