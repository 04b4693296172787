// One socket to the driver process: connecting, the greeting, and the thread that writes.
//
// Every write is done by the connection's own thread. A Java channel closes itself when a thread is interrupted in the middle
// of a write, and the threads that run user code are interrupted by every cancel; so they only put bytes into `Printed` and
// messages into the queue, and wait while those are full.
package firesteel

import java.io.IOException
import java.net.{StandardProtocolFamily, UnixDomainSocketAddress}
import java.nio.ByteBuffer
import java.nio.channels.SocketChannel
import java.nio.file.Path

import scala.collection.mutable

/** @param resultBytesMax what is kept of one table beyond its first rows, as a file; 0 keeps nothing
  * @param resultSecondsMax how long the rest of a query may run behind its first rows; 0 is no limit */
final case class Limits(rowsMax: Int, tableBytesMax: Int, textCharsMax: Int, resultBytesMax: Long, resultSecondsMax: Long)

object Limits {
  val Default: Limits = Limits(10000, 2000000, 50000, 2L << 30, 600)

  def from(welcome: Message): Limits = welcome.fields.get("limits") match {
    case Some(limits: Map[_, _]) =>
      def number(name: String, fallback: Long): Long =
        limits.asInstanceOf[Map[String, Any]].get(name).collect { case value: Long => value }.getOrElse(fallback)
      def small(name: String, fallback: Int): Int = math.min(number(name, fallback), Int.MaxValue - 1).toInt
      Limits(
        small("rows_max", Default.rowsMax),
        small("table_bytes_max", Default.tableBytesMax),
        small("text_chars_max", Default.textCharsMax),
        number("result_bytes_max", Default.resultBytesMax),
        number("result_seconds_max", Default.resultSecondsMax))
    case _ => Default
  }
}

object Connection {
  /** Connects and greets. Throws when the driver refuses. */
  def open(socket: Path, role: String, key: String, more: (String, Any)*): Connection = {
    val channel = SocketChannel.open(StandardProtocolFamily.UNIX)
    try {
      channel.connect(UnixDomainSocketAddress.of(socket))
      val hello = Seq[(String, Any)](
        "type" -> "hello", "version" -> Frames.Version, "role" -> role, "key" -> key, "pid" -> ProcessHandle.current.pid)
      writeAll(channel, Frames.encode(hello ++ more, null))
      val reader = new FrameReader(channel)
      reader.next() match {
        case null => throw new IOException("the driver closed the connection instead of greeting")
        case answer if answer.kind == "welcome" => new Connection(channel, reader, Limits.from(answer))
        case answer => throw new IOException(s"the driver refused: ${answer.textOrNull("reason")}")
      }
    } catch { case failed: Throwable => channel.close(); throw failed }
  }

  private def writeAll(channel: SocketChannel, buffers: Array[ByteBuffer]): Unit =
    while (buffers.exists(_.hasRemaining)) channel.write(buffers)
}

final class Connection private (channel: SocketChannel, reader: FrameReader, val limits: Limits) {
  private val queue = mutable.Queue.empty[Array[ByteBuffer]]
  private var closed = false

  /** What user code printed and is not yet sent. It shares this object's lock. */
  val printed = new Printed(this)

  private val writer = new Thread(() => writeLoop(), "firesteel-writer")
  writer.setDaemon(true)
  writer.start()

  /** The next message; null when the peer is gone. */
  def next(): Message = reader.next()

  /** Queues a message behind everything printed so far. */
  def send(fields: (String, Any)*): Unit = post(fields, null)

  def post(fields: Seq[(String, Any)], payload: Array[Byte]): Unit = {
    val buffers = Frames.encode(fields, if (payload == null) null else ByteBuffer.wrap(payload))
    synchronized {
      queue.enqueue(buffers)
      notifyAll()
    }
  }

  def isClosed: Boolean = synchronized(closed)

  def close(): Unit = {
    synchronized {
      closed = true
      notifyAll()
    }
    channel.close()
  }

  private def writeLoop(): Unit =
    try {
      var more = true
      while (more) {
        val (chunks, messages) = synchronized {
          while (!closed && queue.isEmpty && !printed.isDue) wait(printed.waitMs)
          more = !closed
          (printed.take(), queue.dequeueAll(_ => true))
        }
        if (more) {
          chunks.foreach(chunk => Connection.writeAll(channel, Frames.encode(Printed.Head, chunk)))
          messages.foreach(Connection.writeAll(channel, _))
        }
      }
    } catch {
      case _: IOException => close()
    }
}
