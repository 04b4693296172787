// One SparkSession for each context, made at its first use and shared by all its languages. A session is kept ready, because the
// first thing it does is to build its catalog, analyser and planner.
package firesteel

import java.util.{Map => JMap}
import java.util.concurrent.{ConcurrentHashMap, ExecutorService, Executors}

import scala.jdk.CollectionConverters._
import scala.util.control.NonFatal

import org.apache.spark.SparkContext
import org.apache.spark.sql.SparkSession

object Sessions {
  /** The Spark job group of all that a context runs. */
  def group(context: String): String = s"firesteel-$context"
}

/** `streams` is told how many streaming queries a context has, when that changes. */
final class Sessions(val root: SparkSession, streams: (String, Int) => Unit) {
  private val sessions = new ConcurrentHashMap[String, SparkSession]
  private val queries = new Streams(() => sessions.asScala.toMap, streams)
  root.sparkContext.addSparkListener(queries)
  private val maker: ExecutorService = Executors.newSingleThreadExecutor { (task: Runnable) =>
    val thread = new Thread(task, "firesteel-sessions")
    thread.setDaemon(true)
    thread
  }
  @volatile private var ready: SparkSession = _
  prepare()

  def spark: SparkContext = root.sparkContext

  private val widgetValues = new ConcurrentHashMap[String, JMap[String, String]]

  /** The values of a context's widgets. */
  def widgets(context: String): JMap[String, String] = widgetValues.computeIfAbsent(context, _ => Widgets.values())

  def of(context: String): SparkSession = sessions.computeIfAbsent(context, _ => take())

  /** Stops the streaming queries that a context has started since then. */
  def stopStreams(context: String, sinceMs: Long): Unit = queries.stop(of(context), sinceMs)

  /** Forgets a context: its queries and jobs end, its session is left to the garbage collector. Closing or stopping the session would stop
    * the SparkContext they all share. */
  def close(context: String): Unit = {
    widgetValues.remove(context)
    WholeResults.close(context)
    val session = sessions.remove(context)
    if (session != null) {
      queries.stop(session, 0)
      queries.forget(context)
    }
    if (!spark.isStopped) spark.cancelJobGroup(Sessions.group(context))
  }

  private def take(): SparkSession = {
    val taken = synchronized {
      val session = ready
      ready = null
      session
    }
    prepare()
    if (taken != null) taken else root.newSession()
  }

  private def prepare(): Unit = maker.execute { () =>
    if (ready == null && !spark.isStopped)
      try {
        val session = root.newSession()
        val state = session.sessionState
        Seq(state.analyzer, state.optimizer, state.planner) // each is made when first asked for
        ready = session
      } catch { case NonFatal(failed) => Log.warn(s"no session could be prepared: $failed") }
  }
}
