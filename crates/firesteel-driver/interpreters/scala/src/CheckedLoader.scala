// Defines the classes that a REPL has compiled, with the checks that make their loops cancellable. Whoever holds one of the classes holds this
// loader, so it must not hold the compiler.
package firesteel

import scala.reflect.internal.util.AbstractFileClassLoader
import scala.reflect.io.AbstractFile

final class CheckedLoader(root: AbstractFile, parent: ClassLoader, val owner: Int)
    extends AbstractFileClassLoader(root, parent) with OwnedLoader {
  override def classBytes(name: String): Array[Byte] = {
    val bytes = super.classBytes(name)
    if (bytes.length == 0) bytes else LoopChecks.instrument(bytes, owner)
  }
}
