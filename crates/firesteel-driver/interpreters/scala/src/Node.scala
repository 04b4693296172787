// A standalone Master or Worker of the driver process's own, on this machine and for one application: `main`.
//
// One line of JSON comes on standard input, as with `Agent`: where the socket is, the key for it, Spark's configuration with the secret,
// and what a Worker is told. The end of that input is the order to halt; the system ends the executors of a Worker with it.
package firesteel

import java.nio.file.Paths

import org.apache.spark.SparkConf
import org.apache.spark.deploy.firesteel.Backend

object Node {
  private val Host = "127.0.0.1"

  def main(args: Array[String]): Unit = {
    val input = System.in
    val launch = Message(Json.parse(Agent.readLine(input).getBytes("UTF-8")), null)
    Agent.haltAtEnd(input)
    val conf = new SparkConf()
    fieldsOf(launch.fields("conf")).foreach { case (key, value) => conf.set(key, value.toString) }
    val worker = launch.fields.get("worker").map(fieldsOf)
    val more = worker.map("worker" -> _("number")).toSeq
    val role = if (worker.isDefined) "worker" else "master"
    val connection = Connection.open(Paths.get(launch.text("socket")), role, launch.text("key"), more: _*)
    try {
      val url = worker match {
        case None => Backend.startMaster(conf, Host, conf.getInt("spark.master.port", 0))
        case Some(told) =>
          def number(name: String) = told(name).asInstanceOf[Long].toInt
          Backend.startWorker(conf, Host, told("master").toString, number("cores"), number("memory_mb"), told("folder").toString)
      }
      connection.send("type" -> "serving", "url" -> url)
      while (connection.next() != null) {}
      Halt.now("the driver closed the connection")
    } catch {
      case failed: Throwable =>
        Log.warn(s"the $role did not start", failed)
        connection.send("type" -> "failed", "reason" -> failed.toString)
        Thread.sleep(200) // the writer is a thread of its own
        Halt.now(s"the $role did not start", 1)
    }
  }

  private def fieldsOf(value: Any): Map[String, Any] = value.asInstanceOf[Map[String, Any]]
}
