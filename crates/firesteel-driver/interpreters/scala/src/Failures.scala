// How failures are worded: the one-line `summary` and the `cause` of an error result.
//
// Clients read a summary as HTML (they strip tags and unescape), so `<`, `>` and `&` are escaped there; a cause is plain text.
package firesteel

import java.lang.reflect.InvocationTargetException
import java.util.concurrent.ExecutionException

import scala.annotation.tailrec
import scala.collection.mutable

import org.apache.spark.SparkException
import org.apache.spark.sql.AnalysisException
import org.apache.spark.sql.catalyst.parser.ParseException
import org.apache.spark.sql.streaming.StreamingQueryException

object Failures {
  private val SummaryCharsMax = 10000
  private val CauseCharsMax = 200000
  private val FramesMax = 200
  private val RepeatsTold = 3

  def scala(thrown: Throwable): Outcome = {
    val failure = unwrap(thrown)
    error(headline(failure), trace(failure))
  }

  /** `at` is the statement that failed: places are given in the text that it is a part of. */
  def sql(thrown: Throwable, at: Statement): Outcome = {
    val failure = unwrap(thrown)
    val root = rootOf(failure)
    val shown = at.placed(withMessage(shortName(root), message(root)))
    val wrapper = "com.databricks.backend.common.rpc.SparkDriverExceptions$SQLExecutionException"
    error(s"Error in SQL statement: $shown", s"$wrapper: ${at.placed(trace(failure))}")
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

  @tailrec private def rootOf(thrown: Throwable): Throwable =
    if (isWrapper(thrown)) rootOf(thrown.getCause) else thrown

  /** Whether it only says where in Spark something failed. */
  private def isWrapper(thrown: Throwable): Boolean = thrown match {
    case _: SparkException | _: StreamingQueryException | _: ExecutionException => thrown.getCause != null && (thrown.getCause ne thrown)
    case _ => false
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

  /** The stack trace without what lies below the user's own code, and with what failed in a Spark job before what Spark says of it. */
  private def trace(thrown: Throwable): String = {
    val text = new StringBuilder
    val seen = mutable.Set.empty[Int]
    def append(thrown: Throwable, caption: String, message: String): Unit = {
      text ++= caption ++= withMessage(longName(thrown), message)
      frames(thrown).foreach(frame => text ++= "\n" ++= frame)
    }
    @tailrec def chain(thrown: Throwable, caption: String): Unit =
      if (thrown != null && text.length < CauseCharsMax && seen.add(System.identityHashCode(thrown))) {
        append(thrown, caption, message(thrown))
        chain(thrown.getCause, "\nCaused by: ")
      }
    chain(rootOf(thrown), "")
    Iterator.iterate(thrown)(_.getCause).takeWhile(isWrapper).toSeq.reverse.foreach { wrapper =>
      append(wrapper, "\nIn: ", brief(message(wrapper)))
    }
    text.toString
  }

  /** Spark's message without the stack traces in it. */
  private def brief(message: String): String =
    message.linesIterator.takeWhile(line => line.nonEmpty && !line.startsWith("\tat ")).mkString("\n")

  private def frames(thrown: Throwable): Seq[String] = {
    val own = thrown.getStackTrace.takeWhile(frame => !isRunner(frame)).filterNot(frame => isOurs(frame.getClassName)).toSeq
    withoutRepeats(own.indices.filter(at => at == 0 || !isAround(own(at), own(at - 1))).map(own(_))).take(FramesMax)
  }

  /** The wrapper around a wrapper: Scala 2.12 puts user code into several, one in the other. */
  private def isAround(frame: StackTraceElement, inner: StackTraceElement): Boolean =
    frame.getMethodName == "<init>" && inner.getMethodName == "<init>" && inner.getClassName == frame.getClassName + "$$iw"

  /** Endless recursion is told once. */
  private def withoutRepeats(frames: Seq[StackTraceElement]): Seq[String] = {
    val texts = mutable.ArrayBuffer.empty[String]
    var rest = frames
    while (rest.nonEmpty) {
      val (same, others) = rest.span(_ == rest.head)
      val told = if (same.length > RepeatsTold) 1 else same.length
      texts ++= same.take(told).map(frame => s"\tat $frame")
      if (told < same.length) texts += s"\t[... the same ${same.length - told} more times]"
      rest = others
    }
    texts.toSeq
  }

  private def isOurs(className: String): Boolean = className.startsWith("firesteel.")

  /** What calls user code: the REPL's wrapper objects, and ours. */
  private def isRunner(frame: StackTraceElement): Boolean = {
    val name = frame.getClassName
    Runners.exists(name.startsWith) || wrapper.matcher(name).matches
  }

  private val Runners = Seq("Repl", "ScalaInterpreter", "SqlInterpreter", "Interpreter", "Turn").map("firesteel." + _)

  private val wrapper = java.util.regex.Pattern.compile("""\$line\d+\.\$(read\$?|eval\$?.*)""")

  private def bound(text: String, max: Int): String =
    if (text.length <= max) text else text.take(max) + s"\n… ${text.length - max} more characters"

  private def escape(text: String): String =
    text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
}
