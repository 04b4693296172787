// The Scala compiler as a REPL: the one file that depends on the compiler's own API, here that of Scala 2.12.
//
// As in the file for 2.13, compiling, running and printing are apart: see there. What differs: the steps are private to the compiler's own
// package, so a class of ours lives in it; and the compiler counts lines from the top of the wrapper that it puts user code into, so
// messages are placed anew.
package firesteel {
  import java.nio.file.Path

  import scala.collection.mutable
  import scala.reflect.internal.util.AbstractFileClassLoader
  import scala.tools.nsc.Settings
  import scala.tools.nsc.interpreter.{FiresteelMain, Results}

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

    private def wholeClassPath: String = (classPath +: librariesTaken.map(_.getPath)).mkString(java.io.File.pathSeparator)

    private val intp = new Interpreting

    private final class Interpreting extends FiresteelMain(settings) {
      private lazy val loader = new CheckedLoader(replOutput.dir, lines.libraries, owner)
      override def classLoader: AbstractFileClassLoader = loader
      override def resetClassLoader(): Unit = ()
    }

    val loader: ClassLoader = intp.classLoader

    /** Compiles, and defines nothing yet. */
    def compile(source: String, name: String): Compiled = {
      takeLines()
      takeLibraries()
      val compiled = intp.withLabel(name)(intp.compileOnly(source)) match {
        case Right(request) => Compiled.Ready(intp.messages, () => evaluate(request), () => intp.recordRequest(request))
        case Left(Results.Incomplete) => Compiled.Incomplete
        case Left(_) if intp.messages.isEmpty => Compiled.Empty
        case Left(_) => Compiled.Failed(intp.messages)
      }
      intp.reporter.reset()
      intp.global.currentRun.reporting.clearAllConditionalWarnings()
      compiled
    }

    private def evaluate(request: intp.Request): String = intp.classLoader.asContext {
      val echo = String.valueOf(request.lineRep.call(intp.naming.sessionNames.print))
      val bounded = if (echo.length <= echoCharsMax) echo else echo.take(echoCharsMax - 3) + "..."
      intp.naming.unmangle(bounded).replaceAll("\n+$", "")
    }

    /** Lets the first unnamed value be `res0` again. */
    def restartNames(): Unit = intp.naming.resetAllCreators()

    def close(): Unit = {
      lines.forget(loader)
      intp.close()
      ownLines.foreach(line => deleteTree(classes.resolve(s"$$line$line").toFile))
    }

    /** The lines of all blocks taken, as far as they can have been used. */
    private val blocks = mutable.ArrayBuffer.empty[Int]

    private def ownLines: Seq[Int] = blocks.flatMap(first => first until first + ReplClasses.BlockLines)

    /** Takes a fresh block before the last one can run out within a compilation. */
    private def takeLines(): Unit =
      if (blocks.isEmpty || intp.line + Repl.LinesPerCompilation >= blocks.last + ReplClasses.BlockLines) {
        val first = lines.claim(loader)
        blocks += first
        intp.line = first
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

    private def deleteTree(file: java.io.File): Unit = {
      Option(file.listFiles).foreach(_.foreach(deleteTree))
      file.delete()
    }
  }

  object Repl {
    private val LinesPerCompilation = 10
  }
}

