// Libraries that are attached to a Spark that runs: their files are brought to this machine through Hadoop, which knows every scheme
// Spark does; jars go onto the class path of the interpreters and to the executors; Maven coordinates are resolved by Spark's own Ivy.
//
// What Python needs beyond its files is the driver process's work.
package firesteel

import java.io.File
import java.net.URI
import java.nio.file.{Files, Path, Paths}

import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.{Path => HadoopPath}
import org.apache.spark.SparkContext

/** @param files where the library's files are now, on this machine
  * @param messages what to beware of */
final case class Fetched(files: Seq[Path], messages: Seq[String])

final class Installer(spark: () => SparkContext, libraries: Libraries, reply: Seq[(String, Any)] => Unit) {
  private val classes = new JarClasses

  /** The driver asks for one at a time. When it asks for another it has given up the one before, which must not come in late. */
  private var worker: Thread = _

  def fetch(message: Message): Unit = {
    if (worker != null) worker.interrupt()
    val number = message.text("number").toLong
    worker = Agent.daemon("firesteel-installer") {
      try {
        val fetched = run(message, number)
        reply(Seq("type" -> "library_fetched", "number" -> number, "files" -> fetched.files.map(_.toString), "messages" -> fetched.messages))
      } catch {
        case failed: Throwable =>
          Log.warn(s"library $number failed", failed)
          reply(Seq("type" -> "library_failed", "number" -> number, "reason" -> Installer.words(failed)))
      }
    }
  }

  private def run(message: Message, number: Long): Fetched = {
    val folder = Paths.get(message.text("folder"))
    Files.createDirectories(folder)
    message.fields("library").asInstanceOf[Map[String, Any]].toSeq match {
      case Seq(("jar", uri: String)) => addJars(Seq(copy(uri, folder, number)), uri)
      case Seq(("maven", wanted: Map[_, _])) => maven(wanted.asInstanceOf[Map[String, Any]], folder)
      case Seq(("egg" | "whl" | "requirements", uri: String)) => Fetched(Seq(copy(uri, folder, number)), Nil)
      case other => throw new IllegalArgumentException(s"a library of this kind cannot be fetched: ${other.map(_._1).mkString(", ")}")
    }
  }

  private def addJars(jars: Seq[Path], library: String): Fetched = synchronized {
    if (Thread.interrupted()) throw new InterruptedException("it took too long and was given up")
    val messages = jars.flatMap { jar =>
      val clashes = classes.add(jar.toFile, library)
      spark().addJar(jar.toString)
      libraries.add(jar.toUri.toURL)
      clashes
    }
    Fetched(jars, messages)
  }

  private def maven(wanted: Map[String, Any], folder: Path): Fetched = {
    val coordinates = wanted("coordinates").toString
    val exclusions = wanted.getOrElse("exclusions", Nil).asInstanceOf[Seq[Any]].mkString(",")
    val found =
      try Maven.resolve(coordinates, exclusions, wanted.get("repo").map(_.toString).orNull, folder)
      catch {
        case failed: Throwable => throw new IllegalArgumentException(s"$coordinates cannot be resolved: ${Installer.words(failed)}", failed)
      }
    if (found.isEmpty) throw new IllegalArgumentException(s"$coordinates has no jar")
    // One that another library brought already is on the class path, and Spark serves a file name once.
    addJars(found.filterNot(jar => libraries.has(jar.getFileName.toString)), coordinates)
  }

  /** Copies a file here, under a name that no other library has: Spark serves a file name once. */
  private def copy(uri: String, folder: Path, number: Long): Path = {
    val source = new HadoopPath(new URI(uri.replace(" ", "%20")))
    val target = folder.resolve(source.getName)
    val system = source.getFileSystem(new Configuration(spark().hadoopConfiguration))
    Files.deleteIfExists(target)
    system.copyToLocalFile(false, source, new HadoopPath(target.toUri), true)
    if (!target.toString.endsWith(".jar")) target
    else Files.move(target, folder.resolve(s"$number-${target.getFileName}"), java.nio.file.StandardCopyOption.REPLACE_EXISTING)
  }
}

object Installer {
  /** What went wrong, for a reader who has the library before him and not this code. */
  def words(failed: Throwable): String = failed match {
    case reflected: java.lang.reflect.InvocationTargetException => words(reflected.getCause)
    case missing: java.io.FileNotFoundException => s"there is no such file: ${missing.getMessage}"
    case other => Option(other.getMessage).getOrElse(other.toString)
  }
}

/** Spark's own resolution, the one behind `--packages`. It is not public; its name and arguments are the same from Spark 3.5 on. */
object Maven {
  def resolve(coordinates: String, exclusions: String, repository: String, ivy: Path): Seq[Path] = {
    val utils = Class.forName("org.apache.spark.util.DependencyUtils$")
    val arguments = Seq[(Class[_], AnyRef)](
      classOf[Boolean] -> java.lang.Boolean.TRUE, classOf[String] -> exclusions, classOf[String] -> coordinates,
      classOf[String] -> repository, classOf[String] -> ivy.toString, classOf[Option[_]] -> None)
    val method = utils.getMethod("resolveMavenDependencies", arguments.map(_._1): _*)
    val found = method.invoke(utils.getField("MODULE$").get(null), arguments.map(_._2): _*)
    found.asInstanceOf[scala.collection.Seq[String]].toSeq.filter(_.nonEmpty).map(Paths.get(_))
  }
}

/** Which jar has which class, so that two that bring the same one are told. */
final class JarClasses {
  private val owners = scala.collection.mutable.HashMap.empty[String, String]

  /** Takes note of a jar's classes; a message for each library that has some of them already. */
  def add(jar: File, library: String): Seq[String] = {
    val clashes = scala.collection.mutable.LinkedHashMap.empty[String, Vector[String]]
    names(jar).foreach { name =>
      owners.get(name) match {
        case Some(other) if other != library => clashes(other) = clashes.getOrElse(other, Vector.empty) :+ name
        case Some(_) =>
        case None => if (owners.size < JarClasses.ClassesMax) owners(name) = library
      }
    }
    clashes.toSeq.map { case (other, shared) =>
      val first = shared.sorted.take(JarClasses.Named).mkString(", ")
      val more = if (shared.length > JarClasses.Named) s" and ${shared.length - JarClasses.Named} more" else ""
      s"$other and $library both hold $first$more; the one that was attached first is used"
    }
  }

  private def names(jar: File): Seq[String] = {
    val file = new java.util.zip.ZipFile(jar)
    try {
      val found = Seq.newBuilder[String]
      file.stream.forEach { entry =>
        val name = entry.getName
        val counts = name.endsWith(".class") && !name.startsWith("META-INF/") && !name.endsWith("-info.class")
        if (counts) found += name.stripSuffix(".class").replace('/', '.')
      }
      found.result()
    } finally file.close()
  }
}

object JarClasses {
  /** How many classes are kept in mind; those of further jars are not compared. */
  private val ClassesMax = 1000000

  /** How many are named in a message. */
  private val Named = 3
}
