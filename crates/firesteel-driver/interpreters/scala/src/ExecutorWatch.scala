// Which executors there are, for the driver process, and how their number is changed while the application runs.
//
// The listener is named in Spark's configuration: one that is added later misses the executors that came first.
package firesteel

import java.util.concurrent.Semaphore
import java.util.concurrent.atomic.AtomicInteger

import scala.util.control.NonFatal

import org.apache.spark.SparkContext
import org.apache.spark.deploy.firesteel.Backend
import org.apache.spark.scheduler.{SparkListener, SparkListenerExecutorAdded, SparkListenerExecutorRemoved}

object ExecutorWatch {
  /** Set by whoever runs a Worker, in its environment; Spark hands it on from the executor. */
  private val Worker = "FIRESTEEL_WORKER"

  /** In local mode the driver counts as its own executor. */
  private val OwnId = "driver"

  /** How long a resize is gone on with, and how often: the driver has given it up by then. */
  private val ResizeMs = 90000L
  private val AgainMs = 1000L

  @volatile private var connection: Connection = _

  private val resizes = new AtomicInteger

  /** How many executors there are to be, once somebody has said so. */
  @volatile private var wanted: Option[Int] = None

  /** From now on the executors are told of over this connection. */
  def start(to: Connection): Unit = connection = to

  private def tell(kind: String, fields: (String, Any)*): Unit =
    if (connection != null) connection.post(("type" -> kind) +: fields, null)

  /** Asks for more executors, or lets some go: those that run least. What they run is finished first, and their blocks move. A Master that is
    * gone is asked again, and one that came back without knowing the number may have made more than there are to be. */
  def resize(spark: SparkContext, executors: Int): Unit = {
    val number = resizes.incrementAndGet()
    wanted = Some(executors)
    val deadline = System.nanoTime + ResizeMs * 1000000
    var asked, ended = false
    while (!ended && number == resizes.get && System.nanoTime < deadline && !spark.isStopped) {
      asked = asked || isTold(spark)
      val present = Backend.executors(spark)
      Backend.letGo(spark, present.take(present.size - executors))
      ended = asked && present.size <= executors
      if (!ended) Thread.sleep(AgainMs)
    }
    if (!asked) Log.warn(s"$executors executors could not be asked for")
  }

  /** Tells the Master how many executors there are to be. False where it is gone, or does not know this application. */
  private def isTold(spark: SparkContext): Boolean =
    try Backend.tellMaster(spark, wanted)
    catch { case NonFatal(failed) => Log.info(s"the Master cannot be asked for executors: $failed"); false }

  /** Tells whenever the Master is gone or is back, and the one that is back how many executors there are to be. */
  def watchMaster(spark: SparkContext): Unit = {
    val ended = new Semaphore(0)
    Backend.watchMaster(spark)(() => ended.release())
    Agent.daemon("firesteel-master") {
      while (true) {
        ended.acquire()
        ended.drainPermits()
        if (!spark.isStopped && !isTold(spark)) {
          tell("master", "there" -> false)
          while (!spark.isStopped && !isTold(spark)) Thread.sleep(AgainMs)
          tell("master", "there" -> true)
        }
      }
    }
  }
}

/** Made by Spark, from its name. */
final class ExecutorWatch extends SparkListener {
  override def onExecutorAdded(added: SparkListenerExecutorAdded): Unit = {
    val worker = added.executorInfo.attributes.get(ExecutorWatch.Worker).map(_.toInt)
    tell("executor_added", added.executorId, "worker" -> worker.getOrElse(null))
  }

  override def onExecutorRemoved(removed: SparkListenerExecutorRemoved): Unit =
    tell("executor_removed", removed.executorId, "reason" -> removed.reason)

  private def tell(kind: String, id: String, more: (String, Any)): Unit =
    if (id != ExecutorWatch.OwnId) ExecutorWatch.tell(kind, "executor" -> id, more)
}
