// The file that holds all rows of one table result: an Arrow IPC stream without its end mark, and beside it an index by which a reader
// finds its way while the file grows. `docs/protocol.md` has the form.
package firesteel

import java.io.IOException
import java.nio.ByteBuffer
import java.nio.channels.FileChannel
import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.StandardOpenOption.{CREATE_NEW, WRITE}
import java.nio.file.attribute.{FileAttribute, PosixFilePermissions}
import java.nio.file.{Files, Path}

import scala.collection.JavaConverters._

/** How a result file ends. The numbers are the protocol's. */
object ResultEnd {
  val Whole = 0
  val Bound = 1
  val Failed = 2
}

final class ResultFile private (path: Path, data: FileChannel, index: FileChannel, bytesMax: Long) {
  private var bytes = 0L
  private var rows = 0L
  private var ended = false

  /** Whose it is: the folder is the context's. */
  def context: String = path.getParent.getFileName.toString

  def room: Long = bytesMax - bytes

  /** Appends one message of the stream; false when it does not fit any more. */
  def append(message: Array[Byte], count: Int): Boolean = {
    val fits = bytes + message.length <= bytesMax
    if (fits) {
      writeAll(data, ByteBuffer.wrap(message))
      bytes += message.length
      rows += count
      entry(bytes, rows, Array.emptyByteArray)
    }
    fits
  }

  /** Says that nothing more comes. Only the first word counts. */
  def end(kind: Int, reason: String): Unit = if (!ended) {
    ended = true
    val text = reason.take(ResultFile.ReasonCharsMax).getBytes(UTF_8)
    try entry(-1L, (kind.toLong << 32) | text.length, text)
    finally {
      data.close()
      index.close()
    }
  }

  /** Takes the file away: there is no result after all. */
  def discard(): Unit = {
    ended = true
    data.close()
    index.close()
    Files.deleteIfExists(path)
    Files.deleteIfExists(ResultFile.indexOf(path))
  }

  private def entry(first: Long, second: Long, more: Array[Byte]): Unit = {
    val buffer = ByteBuffer.allocate(16 + more.length)
    buffer.putLong(first).putLong(second).put(more).flip()
    writeAll(index, buffer)
  }

  private def writeAll(channel: FileChannel, buffer: ByteBuffer): Unit = while (buffer.hasRemaining) channel.write(buffer)
}

object ResultFile {
  private val ReasonCharsMax = 2000

  private val Private: FileAttribute[_] = PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"))

  def indexOf(path: Path): Path = path.resolveSibling(s"${path.getFileName}.index")

  /** Makes the two files; null where that cannot be done: the context may have been destroyed meanwhile, and its folder with it. */
  def make(path: Path, bytesMax: Long): ResultFile =
    try {
      // A command that shows several tables keeps the last.
      Files.deleteIfExists(path)
      Files.deleteIfExists(indexOf(path))
      new ResultFile(path, open(path), open(indexOf(path)), bytesMax)
    } catch {
      case failed: IOException =>
        Log.warn(s"a result cannot be kept: $failed")
        null
    }

  private def open(path: Path): FileChannel = FileChannel.open(path, Set(CREATE_NEW, WRITE).asJava, Private)
}
