// SQL: the statements of a command run in order on the context's session; the last one's rows are the answer, and every success is a
// table, be it without columns.
package firesteel

import scala.util.control.NonFatal

import org.apache.spark.sql.{Dataset, SparkSession}

final class SqlInterpreter(sessions: Sessions, limits: Limits) extends Engine {
  private var context: String = _

  /** What runs: the statement, if it has come so far. */
  private var current = Statement("")

  /** It compiles nothing. */
  def owner: Int = 0

  def bind(context: String): Unit = this.context = context

  def run(turn: Turn): Outcome =
    turn.interruptible {
      val session = sessions.of(context)
      var last: Dataset[_] = null
      current = Statement("")
      Statements.split(turn.source, parses(session, _)).foreach { statement =>
        current = statement
        last = session.sql(statement.text)
      }
      Outcome.Table(if (last == null) Table.empty else Table.encode(last, limits, turn.result))
    }

  def failure(thrown: Throwable): Outcome = Failures.sql(thrown, current)

  def close(): Unit = ()

  private def parses(session: SparkSession, text: String): Boolean =
    try { session.sessionState.sqlParser.parsePlan(text); true }
    catch { case NonFatal(_) => false }
}
