// The programs that a cancelled command waited for. An interrupt ends the wait; where it ends the program too, what that has started in turn, such as
// what runs inside `sh -c`, would go on with nobody to wait for it. A program that lives on is left alone: it can be another context's.
package firesteel

import java.time.Instant

import scala.jdk.CollectionConverters._

/** What ran below this process when a cancel began. */
final class Programs(below: Seq[(ProcessHandle, Seq[ProcessHandle])]) {
  /** Ends what the programs that are gone by now have left behind. */
  def endOrphans(): Unit =
    below.foreach { case (program, started) => if (!program.isAlive) started.foreach(_.destroyForcibly()) }
}

object Programs {
  /** Looks at the programs that were started since then. */
  def since(begunMs: Long): Programs = {
    // The kernel notes a start in hundredths of a second.
    val begun = Instant.ofEpochMilli(begunMs - 10)
    val own = ProcessHandle.current.children.iterator.asScala.filter(_.info.startInstant.filter(!_.isBefore(begun)).isPresent)
    new Programs(own.map(program => program -> program.descendants.iterator.asScala.toSeq).toSeq)
  }
}
