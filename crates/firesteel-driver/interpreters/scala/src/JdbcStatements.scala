// How many statements run over JDBC: a cluster on which one does is not idle. Spark keeps what HiveServer2 tells of them to itself, so this
// file lives in a package of Spark's.
package org.apache.spark.sql.hive.thriftserver.firesteel

import scala.collection.mutable

import org.apache.spark.scheduler.{SparkListener, SparkListenerEvent}
import org.apache.spark.sql.hive.thriftserver.ui._

/** `tell` is told how many, when that changes. Its calls come from Spark's one thread for listeners. */
final class JdbcStatements(tell: Int => Unit) extends SparkListener {
  private val running = mutable.Set.empty[String]

  override def onOtherEvent(event: SparkListenerEvent): Unit = event match {
    case begun: SparkListenerThriftServerOperationStart => if (running.add(begun.id)) tell(running.size)
    case ended: SparkListenerThriftServerOperationFinish => end(ended.id)
    case ended: SparkListenerThriftServerOperationError => end(ended.id)
    case ended: SparkListenerThriftServerOperationCanceled => end(ended.id)
    case ended: SparkListenerThriftServerOperationTimeout => end(ended.id)
    case ended: SparkListenerThriftServerOperationClosed => end(ended.id)
    case _ => ()
  }

  private def end(id: String): Unit = if (running.remove(id)) tell(running.size)
}
