// Which executors there are, for the driver process, and how their number is changed while the application runs.
//
// The listener is named in Spark's configuration: one that is added later misses the executors that came first.
package firesteel

import scala.util.control.NonFatal

import org.apache.spark.SparkContext
import org.apache.spark.deploy.firesteel.Backend
import org.apache.spark.scheduler.{SparkListener, SparkListenerExecutorAdded, SparkListenerExecutorRemoved}

object ExecutorWatch {
  /** Set by whoever runs a Worker, in its environment; Spark hands it on from the executor. */
  private val Worker = "FIRESTEEL_WORKER"

  /** In local mode the driver counts as its own executor. */
  private val OwnId = "driver"

  @volatile private var connection: Connection = _

  /** From now on the executors are told of over this connection. */
  def start(to: Connection): Unit = connection = to

  private def tell(id: String, fields: (String, Any)*): Unit =
    if (connection != null && id != OwnId) connection.post(fields, null)

  /** Asks for more executors, or lets some go: those that run least. What they run is finished first, and their blocks move. */
  def resize(spark: SparkContext, executors: Int): Unit =
    try {
      spark.requestTotalExecutors(executors, 0, Map.empty)
      val present = Backend.executors(spark)
      Backend.letGo(spark, present.take(present.size - executors))
    } catch { case NonFatal(failed) => Log.warn(s"the number of executors could not be changed to $executors", failed) }
}

/** Made by Spark, from its name. */
final class ExecutorWatch extends SparkListener {
  override def onExecutorAdded(added: SparkListenerExecutorAdded): Unit = {
    val worker = added.executorInfo.attributes.get(ExecutorWatch.Worker).map(_.toInt)
    ExecutorWatch.tell(
      added.executorId, "type" -> "executor_added", "executor" -> added.executorId,
      "worker" -> worker.getOrElse(null))
  }

  override def onExecutorRemoved(removed: SparkListenerExecutorRemoved): Unit =
    ExecutorWatch.tell(
      removed.executorId, "type" -> "executor_removed", "executor" -> removed.executorId, "reason" -> removed.reason)
}
