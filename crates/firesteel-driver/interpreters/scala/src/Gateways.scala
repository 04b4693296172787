// The bridge for Python interpreters: a py4j server for each, on a port and with a token of its own, so that one that ends takes
// nothing of another's with it.
package firesteel

import java.net.InetAddress
import java.nio.file.Paths
import java.security.SecureRandom
import java.util.{Map => JMap}
import java.util.concurrent.ConcurrentHashMap

import org.apache.spark.api.firesteel.Accumulators
import org.apache.spark.api.java.JavaSparkContext
import org.apache.spark.sql.{Dataset, SparkSession}
import py4j.ClientServer

final case class Gateway(port: Int, token: String)

final class Gateways(sessions: Sessions, limits: Limits, lateJobs: LateJobs) {
  private val servers = new ConcurrentHashMap[String, ClientServer]
  private val entryPoint = new EntryPoint(sessions, limits, lateJobs)

  def open(interpreter: String): Gateway = {
    val token = Gateways.newToken()
    val loopback = InetAddress.getLoopbackAddress
    val server = new ClientServer.ClientServerBuilder()
      .authToken(token).javaPort(0).javaAddress(loopback).pythonAddress(loopback).entryPoint(entryPoint).build()
    server.startServer(false) // its threads are no daemons otherwise, and would keep the process
    servers.put(interpreter, server)
    Gateway(server.getJavaServer.getListeningPort, token)
  }

  def close(interpreter: String): Unit = {
    val server = servers.remove(interpreter)
    if (server != null) server.shutdown()
  }
}

object Gateways {
  private val random = new SecureRandom

  private def newToken(): String = {
    val bytes = new Array[Byte](32)
    random.nextBytes(bytes)
    bytes.map(byte => f"$byte%02x").mkString
  }
}

/** What Python finds as `gateway.entry_point`. */
final class EntryPoint(sessions: Sessions, limits: Limits, lateJobs: LateJobs) {
  private val context = JavaSparkContext.fromSparkContext(sessions.spark)

  def jsc(): JavaSparkContext = context

  def session(context: String): SparkSession = sessions.of(context)

  /** Where Spark tells a Python interpreter of its accumulators. */
  def accumulator(host: String, port: Int, token: String): AnyRef = Accumulators.register(sessions.spark, host, port, token)

  /** A command is cancelled: the table that it waits for. */
  def stopResults(context: String): Unit = WholeResults.cancel(context)

  /** A command was cancelled: what it has started ends with it. */
  def stopStreams(context: String, sinceMs: Long): Unit = sessions.stopStreams(context, sinceMs)

  /** `dbutils.fs`. */
  val files = new FileUtils(() => sessions.spark.hadoopConfiguration)

  /** `dbutils.secrets`. */
  val secrets: SecretUtils = SecretUtils()

  /** The values of a context's widgets, which its languages share. */
  def widgets(context: String): JMap[String, String] = sessions.widgets(context)

  /** A DataFrame as the `results` object of a table, UTF-8; all of it into the file `result`, unless that is null. */
  def table(data: Dataset[_], result: String): Array[Byte] =
    Table.encode(data, limits, if (result == null) null else Paths.get(result))
}
