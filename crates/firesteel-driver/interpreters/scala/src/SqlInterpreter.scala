// SQL: the statements of a command run in order on the context's session; the last one's rows are the answer, and every success is a
// table, be it without columns.
package firesteel

import scala.util.control.NonFatal

import org.apache.spark.sql.{Dataset, SparkSession}

final class SqlInterpreter(sessions: Sessions, limits: Limits) extends Engine {
  private var context: String = _

  /** It compiles nothing. */
  def owner: Int = 0

  def bind(context: String): Unit = this.context = context

  def run(turn: Turn): Outcome =
    if (Magic.isRun(turn.source)) Magic.runRefused
    else turn.interruptible {
      val session = sessions.of(context)
      var last: Dataset[_] = null
      Statements.split(turn.source, parses(session, _)).foreach(statement => last = session.sql(statement))
      Outcome.Table(if (last == null) Table.empty else Table.encode(last, limits.rowsMax, limits.tableBytesMax))
    }

  def failure(thrown: Throwable): Outcome = Failures.sql(thrown)

  def close(): Unit = ()

  private def parses(session: SparkSession, text: String): Boolean =
    try { session.sessionState.sqlParser.parsePlan(text); true }
    catch { case NonFatal(_) => false }
}
