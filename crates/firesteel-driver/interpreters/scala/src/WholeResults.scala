// The runs under way whose rows go to files: those that are waited for, and those that go on behind their commands.
package firesteel

import java.util.concurrent.{ConcurrentLinkedDeque, Executors, ExecutorService, ScheduledExecutorService, TimeUnit}

import scala.jdk.CollectionConverters._
import scala.util.control.NonFatal

object WholeResults {
  /** The scheduler pool of what runs behind the first rows. */
  val Pool = "firesteel-results"

  /** How many may run behind their commands at a time; the oldest is ended for one more. */
  private val RunsMax = 16

  /** Who ends jobs that come behind the end of their run. Absent where nothing is cancelled. */
  @volatile var lateJobs: Option[LateJobs] = None

  private val runs = new ConcurrentLinkedDeque[WholeResult]
  private val writer: ExecutorService = Executors.newSingleThreadExecutor((task: Runnable) => daemon("firesteel-results", task))
  private val timer: ScheduledExecutorService = Executors.newSingleThreadScheduledExecutor((task: Runnable) => daemon("firesteel-results-timer", task))
  timer.scheduleWithFixedDelay(() => checkTimes(), 1, 1, TimeUnit.SECONDS)

  private def checkTimes(): Unit =
    try runs.forEach(_.checkTime())
    catch { case NonFatal(failed) => Log.warn("a result that took its time was not ended", failed) }

  private def daemon(name: String, task: Runnable): Thread = {
    val thread = new Thread(task, name)
    thread.setDaemon(true)
    thread
  }

  /** Writes are done one after the other. */
  def later(task: => Unit): Unit = writer.execute(() => task)

  def add(result: WholeResult): Unit = runs.addLast(result)

  def remove(result: WholeResult): Unit = runs.remove(result)

  /** One more goes on behind its command. */
  def makeRoom(): Unit =
    runs.asScala.filter(_.isShown).toSeq.dropRight(RunsMax).foreach(_.stop(
      Stop(ResultEnd.Bound, s"the rest of at most $RunsMax results is written at a time; the oldest made room")))

  /** Ends what a context's command waits for. */
  def cancel(context: String): Unit =
    runs.forEach(result => if (result.isOf(context) && !result.isShown) result.stop(Stop(ResultEnd.Failed, "it was cancelled")))

  /** Ends what still runs for a context that is destroyed. */
  def close(context: String): Unit =
    runs.forEach(result => if (result.isOf(context)) result.stop(Stop(ResultEnd.Failed, "its context was destroyed")))
}
