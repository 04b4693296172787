// Where the classes of all Scala interpreters are found.
//
// The interpreters share one folder for their class files, which Spark serves to executors, and so their class names must differ. They are
// `$line<number>`, the only form that Spark's closure cleaner and encoders know; each interpreter draws its numbers from blocks of its own.
// `ReplClasses` is the class loader that finds a class by its block. It is the context class loader of the thread that starts Spark: without
// it driver and local executors would each define the same class once, and they would not be the same.
package firesteel

import java.net.{URL, URLClassLoader}
import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.atomic.AtomicInteger

object ReplClasses {
  /** How many lines a block holds; when they are used up the interpreter takes another. Ten million blocks fit into nine digits. */
  val BlockLines = 100
  private val Prefix = "$line"
}

/** The libraries user code sees beside Spark's. It is the parent of every interpreter's own loader, and knows none of their classes. */
final class Libraries(jars: Seq[URL], parent: ClassLoader) extends URLClassLoader(jars.toArray, parent) {
  /** Makes a library visible: to code that runs at once, to an interpreter's compiler before its next command. */
  def add(jar: URL): Unit = addURL(jar)

  def has(fileName: String): Boolean = getURLs.exists(_.getPath.endsWith(s"/$fileName"))
}

final class ReplClasses(val libraries: Libraries) extends ClassLoader(libraries) {
  private val blocks = new ConcurrentHashMap[Int, ClassLoader]
  private val nextBlock = new AtomicInteger(1)

  /** The number of a fresh block's first line, the block being found through `loader` from now on. */
  def claim(loader: ClassLoader): Int = {
    val block = nextBlock.getAndIncrement()
    blocks.put(block, loader)
    block * ReplClasses.BlockLines
  }

  def forget(loader: ClassLoader): Unit = blocks.values.removeIf(_ eq loader)

  override protected def loadClass(name: String, resolve: Boolean): Class[_] = {
    val owner = ownerOf(name)
    if (owner == null) super.loadClass(name, resolve) else owner.loadClass(name)
  }

  private def ownerOf(name: String): ClassLoader =
    if (!name.startsWith(ReplClasses.Prefix)) null
    else {
      val digits = name.drop(ReplClasses.Prefix.length).takeWhile(Character.isDigit)
      if (digits.isEmpty || digits.length > 9) null else blocks.get(digits.toInt / ReplClasses.BlockLines)
    }
}
