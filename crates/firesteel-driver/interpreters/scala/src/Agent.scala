// The driver process's hand inside Spark's JVM: `main`, the start of Spark, and the control connection.
//
// One line of JSON comes on standard input: where the socket is, the key for it, and Spark's configuration. The end of that input,
// or of the control connection, is the order to halt.
package firesteel

import java.io.{File, IOException, InputStream}
import java.nio.file.{Files, Path, Paths}
import java.util.concurrent.{ConcurrentHashMap, ExecutorService, Executors, FutureTask}

import scala.util.control.NonFatal

import org.apache.spark.{SparkConf, SparkContext}
import org.apache.spark.deploy.firesteel.Backend
import org.apache.spark.scheduler.{SparkListener, SparkListenerApplicationEnd}
import org.apache.spark.sql.SparkSession

/** The line on standard input. */
final case class Launch(
    socket: Path, key: String, runtimeVersion: String, conf: Map[String, String], classesDir: Path, jars: Seq[String], train: Boolean)

object Launch {
  def read(line: String): Launch = {
    val message = Message(Json.parse(line.getBytes("UTF-8")), null)
    val conf = message.fields.getOrElse("conf", Map.empty).asInstanceOf[Map[String, Any]].map { case (key, value) => key -> value.toString }
    val train = message.fields.get("train").contains(true)
    Launch(
      if (train) null else Paths.get(message.text("socket")),
      if (train) null else message.text("key"),
      message.textOrNull("runtime_version"),
      conf,
      Paths.get(message.text("repl_dir")),
      message.fields.getOrElse("jars", Nil).asInstanceOf[Seq[Any]].map(_.toString),
      train)
  }
}

object Agent {
  def main(args: Array[String]): Unit = {
    val input = System.in
    // Before anything of Scala's own keeps it: the standard input is not for user code.
    System.setIn(InputStream.nullInputStream())
    val launch = Launch.read(readLine(input))
    Files.createDirectories(launch.classesDir)
    if (launch.train) Train.run(launch) else serve(launch, input)
  }

  private def serve(launch: Launch, input: InputStream): Unit = {
    haltAtEnd(input)
    new Control(launch).run()
  }

  def readLine(input: InputStream): String = {
    val line = new java.io.ByteArrayOutputStream
    var byte = input.read()
    while (byte >= 0 && byte != '\n') {
      line.write(byte)
      byte = input.read()
    }
    line.toString("UTF-8")
  }

  /** The end of standard input is the order to halt. */
  def haltAtEnd(input: InputStream): Unit = daemon("firesteel-stdin") {
    while (input.read() >= 0) {}
    Halt.now("standard input ended")
  }

  def daemon(name: String)(body: => Unit): Thread = {
    val thread = new Thread(() => body, name)
    thread.setDaemon(true)
    thread.start()
    thread
  }
}

/** Ending the process: in order, Spark's shutdown hooks included, and by force when that takes too long. */
object Halt {
  private val DeadlineMs = 10000L

  /** Whether the JVM is ending: it takes no more shutdown hooks then. */
  def isUnderWay: Boolean = {
    val hook = new Thread
    try {
      Runtime.getRuntime.addShutdownHook(hook)
      Runtime.getRuntime.removeShutdownHook(hook)
      false
    } catch { case _: IllegalStateException => true }
  }

  def now(reason: String, status: Int = 0): Unit = {
    Log.info(s"halting: $reason")
    Agent.daemon("firesteel-halt") {
      Thread.sleep(DeadlineMs)
      Runtime.getRuntime.halt(status)
    }
    System.exit(status)
  }
}

/** Everything that lives as long as Spark does. */
final class Engines(launch: Launch, streams: (String, Int) => Unit) {
  private val jars = launch.jars.map(jar => new File(jar))
  val classes = new ReplClasses(new Libraries(jars.map(_.toURI.toURL), classOf[Engines].getClassLoader))
  @volatile private var started: Sessions = _

  def sessions: Sessions = started

  /** Null until Spark is up. */
  def spark: SparkContext = if (started == null) null else started.spark

