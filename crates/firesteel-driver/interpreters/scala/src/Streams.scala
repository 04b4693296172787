// Streaming queries: when each began, so that a cancelled command takes those with it that it has started, and how many each context has,
// because a context with a live one is not idle.
package firesteel

import java.time.Instant
import java.util.UUID
import java.util.concurrent.{ConcurrentHashMap, ExecutorService, Executors, TimeUnit}

import scala.collection.mutable
import scala.jdk.CollectionConverters._
import scala.util.control.NonFatal

import org.apache.spark.scheduler.{SparkListener, SparkListenerEvent}
import org.apache.spark.sql.SparkSession
import org.apache.spark.sql.streaming.{StreamingQuery, StreamingQueryListener}

/** Hears of the queries of all sessions. `count` is told of a context's number of live ones when that changes. */
final class Streams(sessions: () => Map[String, SparkSession], count: (String, Int) => Unit) extends SparkListener {
  private val begun = new ConcurrentHashMap[UUID, java.lang.Long]
  private val counts = mutable.Map.empty[String, Int]
  private val stopper: ExecutorService = Executors.newCachedThreadPool { (task: Runnable) =>
    val thread = new Thread(task, "firesteel-streams")
    thread.setDaemon(true)
    thread
  }

  override def onOtherEvent(event: SparkListenerEvent): Unit = event match {
    case started: StreamingQueryListener.QueryStartedEvent =>
      begun.put(started.runId, Instant.parse(started.timestamp).toEpochMilli)
      recount()
    case ended: StreamingQueryListener.QueryTerminatedEvent =>
      begun.remove(ended.runId)
      recount()
    case _ => ()
  }

  /** Stops the queries of a session that began at `sinceMs` or later, and returns when they have stopped, or after a while. */
  def stop(session: SparkSession, sinceMs: Long): Unit = {
    // One of which nothing was heard has begun just now.
    val own = session.streams.active.filter(query => Option(begun.get(query.runId)).forall(_ >= sinceMs))
    val stopping = own.toSeq.map(query => stopper.submit((() => stopOne(query)): Runnable))
    val deadline = System.nanoTime + TimeUnit.MILLISECONDS.toNanos(Streams.StopMs)
    stopping.foreach { one =>
      try one.get(math.max(deadline - System.nanoTime, 0), TimeUnit.NANOSECONDS)
      catch { case NonFatal(failed) => Log.warn(s"a streaming query does not stop: $failed") }
    }
  }

  private def stopOne(query: StreamingQuery): Unit =
    try query.stop()
    catch { case NonFatal(failed) => Log.warn(s"streaming query ${query.runId} did not stop: $failed") }

  private def recount(): Unit = sessions().foreach { case (context, session) =>
    val live = session.streams.active.length
    if (counts.getOrElse(context, 0) != live) {
      counts(context) = live
      count(context, live)
    }
  }

  def forget(context: String): Unit = counts.remove(context)
}

object Streams {
  private val StopMs = 5000L
}
