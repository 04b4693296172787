// JDBC: Spark's own HiveServer2, over the sessions of this application, with the server's users and passwords.
//
// The password of a login goes to the driver, which asks the server: nothing here knows one, or keeps it. Each connection has a SparkSession of
// its own, as each context has; they share the catalog, and so its tables, its databases and `global_temp`.
package firesteel

import java.io.IOException
import java.net.{InetAddress, InetSocketAddress, ServerSocket}
import java.nio.file.{Path, Paths}
import java.util.concurrent.{CompletableFuture, ConcurrentHashMap, TimeUnit}
import java.util.concurrent.atomic.AtomicLong
import javax.security.sasl.AuthenticationException

import scala.util.control.NonFatal

import org.apache.hive.service.auth.PasswdAuthenticationProvider
import org.apache.spark.SparkContext
import org.apache.spark.sql.SparkSession
import org.apache.spark.sql.hive.thriftserver.HiveThriftServer2
import org.apache.spark.sql.hive.thriftserver.firesteel.JdbcStatements

object Jdbc {
  /** Whether a cluster serves JDBC, and where. */
  val Enabled = "spark.firesteel.jdbc.enabled"
  val Port = "spark.firesteel.jdbc.port"

  /** Connections at a time: each has a thread. Further ones wait, and are refused after a minute. */
  private val ConnectionsMax = 100

  @volatile private[firesteel] var logins: Logins = _

  /** Starts the service where the configuration asks for it. When this returns it listens; an exception says why it cannot. `statements` is
    * told how many statements run. */
  def startIfAsked(root: SparkSession, asked: Logins, statements: Int => Unit): Unit = {
    val conf = root.sparkContext.getConf
    if (conf.getBoolean(Enabled, defaultValue = false)) {
      logins = asked
      val port = conf.getInt(Port, 10000)
      checkFree(port)
      configure(root.sparkContext, port, Paths.get(conf.get("spark.local.dir", System.getProperty("java.io.tmpdir"))).resolve("hive"))
      root.sparkContext.addSparkListener(new JdbcStatements(statements))
      HiveThriftServer2.startWithContext(root.newSession().sqlContext)
      Log.info(s"JDBC on 127.0.0.1:$port")
    }
  }

  /** HiveServer2 would end the process over a port that is taken. */
  private def checkFree(port: Int): Unit =
    try {
      val socket = new ServerSocket()
      try socket.bind(new InetSocketAddress(InetAddress.getLoopbackAddress, port)) finally socket.close()
    } catch {
      case failed: IOException =>
        throw new IOException(
          s"JDBC cannot listen on 127.0.0.1:$port (${failed.getMessage}): another program has the port; end it, or set `$Enabled` to false", failed)
    }

  private def configure(spark: SparkContext, port: Int, folder: Path): Unit = {
    val hive = spark.hadoopConfiguration
    Seq(
      "hive.server2.transport.mode" -> "binary",
      "hive.server2.thrift.bind.host" -> "127.0.0.1",
      "hive.server2.thrift.port" -> port.toString,
      "hive.server2.thrift.max.worker.threads" -> ConnectionsMax.toString,
      "hive.server2.authentication" -> "CUSTOM",
      "hive.server2.custom.authentication.class" -> classOf[JdbcPasswords].getName,
      "hive.server2.enable.doAs" -> "false",
      "hive.exec.scratchdir" -> folder.resolve("scratch").toString,
      "hive.exec.local.scratchdir" -> folder.resolve("local").toString,
      "hive.downloaded.resources.dir" -> folder.resolve("resources").toString,
      "hive.querylog.location" -> folder.resolve("queries").toString,
      "hive.server2.logging.operation.log.location" -> folder.resolve("operations").toString).foreach { case (key, value) =>
      hive.set(key, value)
    }
    // Read anew, out of the properties of the system, when somebody logs in.
    System.setProperty("hive.server2.custom.authentication.class", classOf[JdbcPasswords].getName)
  }
}

/** Made by HiveServer2 for a login. */
final class JdbcPasswords extends PasswdAuthenticationProvider {
  override def Authenticate(user: String, password: String): Unit =
    if (!Jdbc.logins.isRight(user, password)) throw new AuthenticationException("wrong user name, password or token")
}

/** Logins that wait for the server's word. `send` tells the driver of one. */
final class Logins(send: Seq[(String, Any)] => Unit) {
  private val waiting = new ConcurrentHashMap[Long, CompletableFuture[Boolean]]
  private val numbers = new AtomicLong

  def isRight(user: String, password: String): Boolean = {
    val number = numbers.incrementAndGet()
    val answer = new CompletableFuture[Boolean]
    waiting.put(number, answer)
    try {
      send(Seq("type" -> "login", "login" -> number, "user" -> user, "password" -> password))
      answer.get(Logins.DeadlineS, TimeUnit.SECONDS)
    } catch { case NonFatal(failed) => Log.warn(s"a JDBC login got no answer: $failed"); false }
    finally waiting.remove(number)
  }

  def answered(number: Long, right: Boolean): Unit = Option(waiting.get(number)).foreach(_.complete(right))
}

object Logins {
  /** The server slows guessing down, by some seconds at most. */
  private val DeadlineS = 30L
}