  def startSpark(): Unit = {
    Thread.currentThread.setContextClassLoader(classes)
    val conf = new SparkConf()
    launch.conf.foreach { case (key, value) => conf.set(key, value) }
    conf.set("spark.repl.class.outputDir", launch.classesDir.toString)
    conf.set("spark.extraListeners", (conf.getOption("spark.extraListeners").toSeq :+ classOf[ExecutorWatch].getName).mkString(","))
    conf.setIfMissing("spark.app.name", "firesteel")
    conf.setIfMissing("spark.master", "local[*]")
    // A killed task that does not stop, such as an endless loop, ends its executor: or a cancelled command would go on there for ever.
    conf.setIfMissing("spark.task.reaper.enabled", "true")
    conf.setIfMissing("spark.task.reaper.killTimeout", "20s")
    val context = new SparkContext(conf)
    Backend.settle(context)
    ExecutorWatch.watchMaster(context)
    started = new Sessions(SparkSession.builder().getOrCreate(), streams)
    jars.foreach(jar => context.addJar(jar.getPath))
    serveOwnJar(context)
    Output.install()
  }

  /** Executors of their own need what runs inside them: `dbfs:/`, and the tasks that bring a table here. Where `spark-submit` started this
    * JVM, they know of it already. */
  private def serveOwnJar(context: SparkContext): Unit = {
    val own = new File(classOf[Engines].getProtectionDomain.getCodeSource.getLocation.toURI)
    if (!context.isLocal && !context.listJars().exists(_.endsWith("/" + own.getName))) context.addJar(own.getPath)
  }

  def scalaInterpreter(limits: Limits): ScalaInterpreter = {
    ScalaInterpreter.make(System.getProperty("java.class.path"), launch.classesDir, classes, () => started, limits)
  }
}

/** The control connection, and what the driver orders over it. */
final class Control(launch: Launch) {
  private val connection = Connection.open(launch.socket, "jvm", launch.key)
  private val limits = connection.limits
  private val engines = new Engines(launch, (context, active) => connection.send("type" -> "streams", "context" -> context, "active" -> active))
  private val logins = new Logins(message => connection.post(message, null))
  private val cancels = new Cancels(() => engines.spark)
  WholeResults.lateJobs = Some(cancels.lateJobs)
  private val interpreters = new ConcurrentHashMap[String, Interpreter]
  private val secretAsks = new SecretAsks(fields => connection.send(fields: _*))
  SecretUtils.asks = secretAsks
  private lazy val gateways = new Gateways(engines.sessions, limits, cancels.lateJobs)
  private lazy val installer =
    new Installer(() => engines.spark, engines.classes.libraries, fields => connection.send(fields: _*))

  /** Makes Scala interpreters one after the other: making one keeps a core busy, and the others are for user code. */
  private val maker: ExecutorService = Executors.newSingleThreadExecutor { (task: Runnable) =>
    val thread = new Thread(null, task, "firesteel-maker", Interpreter.StackBytes)
    thread.setDaemon(true)
    thread.setContextClassLoader(engines.classes)
    thread
  }

  /** The first Scala interpreter, begun before it is asked for: the compiler loads while Spark waits for its own threads. */
  private val first = new FutureTask(() => engines.scalaInterpreter(limits))

  def run(): Unit = {
    ExecutorWatch.start(connection)
    maker.execute(first)
    startSpark()
    try {
      var message = connection.next()
      while (message != null) {
        handle(message)
        message = connection.next()
      }
    } catch { case failed: IOException => Log.warn(s"the control connection failed: ${failed.getMessage}") }
    Halt.now("the driver closed the control connection")
  }

