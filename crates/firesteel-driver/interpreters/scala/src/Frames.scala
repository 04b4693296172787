// The framing both links speak: a length in four bytes, then that many bytes; a message is a frame of JSON and, when it says
// `"payload": true`, a second frame of raw bytes. `docs/protocol.md` is the contract.
package firesteel

import java.io.{EOFException, IOException}
import java.nio.ByteBuffer
import java.nio.channels.SocketChannel
import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.{Path, Paths}

final case class Message(fields: Map[String, Any], payload: Array[Byte]) {
  def kind: String = text("type")

  /** A field that must be there, as text. Ids are strings on the wire; a number is taken for the same. */
  def text(name: String): String =
    textOrNull(name) match {
      case null => throw new IOException(s"the message lacks `$name`")
      case found => found
    }

  def textOrNull(name: String): String = fields.getOrElse(name, null) match {
    case null => null
    case found => found.toString
  }

  def pathOrNull(name: String): Path = textOrNull(name) match {
    case null => null
    case found => Paths.get(found)
  }

  def source: String = if (payload == null) "" else new String(payload, UTF_8)
}

object Frames {
  val Version = 2
  val JsonBytesMax: Int = 1 << 20
  val PayloadBytesMax: Int = 64 << 20

  /** The buffers of one message, ready to be written in one go. */
  def encode(fields: Seq[(String, Any)], payload: ByteBuffer): Array[ByteBuffer] = {
    val json = Json.bytes(if (payload == null) fields else fields :+ ("payload" -> true))
    if (payload == null) Array(length(json.length), ByteBuffer.wrap(json))
    else Array(length(json.length), ByteBuffer.wrap(json), length(payload.remaining), payload)
  }

  private def length(bytes: Int): ByteBuffer = {
    val head = ByteBuffer.allocate(4)
    head.putInt(0, bytes)
    head
  }
}

/** Reads messages off a channel. Used by one thread only, and never by one that user code can interrupt: an interrupt
  * would close the channel. */
final class FrameReader(channel: SocketChannel) {
  private val buffer = ByteBuffer.allocateDirect(64 * 1024).flip().asInstanceOf[ByteBuffer]

  /** The next message, or null when the peer closed between two messages. */
  def next(): Message = {
    val size = head()
    if (size < 0) return null
    val fields = Json.parse(body(size, Frames.JsonBytesMax))
    val hasPayload = fields.get("payload").contains(true)
    Message(fields, if (hasPayload) payload() else null)
  }

  private def payload(): Array[Byte] = {
    val size = head()
    if (size < 0) throw new EOFException("the connection ended before the payload")
    body(size, Frames.PayloadBytesMax)
  }

  private def head(): Int = {
    val head = new Array[Byte](4)
    val first = readUpTo(head)
    if (first == 0) return -1
    if (first < 4) throw new EOFException("the connection ended inside a frame")
    val size = ByteBuffer.wrap(head).getInt
    if (size < 0) throw new IOException("a frame of more than 2 GiB")
    size
  }

  private def body(size: Int, max: Int): Array[Byte] = {
    if (size > max) throw new IOException(s"a frame of $size bytes; at most $max are allowed")
    val bytes = new Array[Byte](size)
    if (readUpTo(bytes) < size) throw new EOFException("the connection ended inside a frame")
    bytes
  }

  private def readUpTo(target: Array[Byte]): Int = {
    var done = 0
    while (done < target.length) {
      if (!buffer.hasRemaining && !refill()) return done
      val step = math.min(buffer.remaining, target.length - done)
      buffer.get(target, done, step)
      done += step
    }
    done
  }

  private def refill(): Boolean = {
    buffer.clear()
    val got = channel.read(buffer)
    buffer.flip()
    got > 0
  }
}
