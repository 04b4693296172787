// Cancelling until it has worked. One interrupt can be lost: between two Spark jobs, or in code that swallows it. So a cancel is repeated
// on a short schedule until the command has ended.
package firesteel

import java.util.concurrent.{Executors, ScheduledExecutorService, TimeUnit}

import org.apache.spark.SparkContext

final class Cancels(spark: () => SparkContext) {
  val lateJobs = new LateJobs(spark)

  private val timer: ScheduledExecutorService = Executors.newSingleThreadScheduledExecutor { (task: Runnable) =>
    val thread = new Thread(task, "firesteel-cancels")
    thread.setDaemon(true)
    thread
  }

  /** Stops the running command of an interpreter of this process; nothing runs, nothing happens. When `command` is given, no other
    * is stopped: a cancel and the next command come over different sockets, and can pass each other. */
  def cancel(context: String, interpreter: Interpreter, command: String): Unit = {
    val turn = interpreter.turn
    if (turn != null && (command == null || turn.command == command) && turn.beginCancel()) {
      lateJobs.refuse(turn.command)
      turn.programs = Programs.since(turn.begun, turn.threads)
      LoopChecks.arm()
      repeat(turn, context, Cancels.FirstDelayMs)
    }
  }

  /** Stops the Spark jobs of a context whose code runs in another process. */
  def cancelJobs(context: String): Unit = {
    WholeResults.cancel(context)
    val running = spark()
    if (running != null && !running.isStopped) running.cancelJobGroup(Sessions.group(context))
  }

  private def repeat(turn: Turn, context: String, delayMs: Long): Unit = {
    turn.cancel(spark(), context)
    if (turn.isOver) later(Cancels.LingerMs)(LoopChecks.disarm())
    else later(delayMs)(repeat(turn, context, math.min(delayMs * 2, Cancels.LastDelayMs)))
  }

  private def later(delayMs: Long)(task: => Unit): Unit =
    timer.schedule((() => task): Runnable, delayMs, TimeUnit.MILLISECONDS)
}

object Cancels {
  private val FirstDelayMs = 25L
  private val LastDelayMs = 500L
  /** How long the checks stay armed after the command has ended, for its tasks that still run. */
  private val LingerMs = 10000L
}
