// One command's turn on an interpreter's thread, and how it is cancelled.
//
// The rule that everything here serves: an interrupt meant for this command never reaches the next one. So a turn interrupts
// only while it is `open`, both under its own lock, and on closing it takes back an interrupt that arrived too late.
package firesteel

import java.nio.file.Path

import scala.util.control.ControlThrowable

import org.apache.spark.SparkContext

/** @param result the file for all rows of a table, or null where none is wanted */
final class Turn(val command: String, val source: String, val result: Path, thread: Thread) {
  private var open = false
  private var over = false
  @volatile private var asked = false

  /** When it began, in Unix milliseconds. */
  val begunMs: Long = System.currentTimeMillis

  /** The same for programs: see `Programs.now`. */
  val begun: Long = Programs.now

  /** What ran when its cancel began. */
  @volatile var programs: Seq[Program] = Nil

  /** The threads that its code has started, and its own. */
  def threads: ThreadGroup = thread.getThreadGroup

  def cancelAsked: Boolean = asked

  /** Whether code of this turn should stop at its next check. */
  def mustStop: Boolean = asked && !over

  def isOver: Boolean = synchronized(over)

  /** Runs user code. Outside of this the thread is not interrupted: the compiler writes files, and an interrupt in the middle of a
    * write closes them. */
  def interruptible[T](body: => T): T = {
    synchronized {
      if (asked) throw Turn.Stopped
      open = true
    }
    try body finally shut()
  }

  private def shut(): Unit = synchronized {
    open = false
    Thread.interrupted()
  }

  def end(): Unit = synchronized { over = true }

  /** Whether this is the first who wants it cancelled: one schedule of interrupts is enough. */
  def beginCancel(): Boolean = synchronized {
    val first = !asked && !over
    asked = first || asked
    first
  }

  /** Asks once more. Under the lock, so that nothing of the context is cancelled on behalf of a turn that is over. */
  def cancel(spark: SparkContext, context: String): Unit = synchronized {
    if (!over) {
      asked = true
      if (spark != null && !spark.isStopped) spark.cancelJobGroup(Sessions.group(context))
      WholeResults.cancel(context)
      if (open) thread.interrupt()
    }
  }
}

object Turn {
  /** Thrown by the checks in user code, and by a turn that was cancelled before it began. It is no `Exception`: user code that catches those
    * does not stop it. */
  object Stopped extends ControlThrowable {
    override def getMessage: String = "the command was cancelled"
  }
}