  private def startSpark(): Unit =
    try {
      engines.startSpark()
      Jdbc.startIfAsked(engines.sessions.root, logins, active => connection.send("type" -> "statements", "active" -> active))
      val context = engines.spark
      context.addSparkListener(new SparkListener {
        override def onApplicationEnd(end: SparkListenerApplicationEnd): Unit =
          // The exit of a JVM that is ending says more.
          if (!Halt.isUnderWay)
            connection.send(
              "type" -> "spark_stopped", "reason" -> "its SparkContext was stopped, by code or because its master is gone")
      })
      context.addSparkListener(cancels.lateJobs)
      context.addSparkListener(new Progress(fields => connection.send(fields: _*)))
      connection.send(
        "type" -> "spark_ready", "spark_version" -> context.version, "scala_version" -> scala.util.Properties.versionNumberString,
        "master" -> context.master, "app_id" -> context.applicationId, "ui_url" -> context.uiWebUrl.orNull)
    } catch {
      case failed: Throwable =>
        Log.warn("Spark did not start", failed)
        connection.send("type" -> "spark_failed", "reason" -> failed.toString)
        Thread.sleep(200) // the writer is a thread of its own
        Halt.now("Spark did not start", 1)
    }

  private def handle(message: Message): Unit = message.kind match {
    case "open" => open(message.text("interpreter"), message.text("language"), message.text("key"))
    case "gateway" => openGateway(message.text("interpreter"))
    case "cancel" => cancel(message.text("context"), message.textOrNull("interpreter"), message.textOrNull("command"))
    case "forget" => forget(message.text("interpreter"))
    case "resize" =>
      val executors = message.fields("executors").asInstanceOf[Long].toInt
      // Spark may wait for its Master.
      Agent.daemon("firesteel-resize")(ExecutorWatch.resize(engines.spark, executors))
    case "secret_answer" => secretAsks.answered(message)
    case "login_answer" => logins.answered(message.text("login").toLong, message.fields.get("right").contains(true))
    case "fetch_library" => installer.fetch(message)
    case "close_context" => engines.sessions.close(message.text("context"))
    case other => throw new IOException(s"unknown message `$other`")
  }

  private def open(id: String, language: String, key: String): Unit = language match {
    case "sql" => openWith(id, key, () => new SqlInterpreter(engines.sessions, limits))
    case "scala" => maker.execute(() => openWith(id, key, () => takeFirst().getOrElse(engines.scalaInterpreter(limits))))
    case other => openFailed(id, s"no interpreter for `$other` lives in the JVM")
  }

  private var firstTaken = false

  /** On the maker's thread only. */
  private def takeFirst(): Option[ScalaInterpreter] =
    if (firstTaken) None
    else {
      firstTaken = true
      Some(first.get())
    }

  private def openWith(id: String, key: String, make: () => Engine): Unit =
    try {
      val engine = make()
      val own = Connection.open(launch.socket, "interpreter", key, "interpreter" -> id)
      val interpreter = new Interpreter(id, engine, own, engines.classes, engines.sessions, ended)
      interpreters.put(id, interpreter)
      interpreter.start()
    } catch {
      case failed: Throwable =>
        Log.warn(s"interpreter $id could not be made", failed)
        openFailed(id, Failures.unwrap(failed).toString)
    }

  private def openFailed(id: String, reason: String): Unit =
    connection.send("type" -> "open_failed", "interpreter" -> id, "reason" -> reason)

  private def openGateway(id: String): Unit =
    try {
      val gateway = gateways.open(id)
      connection.send("type" -> "gateway_ready", "interpreter" -> id, "port" -> gateway.port, "token" -> gateway.token)
    } catch { case NonFatal(failed) => openFailed(id, failed.toString) }

  private def cancel(context: String, id: String, command: String): Unit = {
    val interpreter = if (id == null) null else interpreters.get(id)
    if (interpreter == null) cancels.cancelJobs(context) else cancels.cancel(context, interpreter, command)
  }

  private def forget(id: String): Unit = {
    gateways.close(id)
    Option(interpreters.get(id)).foreach(_.end())
  }

  /** Whatever still runs there is stopped; its thread frees the rest. */
  private def ended(interpreter: Interpreter): Unit = {
    interpreters.remove(interpreter.id, interpreter)
    if (interpreter.boundTo != null) cancels.cancel(interpreter.boundTo, interpreter, null)
  }
}
