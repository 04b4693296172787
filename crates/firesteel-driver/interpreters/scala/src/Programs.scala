// The programs that a cancelled command has started. An interrupt ends the wait for one; the program itself, and what that has started in turn,
// such as what runs inside `sh -c`, would go on with nobody to wait for it.
//
// The kernel knows which thread has started a process, as long as that thread lives. So the programs of the command's own threads are told from
// those of other contexts and from Spark's own; of those others, only what a program that has ended leaves behind is ended.
package firesteel

import java.lang.management.ManagementFactory
import java.nio.file.{Files, Path, Paths}
import javax.management.ObjectName

import scala.jdk.CollectionConverters._
import scala.util.Try
import scala.util.control.NonFatal

/** One program that ran when a cancel began, what it had started, and whether the command has started it. */
final case class Program(process: ProcessHandle, below: Seq[ProcessHandle], isOwn: Boolean) {
  def end(): Unit = {
    if (isOwn) process.destroyForcibly()
    if (isOwn || !process.isAlive) below.foreach(_.destroyForcibly())
  }
}

object Programs {
  private val Tasks = Paths.get("/proc/self/task")

  /** The time in the unit that the kernel notes the start of a process in: hundredths of a second since the machine's start. Java tells starts
    * by the clock of the day, and is up to a second wrong. */
  def now: Long = (BigDecimal(Files.readString(Paths.get("/proc/uptime")).split(' ').head) * 100).toLong

  /** The programs that were started since then; those of a thread of this group are the command's own. */
  def since(begun: Long, threads: ThreadGroup): Seq[Program] = {
    val started = startedSince(begun)
    if (started.isEmpty) Nil
    else {
      val own = numbersOf(threads).flatMap(number => childrenOf(Tasks.resolve(number.toString)))
      started.map(process => program(process, own(process.pid)))
    }
  }

  /** Ends what the calling thread has started since then. */
  def endOwn(begun: Long): Unit = {
    val own = childrenOf(Paths.get("/proc/thread-self"))
    startedSince(begun).filter(process => own(process.pid)).foreach(program(_, isOwn = true).end())
  }

  private def program(process: ProcessHandle, isOwn: Boolean) =
    Program(process, process.descendants.iterator.asScala.toSeq, isOwn)

  private def startedSince(begun: Long): Seq[ProcessHandle] =
    ProcessHandle.current.children.iterator.asScala.filter(process => startOf(process).exists(_ >= begun)).toSeq

  /** None of one that has ended meanwhile. */
  private def startOf(process: ProcessHandle): Option[Long] = {
    // Behind the name, which may hold anything, come the fields from the third on.
    val fields = Try(Files.readString(Paths.get(s"/proc/${process.pid}/stat"))).map(_.split("\\) ").last.split(' '))
    fields.map(_(StartField).toLong).toOption
  }

  private val StartField = 22 - 3

  /** The processes that a thread has started; none of one that has ended meanwhile. */
  private def childrenOf(task: Path): Set[Long] =
    Try(Files.readString(task.resolve("children")).trim).getOrElse("").split(' ').filter(_.nonEmpty).map(_.toLong).toSet

  /** The kernel's numbers of a group's threads. */
  private def numbersOf(threads: ThreadGroup): Set[Long] = {
    val found = new Array[Thread](threads.activeCount + 16)
    val ids = found.take(threads.enumerate(found)).map(_.getId).toSet
    InList.findAllMatchIn(listOfThreads).filter(line => ids(line.group(1).toLong)).map(line => java.lang.Long.decode(line.group(2)).longValue).toSet
  }

  /** All threads as the virtual machine prints them: nowhere else does Java tell their numbers. A small Java may lack it. */
  private def listOfThreads: String =
    try {
      val name = new ObjectName("com.sun.management:type=DiagnosticCommand")
      val none = Array[AnyRef](Array.empty[String])
      ManagementFactory.getPlatformMBeanServer.invoke(name, "threadPrint", none, Array(classOf[Array[String]].getName)).toString
    } catch {
      case NonFatal(failed) =>
        Log.warn(s"programs that a cancelled command's other threads have started may go on: $failed")
        ""
    }

  private val InList = """(?m)^".*" #(\d+) .*\bnid=(\w+)""".r
}
