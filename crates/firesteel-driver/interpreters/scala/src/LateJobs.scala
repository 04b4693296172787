// Jobs that come behind the cancel of their command. Adaptive execution submits the stages of a query from threads of its own, and one of them can
// do so when the command has ended and its job group was cancelled for the last time: that job would keep the cores for nobody.
package firesteel

import org.apache.spark.SparkContext
import org.apache.spark.scheduler.{SparkListener, SparkListenerJobStart}

object LateJobs {
  /** Names the command in the properties of its jobs, or the run whose rows go to a file; threads hand it on. Python has names of its
    * own for its commands. */
  val Property = "firesteel.command"

  /** How many of them are kept in mind when they are cancelled; the oldest make room. */
  private val KeptMax = 1000
}

final class LateJobs(spark: () => SparkContext) extends SparkListener {
  private val cancelled = new java.util.LinkedHashMap[String, Unit] {
    override def removeEldestEntry(eldest: java.util.Map.Entry[String, Unit]): Boolean = size > LateJobs.KeptMax
  }

  /** From now on every job of this command, or of this run, is cancelled as it begins. */
  def refuse(name: String): Unit = synchronized(cancelled.put(name, ()))

  override def onJobStart(start: SparkListenerJobStart): Unit = {
    val command = if (start.properties == null) null else start.properties.getProperty(LateJobs.Property)
    if (command != null && synchronized(cancelled.containsKey(command))) spark().cancelJob(start.jobId)
  }
}
