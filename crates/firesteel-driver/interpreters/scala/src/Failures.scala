// How failures are worded: the one-line `summary` and the `cause` of an error result.
//
// Clients read a summary as HTML (they strip tags and unescape), so `<`, `>` and `&` are escaped there; a cause is plain text.
package firesteel

import java.lang.reflect.InvocationTargetException

import scala.annotation.tailrec
import scala.collection.mutable

import org.apache.spark.SparkException
import org.apache.spark.sql.AnalysisException
import org.apache.spark.sql.catalyst.parser.ParseException

object Failures {
  private val SummaryCharsMax = 10000
  private val CauseCharsMax = 200000
  private val FramesMax = 200

  def scala(thrown: Throwable): Outcome = {
    val failure = unwrap(thrown)
    error(headline(failure), trace(failure))
  }

  def sql(thrown: Throwable): Outcome = {
    val failure = unwrap(thrown)
    val root = rootOf(failure)
    val shown = s"${shortName(root)}: ${message(root)}"
    val wrapper = "com.databricks.backend.common.rpc.SparkDriverExceptions$SQLExecutionException"
    error(s"Error in SQL statement: $shown", s"$wrapper: ${trace(failure)}")
  }

  /** A failure that is text already, such as the compiler's. */
  def text(summary: String): Outcome = error(summary, summary)

  private def error(summary: String, cause: String): Outcome =
    Outcome.Error(escape(bound(summary, SummaryCharsMax)), bound(cause, CauseCharsMax))

  /** What the code itself threw, without what the REPL's reflection wrapped it in. */
  @tailrec def unwrap(thrown: Throwable): Throwable = thrown match {
    case wrapper @ (_: InvocationTargetException | _: ExceptionInInitializerError) if wrapper.getCause != null =>
      unwrap(wrapper.getCause)
    case other => other
  }

  /** `Name: message`; of a failed Spark job the task's own failure first. */
  private def headline(failure: Throwable): String = {
    val root = rootOf(failure)
    val own = withMessage(shortName(root), message(root))
    if (root eq failure) own
    else s"$own\n(${withMessage(shortName(failure), message(failure).linesIterator.take(1).mkString)})"
  }

  @tailrec private def rootOf(thrown: Throwable): Throwable = thrown match {
    case wrapper: SparkException if wrapper.getCause != null && (wrapper.getCause ne wrapper) => rootOf(wrapper.getCause)
    case other => other
  }

  private def withMessage(name: String, message: String): String = if (message.isEmpty) name else s"$name: $message"

  private def message(thrown: Throwable): String =
    try Option(thrown.getMessage).getOrElse("").trim // a parse error's begins with an empty line
    catch { case _: Throwable => "" }

  private def shortName(thrown: Throwable): String = longName(thrown).replaceFirst("^.*[.$]", "")

  /** Spark throws subclasses of `AnalysisException` that are details of its own. */
  private def longName(thrown: Throwable): String = thrown match {
    case parse: ParseException => parse.getClass.getName
    case _: AnalysisException => classOf[AnalysisException].getName
    case other => other.getClass.getName
  }

  /** The stack trace without what lies below the user's own code. */
  private def trace(thrown: Throwable): String = {
    val text = new StringBuilder
    val seen = mutable.Set.empty[Int]
    def append(thrown: Throwable, caption: String): Unit =
      if (thrown != null && text.length < CauseCharsMax && seen.add(System.identityHashCode(thrown))) {
        text ++= caption ++= withMessage(longName(thrown), message(thrown))
        frames(thrown).foreach(frame => text ++= "\n\tat " ++= frame.toString)
        append(thrown.getCause, "\nCaused by: ")
      }
    append(thrown, "")
    text.toString
  }

  private def frames(thrown: Throwable): Seq[StackTraceElement] = {
    val all = thrown.getStackTrace
    val own = all.takeWhile(frame => !isMachinery(frame))
    val shown = own.indices.filter(at => at == 0 || !isAround(own(at), own(at - 1))).map(own(_))
    shown.take(FramesMax)
  }

  /** The wrapper around a wrapper: Scala 2.12 puts user code into several, one in the other. */
  private def isAround(frame: StackTraceElement, inner: StackTraceElement): Boolean =
    frame.getMethodName == "<init>" && inner.getMethodName == "<init>" && inner.getClassName == frame.getClassName + "$$iw"

  /** The frames that call into user code: the REPL's wrapper objects, or this package. */
  private def isMachinery(frame: StackTraceElement): Boolean = {
    val name = frame.getClassName
    name.startsWith("firesteel.") && !name.startsWith("firesteel.Notebook") || wrapper.matcher(name).matches
  }

  private val wrapper = java.util.regex.Pattern.compile("""\$line\d+\.\$(read\$?|eval\$?.*)""")

  private def bound(text: String, max: Int): String =
    if (text.length <= max) text else text.take(max) + s"\n… ${text.length - max} more characters"

  private def escape(text: String): String =
    text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
}
