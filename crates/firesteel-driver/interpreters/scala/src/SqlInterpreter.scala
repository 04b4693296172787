// SQL: the statements of a command run in order on the context's session; the last one's rows are the answer, and every success is a
// table, be it without columns.
package firesteel

import java.nio.file.Path

import scala.util.control.NonFatal

import org.apache.spark.sql.SparkSession

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
      def run(statement: Statement, result: Path): Array[Byte] = {
        current = statement
        Table.encode(session.sql(statement.text), limits, result)
      }
      current = Statement("")
      val statements = Statements.split(turn.source, parses(session, _))
      // As each would run alone: Spark leaves a query alone until its rows are asked for, and then it could neither fail nor be cancelled.
      statements.dropRight(1).foreach(run(_, null))
      Outcome.Table(statements.lastOption.fold(Table.empty)(run(_, turn.result)))
    }

  def failure(thrown: Throwable): Outcome = Failures.sql(thrown, current)

  def close(): Unit = ()

  private def parses(session: SparkSession, text: String): Boolean =
    try { session.sessionState.sqlParser.parsePlan(text); true }
    catch { case NonFatal(_) => false }
}