package scala.tools.nsc.interpreter {
  import scala.reflect.internal.Reporter
  import scala.reflect.internal.util.{BatchSourceFile, NoSourceFile, OffsetPosition, Position, SourceFile}
  import scala.tools.nsc.Settings

  /** Opens what is private to this package: the compilation by itself, the line counter, and where user code stands. */
  class FiresteelMain(settings: Settings) extends IMain(settings, new java.io.PrintWriter(java.io.Writer.nullWriter)) {
    // The constructor above makes the compiler, which asks for the reporter: nothing here may wait for this class's own.
    private lazy val collecting = new CollectingReporter(this)
    override lazy val reporter: ReplReporter = collecting

    /** The line whose number was used last. */
    var line: Int = 0
    countLines()

    private var source = ""
    private var computed = ""

    /** Compiles, and runs and records nothing. An error without messages says that there is nothing to compile. */
    def compileOnly(text: String): Either[Results.Result, Request] = {
      source = text
      collecting.start()
      if (isNothing(text)) Left(Results.Error) else compile(text, synthetic = false)
    }

    /** Of a comment alone the compiler would make a value without an end. */
    private def isNothing(text: String): Boolean = beSilentDuring(parse(text)) match {
      case parse.Success(Nil) => true
      case _ => false
    }

    def messages: String = collecting.messages

    private[interpreter] def isSilent: Boolean = totalSilence || !isInitializeComplete

    /** Called with what is compiled in place of the source: its last expression has become a value with a name. */
    private[interpreter] override def buildRequest(line: String, trees: List[global.Tree]): Request = {
      computed = line
      super.buildRequest(line, trees)
    }

    /** Compiles the wrapper around user code with that code's own lines: messages and stack traces tell them. */
    override def compileSourcesKeepingRun(sources: SourceFile*): (Boolean, global.Run) =
      super.compileSourcesKeepingRun(sources.map(WrappedSource.of(_, source, computed)): _*)

    /** The counter is a function in a value without a public setter. */
    private def countLines(): Unit = {
      val next: () => Int = () => { line += 1; line }
      naming.getClass.getMethods.find(_.getName.endsWith("$freshLineId_$eq")).get.invoke(naming, next)
    }
  }

  private[interpreter] object WrappedSource {
    def of(wrapper: SourceFile, source: String, computed: String): SourceFile = {
      val content = new String(wrapper.content)
      val begin = if (computed.isEmpty) -1 else content.indexOf(computed)
      if (begin < 0) wrapper else new WrappedSource(wrapper.file.name, content, begin, source, computed)
    }
  }

  /** User code in the wrapper that is compiled, `computed` being what the source has become: a line for the name of its value is in the
    * middle. Before that the two are the same from their beginnings, behind it from their ends. */
  private[interpreter] final class WrappedSource(name: String, content: String, begin: Int, source: String, computed: String)
      extends BatchSourceFile(name, content) {
    // With a last line's end, behind which no place is: the wrapper's own lines count as there.
    private val own = new BatchSourceFile(name, source + "\n")
    private val same = source.zip(computed).takeWhile { case (a, b) => a == b }.length

    override def offsetToLine(offset: Int): Int = own.offsetToLine(math.max(0, placeOf(offset)))

    override def lineToOffset(line: Int): Int = {
      val place = own.lineToOffset(line)
      begin + (if (place <= same) place else computed.length - (source.length - place))
    }

    /** A place in the wrapper as one in the source. */
    def placed(offset: Int): Option[Position] =
      Some(placeOf(offset)).filter(_ >= 0).map(new OffsetPosition(own, _))

    private def placeOf(offset: Int): Int = {
      val at = offset - begin
      if (at < same) at else source.length - math.max(0, computed.length - at)
    }
  }

  /** Collects what the compiler says, worded for a reader who has the source before him. */
  private[interpreter] final class CollectingReporter(intp: FiresteelMain) extends ReplReporter(intp) {
    private val said = new StringBuilder

    def start(): Unit = said.clear()
    def messages: String = said.toString.stripSuffix("\n")

    override def finish(): Unit = ()

    override def printMessage(message: String): Unit = if (!intp.isSilent) said ++= intp.naming.unmangle(message) += '\n'

    override protected def display(at: Position, message: String, severity: Severity): Unit = {
      val labelled = severity match {
        case Reporter.ERROR => s"error: $message"
        case Reporter.WARNING => s"warning: $message"
        case _ => message
      }
      place(at) match {
        case None => printMessage(labelled)
        case Some(place) =>
          printMessage(s"${place.source.file.name}:${place.line}: $labelled\n${place.lineContent.stripTrailing}\n${place.lineCaret}")
      }
    }

    private def place(at: Position): Option[Position] =
      if ((at eq null) || !at.isDefined || (at.source eq NoSourceFile)) None
      else at.source match {
        case wrapped: WrappedSource => wrapped.placed(at.point)
        case _ => Some(at)
      }
  }
}
