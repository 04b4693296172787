// A JVM for the tests of the Python interpreters: Spark, and a py4j server with the entry point they expect for each line read.
package standin

import java.net.InetAddress
import java.util.concurrent.ConcurrentHashMap

import org.apache.spark.api.java.JavaSparkContext
import org.apache.spark.sql.{Dataset, SparkSession}
import py4j.ClientServer

final class EntryPoint(root: SparkSession) {
  private val sessions = new ConcurrentHashMap[String, SparkSession]

  def jsc(): JavaSparkContext = JavaSparkContext.fromSparkContext(root.sparkContext)

  def session(context: String): SparkSession = sessions.computeIfAbsent(context, _ => root.newSession())

  private val lateJobs = new firesteel.LateJobs(() => root.sparkContext)
  root.sparkContext.addSparkListener(lateJobs)

  def refuseJobs(command: String): Unit = lateJobs.refuse(command)

  /** No command of these tests has streaming queries. */
  def stopStreams(context: String, sinceMs: Long): Unit = ()

  val files = new firesteel.FileUtils(() => root.sparkContext.hadoopConfiguration)

  private val values = new java.util.concurrent.ConcurrentHashMap[String, String]

  def widgets(context: String): java.util.Map[String, String] = values

  def stopResults(context: String): Unit = ()

  def accumulator(host: String, port: Int, token: String): AnyRef =
    org.apache.spark.api.firesteel.Accumulators.register(root.sparkContext, host, port, token)

  def table(data: Dataset[_], result: String): Array[Byte] =
    data.limit(10000).toJSON.collect().mkString("""{"resultType":"table","rows":[""", ",", "]}").getBytes("UTF-8")
}

object StandIn {
  def main(arguments: Array[String]): Unit = {
    val spark = SparkSession.builder().getOrCreate()
    val entryPoint = new EntryPoint(spark)
    val loopback = InetAddress.getLoopbackAddress
    say("ready")
    Iterator.continually(scala.io.StdIn.readLine()).takeWhile(_ != null).map(_.split(" ")).foreach {
      case Array("gateway", token) =>
        val server = new ClientServer.ClientServerBuilder()
          .authToken(token).javaPort(0).javaAddress(loopback).pythonAddress(loopback).entryPoint(entryPoint).build()
        server.startServer(false)
        say(server.getJavaServer.getListeningPort.toString)
      case Array("cancel", group) =>
        spark.sparkContext.cancelJobGroup(group)
        say("cancelled")
      case Array("jobs") =>
        say(spark.sparkContext.statusTracker.getActiveJobIds().length.toString)
      case other => say("what is " + other.mkString(" "))
    }
    Runtime.getRuntime.halt(0)
  }

  private def say(word: String): Unit = { println("> " + word); System.out.flush() }

}
