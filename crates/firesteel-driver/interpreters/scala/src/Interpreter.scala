// One language in one context: its connection to the driver and the thread its commands run on.
//
// Three threads: the reader takes messages, the runner runs commands, the connection's writer sends. The reader goes on while a
// command runs, so that it notices when the driver closes the connection, which is the order to end.
package firesteel

import java.io.{IOException, PrintStream}
import java.util.concurrent.LinkedBlockingQueue

import scala.util.control.NonFatal

/** What a language adds: the interpreter itself. Both calls come from the interpreter's one runner thread. */
trait Engine {
  /** The number that its code's classes carry: see `Owners`. */
  def owner: Int

  def bind(context: String): Unit

  /** Runs the code of one command. Whatever it throws is an answer too: see `Failures`. */
  def run(turn: Turn): Outcome

  /** How this language words a failure. */
  def failure(thrown: Throwable): Outcome

  /** Further fields of the `done` of the command that has just ended. */
  def wishes(): Seq[(String, Any)] = Nil

  /** Frees what it holds. Nothing runs any more. */
  def close(): Unit
}

final class Interpreter(
    val id: String, private var engine: Engine, connection: Connection, loader: ClassLoader, sessions: Sessions, onEnd: Interpreter => Unit) {
  private val orders = new LinkedBlockingQueue[Message]
  // A group of its own: the threads that user code starts are in it.
  private val runner =
    new Thread(new ThreadGroup(s"firesteel-$id"), () => runLoop(), s"firesteel-$id", Interpreter.StackBytes)
  @volatile private var current: Turn = _
  @volatile private var last: Turn = _
  @volatile private var context: String = _
  @volatile private var ended = false

  /** Where the threads of this interpreter print. */
  val stream: PrintStream = Output.stream(this, connection.printed, System.out)

  def turn: Turn = current
  def isRunning: Boolean = current != null
  def boundTo: String = context

  /** The command that runs, or else the one that ran last. */
  def lastTurn: Turn = last
  def hasEnded: Boolean = ended
  def isRunner(thread: Thread): Boolean = thread eq runner

  /** Asked by the checks in user code. */
  def mustStop: Boolean = {
    val turn = current
    ended || (turn != null && turn.mustStop)
  }

  def start(): Unit = {
    Owners.register(engine.owner, this)
    val reader = new Thread(() => readLoop(), s"firesteel-reader-$id")
    Seq(runner, reader).foreach { thread =>
      thread.setDaemon(true)
      thread.setContextClassLoader(loader)
      thread.start()
    }
  }

  /** Ends this interpreter; also what happens when the driver closes the connection. */
  def end(): Unit = {
    connection.close()
    val first = synchronized { val first = !ended; ended = true; first }
    if (first) orders.put(Interpreter.End)
  }

  private def readLoop(): Unit = {
    try {
      var message = connection.next()
      while (message != null) {
        message.kind match {
          case "bind" | "execute" => orders.put(message)
          case other => throw new IOException(s"unknown message `$other`")
        }
        message = connection.next()
      }
    } catch {
      case failed: IOException => if (!ended) Log.warn(s"the connection of interpreter $id failed: ${failed.getMessage}")
    }
    end()
    onEnd(this)
  }

  private def runLoop(): Unit = {
    Owners.enter(this)
    Console.withOut(Output.routed) {
      Console.withErr(Output.routed) {
        var order = takeOrder()
        while (order ne Interpreter.End) {
          handle(order)
          order = takeOrder()
        }
      }
    }
    Owners.forget(engine.owner)
    try engine.close()
    catch { case NonFatal(failed) => Log.warn(s"interpreter $id did not close cleanly", failed) }
    engine = null // a pool's thread that began here may refer to this interpreter for ever, but not to its compiler
  }

  /** User code can keep a reference to this thread and interrupt it at any time; between commands that means nothing. */
  private def takeOrder(): Message = {
    while (true)
      try return orders.take()
      catch { case _: InterruptedException => () }
    Interpreter.End
  }

  private def handle(order: Message): Unit = order.kind match {
    case "bind" => bind(order.text("context"))
    case _ => execute(new Turn(order.text("command"), order.source, order.pathOrNull("result"), Thread.currentThread))
  }

  private def bind(name: String): Unit =
    try {
      context = name
      engine.bind(name)
      connection.send("type" -> "bound")
    } catch {
      case NonFatal(failed) => connection.send("type" -> "bind_failed", "reason" -> failed.toString)
    }

  private def execute(turn: Turn): Unit = {
    current = turn
    last = turn
    Owners.begin(turn)
    val outcome =
      try {
        prepare(turn)
        engine.run(turn)
      } catch { case thrown: Throwable => answer(turn, thrown) }
    turn.end()
    if (turn.cancelAsked) stopWhatItStarted(turn)
    current = null
    Thread.interrupted()
    finish(turn, outcome)
  }

  /** The thread's Spark surroundings: whose session is active, and under what name its jobs run. */
  private def prepare(turn: Turn): Unit = {
    Output.restore()
    val session = sessions.of(context)
    org.apache.spark.sql.SparkSession.setActiveSession(session)
    session.sparkContext.setJobGroup(Sessions.group(context), Interpreter.headline(turn.source), interruptOnCancel = true)
    session.sparkContext.setLocalProperty(Progress.Property, context)
    session.sparkContext.setLocalProperty(LateJobs.Property, turn.command)
  }

  /** An interrupt ends the wait for a job, not the job, and one that was submitted after the last cancel of the group is still there. The
    * next command's jobs come behind this in Spark's queue of events. */
  private def stopWhatItStarted(turn: Turn): Unit = {
    turn.programs.foreach(_.end())
    Programs.endOwn(turn.begun)
    if (!sessions.spark.isStopped) {
      sessions.spark.cancelJobGroup(Sessions.group(context))
      sessions.stopStreams(context, turn.begunMs)
    }
  }

  private def answer(turn: Turn, thrown: Throwable): Outcome =
    if (turn.cancelAsked) Outcome.Cancelled
    else
      try engine.failure(thrown)
      catch { case _: Throwable => Outcome.Error(thrown.getClass.getName, thrown.getClass.getName) }

  private def finish(turn: Turn, outcome: Outcome): Unit = {
    stream.flush()
    val done = Seq[(String, Any)]("type" -> "done", "command" -> turn.command, "outcome" -> outcome.name) ++ engine.wishes()
    outcome match {
      case Outcome.Text(_, true) => connection.post(done :+ ("alone" -> true), outcome.payload)
      case _ => connection.post(done, outcome.payload)
    }
  }
}

object Interpreter {
  private val End = Message(Map("type" -> "end"), null)

  /** The compiler recurses deeply on long expressions. */
  val StackBytes: Long = 16L << 20

  private val HeadlineChars = 80

  /** A command's first line, which Spark's pages show beside its jobs. */
  private def headline(source: String): String =
    source.linesIterator.map(_.trim).find(_.nonEmpty).getOrElse("").take(HeadlineChars)
}
