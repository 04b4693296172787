// Scala: a REPL of its own over the context's session.
package firesteel

import java.nio.file.Path

object ScalaInterpreter {
  /** Makes one, warm: the compiler loaded, the names defined, a first line compiled and forgotten. Needs no Spark yet, so it
    * can be done while Spark starts. */
  def make(classPath: String, classesDir: Path, classes: ReplClasses, sessions: () => Sessions, limits: Limits): ScalaInterpreter = {
    val repl = new Repl(classPath, classesDir, classes, limits.textCharsMax)
    val notebook = Notebook(sessions, () => limits)
    repl.compile(notebook.prelude, "firesteel") match {
      case Compiled.Ready(_, run, keep) => run(); keep()
      case other => throw new IllegalStateException(s"the prelude does not compile: $other")
    }
    repl.compile("1 + 1", "firesteel") match {
      case Compiled.Ready(_, run, _) => run()
      case other => throw new IllegalStateException(s"1 + 1 does not compile: $other")
    }
    repl.restartNames()
    new ScalaInterpreter(repl, notebook)
  }
}

final class ScalaInterpreter private (repl: Repl, notebook: Notebook) extends Engine {
  private var commands = 0

  def owner: Int = repl.owner

  def bind(context: String): Unit = notebook.bind(context)

  def run(turn: Turn): Outcome = {
    commands += 1
    val name = s"command-$commands"
    repl.compile(turn.source, name) match {
      case Compiled.Ready(messages, run, keep) =>
        notebook.begin(turn.result)
        val echo = turn.interruptible(run())
        keep()
        answer(messages, echo)
      case Compiled.Failed(messages) => Failures.text(messages)
      case Compiled.Incomplete => Failures.text(incomplete(turn.source, name))
      case Compiled.Empty => Outcome.Nothing
    }
  }

  override def wishes(): Seq[(String, Any)] = notebook.takeWishes()

  private def answer(messages: String, echo: String): Outcome = {
    val shown = notebook.takeShown()
    if (shown != null) shown else Outcome.Text(Seq(messages, echo).filter(_.nonEmpty).mkString("\n"))
  }

  private def incomplete(source: String, name: String): String =
    s"$name:${math.max(source.stripTrailing.linesIterator.length, 1)}: error: incomplete input: the code ends in the middle of a statement"

  def failure(thrown: Throwable): Outcome = Failures.unwrap(thrown) match {
    case exit: DbUtils.Exit => Outcome.Text(exit.value, alone = true)
    case other =>
      notebook.failed = other
      Failures.scala(other)
  }

  def close(): Unit = {
    notebook.close()
    repl.close()
  }
}
