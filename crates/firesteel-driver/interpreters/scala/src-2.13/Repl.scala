// The Scala compiler as a REPL: the one file that depends on the compiler's own API, here that of Scala 2.13.
//
// `IMain.interpret` would compile, run and print in one go, and bind `lastException` by two more compilations when code throws. Here the
// three steps are apart: the caller runs the compiled code itself, gets what it throws as an object, and the echo as a string
// that never passed a stream user code can print to.
package firesteel

import java.io.File
import java.nio.file.Path
import java.util.UUID

import scala.collection.mutable
import scala.reflect.internal.util.{AbstractFileClassLoader, Position, NoSourceFile}
import scala.tools.nsc.Settings
import scala.tools.nsc.interpreter.{IMain, Naming, Results}
import scala.tools.nsc.interpreter.shell.{ReplReporterImpl, ShellConfig}

final class Repl(classPath: String, classes: Path, lines: ReplClasses, echoCharsMax: Int) {
  /** Whose its classes are: see `Owners`. */
  val owner: Int = Owners.newNumber()

  /** The libraries that the compiler knows. Those of now are on its class path; it takes in others only once it has begun. */
  private var librariesTaken = lines.libraries.getURLs.toSeq

  private val settings = new Settings(message => Log.warn(s"scala compiler: $message"))
  // The compiler only counts deprecations and says how to see them at a prompt that is not there, so it is told not to.
  settings.processArguments(
    List("-Yrepl-class-based", "-Yrepl-outdir", classes.toString, "-classpath", wholeClassPath,
      "-Wconf:cat=deprecation:silent,cat=feature:silent"), processAll = true)

  private def wholeClassPath: String = (classPath +: librariesTaken.map(_.getPath)).mkString(File.pathSeparator)

  private val reporter = new CollectingReporter(settings, echoCharsMax)
  private val intp = new Interpreting

  private final class Interpreting extends IMain(settings, Some(lines.libraries), settings, reporter) {
    private lazy val loader = new CheckedLoader(replOutput.dir, lines.libraries, owner)
    override def classLoader: AbstractFileClassLoader = loader
    override def resetClassLoader(): Unit = ()
  }

  val loader: ClassLoader = intp.classLoader

  /** Compiles, and defines nothing yet. `name` is what the source is called in messages and stack traces. */
  def compile(source: String, name: String): Compiled = {
    takeLines()
    takeLibraries()
    reporter.start()
    val compiled = intp.withLabel(name)(intp.compile(source, synthetic = false)) match {
      case Right(request) => Compiled.Ready(reporter.messages, () => evaluate(request), () => intp.recordRequest(request))
      case Left(Results.Incomplete) => Compiled.Incomplete
      case Left(_) if reporter.messages.isEmpty => Compiled.Empty
      case Left(_) => Compiled.Failed(reporter.messages)
    }
    reporter.reset()
    intp.global.currentRun.reporting.clearAllConditionalWarnings()
    compiled
  }

  private def evaluate(request: intp.Request): String = intp.classLoader.asContext {
    val echo = String.valueOf(request.lineRep.call(Naming.sessionNames.print))
    reporter.clean(echo)
  }

  /** Lets the first unnamed value be `res0` again. */
  def restartNames(): Unit = {
    val line = lastLine
    intp.naming.resetAllCreators()
    lastLine_=(line)
  }

  def close(): Unit = {
    lines.forget(loader)
    intp.close()
    ownLines.foreach(line => deleteTree(classes.resolve(s"$$line$line").toFile))
  }

  /** The lines of all blocks taken, as far as they can have been used. */
  private val blocks = mutable.ArrayBuffer.empty[Int]

  private def ownLines: Seq[Int] = blocks.toSeq.flatMap(first => first until first + ReplClasses.BlockLines)

  /** Takes a fresh block before the last one can run out within a compilation. */
  private def takeLines(): Unit =
    if (blocks.isEmpty || lastLine + Repl.LinesPerCompilation >= blocks.last + ReplClasses.BlockLines) {
      val first = lines.claim(loader)
      blocks += first
      lastLine_=(first)
    }

  /** Lets the compiler see the libraries that were attached since it last looked. */
  private def takeLibraries(): Unit = {
    val jars = lines.libraries.getURLs.toSeq
    if (jars.length > librariesTaken.length) {
      new intp.global.Run // without a run begun the compiler takes note of the jars and not of their packages
      intp.global.extendCompilerClassPath(jars.drop(librariesTaken.length): _*)
      librariesTaken = jars
    }
  }

  // The counter has no public setter.
  private def counter(suffix: String) = intp.naming.getClass.getMethods.find(_.getName.endsWith(suffix)).get
  private lazy val readLine = counter("_freshLineId")
  private lazy val writeLine = counter("_freshLineId_$eq")
  private def lastLine: Int = readLine.invoke(intp.naming).asInstanceOf[Int]
  private def lastLine_=(line: Int): Unit = writeLine.invoke(intp.naming, Integer.valueOf(line))

  private def deleteTree(file: java.io.File): Unit = {
    Option(file.listFiles).foreach(_.foreach(deleteTree))
    file.delete()
  }
}

object Repl {
  private val LinesPerCompilation = 10
}

/** Collects what the compiler says, worded for a reader who has the source before him. */
private final class CollectingReporter(settings: Settings, echoCharsMax: Int)
    extends ReplReporterImpl(ShellConfig(settings), settings, new java.io.PrintWriter(java.io.Writer.nullWriter)) {
  private val said = new StringBuilder

  /** Stands before the name in each true echo, so that the keyword before it can be told from the same words in a value. */
  private val mark = "\u0001" + UUID.randomUUID

  maxPrintString = 0

  def start(): Unit = said.clear()
  def messages: String = said.toString.stripSuffix("\n")

  override def colorOk: Boolean = false
  override def nameToCode(name: String): String = mark + name
  override def finish(): Unit = ()

  override def printMessage(message: String): Unit = if (!totalSilence) said ++= Naming.unmangle(message) += '\n'

  override def printMessageAt(at: Position, message: String): Unit =
    if ((at eq null) || (at.source eq NoSourceFile)) printMessage(message)
    else {
      val pointer = if (at.isDefined) s"\n${at.lineContent.stripTrailing}\n${at.lineCaret}" else ""
      printMessage(s"${at.source.file.name}:${if (at.isDefined) at.line else 1}: $message$pointer")
    }

  /** The echo as Scala 2.12 printed it: `name: Type = value`, without the keyword. */
  def clean(echo: String): String = {
    val bounded = if (echo.length <= echoCharsMax) echo else echo.take(echoCharsMax - 3) + "..."
    val lazies = bounded.replaceAll(s"lazy val $mark([^\n]*? // unevaluated)\n?", "lazy val $1\n")
    val named = lazies.replace(s"val $mark", "").replace(s"var $mark", "")
    Naming.unmangle(named).replaceAll("\n+$", "")
  }
}
