// What became of a source text: the answer of `Repl`, whichever Scala it is written for.
package firesteel

sealed trait Compiled

object Compiled {
  /** @param messages the compiler's warnings, already worded
    * @param run runs the code and returns the echo; throws what the code throws
    * @param keep makes its definitions visible to later code */
  final case class Ready(messages: String, run: () => String, keep: () => Unit) extends Compiled
  final case class Failed(messages: String) extends Compiled
  case object Incomplete extends Compiled
  case object Empty extends Compiled
}
