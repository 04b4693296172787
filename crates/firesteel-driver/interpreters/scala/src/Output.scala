// What user code prints, and how it finds its way to the right interpreter.
//
// `Printed` is the bounded buffer between the printing threads and the connection's writer: a full buffer makes the printer wait,
// so a loop that prints a gigabyte runs at the speed of its reader. `Output` replaces `System.out` and `System.err` by streams that ask,
// at each call, which interpreter the calling thread belongs to. A thread of none, or of one that runs nothing, prints to the
// process's own descriptors, which are the driver's log.
package firesteel

import java.io.{OutputStream, PrintStream}
import java.nio.ByteBuffer
import java.nio.charset.StandardCharsets.UTF_8
import java.util.Locale

object Printed {
  /** The most bytes one `output` frame carries, and what makes the writer send at once. */
  val FrameBytes: Int = 64 * 1024
  private val BufferBytes = 4 * FrameBytes
  /** How long a few bytes wait for more after something was sent. After a longer silence they wait for nothing. */
  private val DelayMs = 10L

  val Head: Seq[(String, Any)] = Seq("type" -> "output")
}

/** Bytes printed and not yet sent. `lock` is the connection: its writer waits on it for both messages and bytes. */
final class Printed(lock: Connection) {
  private val bytes = new Array[Byte](Printed.BufferBytes)
  private var count = 0
  private var takenAt = System.nanoTime() - Printed.DelayMs * 1000000

  def write(source: Array[Byte], offset: Int, length: Int): Unit = {
    var from = offset
    val end = offset + length
    while (from < end) lock.synchronized {
      awaitRoom()
      if (lock.isClosed) return
      val step = math.min(end - from, bytes.length - count)
      System.arraycopy(source, from, bytes, count, step)
      // The writer sleeps on an empty buffer, and for what is left of the delay on a little: wake it at those two moments only.
      if (count == 0) lock.notifyAll()
      else if (count < Printed.FrameBytes && count + step >= Printed.FrameBytes) lock.notifyAll()
      count += step
      from += step
    }
  }

  /** An interrupt is kept for the code that printed; it does not tear a hole into its output. */
  private def awaitRoom(): Unit = {
    var interrupted = false
    while (count == bytes.length && !lock.isClosed)
      try lock.wait()
      catch { case _: InterruptedException => interrupted = true }
    if (interrupted) Thread.currentThread.interrupt()
  }

  def isDue: Boolean = count >= Printed.FrameBytes || (count > 0 && left <= 0)

  /** How long the writer may sleep: 0 is for ever. */
  def waitMs: Long = if (count == 0) 0 else math.max(left, 1)

  private def left: Long = Printed.DelayMs - (System.nanoTime() - takenAt) / 1000000

  /** All bytes, in frames cut between characters. */
  def take(): Seq[ByteBuffer] =
    if (count == 0) Nil
    else {
      val all = java.util.Arrays.copyOf(bytes, count)
      count = 0
      takenAt = System.nanoTime()
      lock.notifyAll()
      frames(all, 0)
    }

  private def frames(all: Array[Byte], from: Int): List[ByteBuffer] =
    if (all.length - from <= Printed.FrameBytes) List(ByteBuffer.wrap(all, from, all.length - from).slice())
    else {
      val cut = boundary(all, from + Printed.FrameBytes)
      ByteBuffer.wrap(all, from, cut - from).slice() :: frames(all, cut)
    }

  private def boundary(all: Array[Byte], at: Int): Int = {
    var cut = at
    while (cut > at - 4 && (all(cut) & 0xC0) == 0x80) cut -= 1
    cut
  }
}

/** The streams that stand in for `System.out` and `System.err`. */
object Output {
  /** What is `System.out` from `install` on, whatever user code sets. */
  @volatile var routed: PrintStream = System.out
  @volatile private var routedErrors: PrintStream = System.err

  /** Called once, after Spark has set up its logging: a log line written on a user's thread must go to the log. */
  def install(): Unit = {
    routed = new RoutedStream(System.out)
    System.setOut(routed)
    routedErrors = new RoutedStream(System.err)
    System.setErr(routedErrors)
  }

  /** Puts the streams back that user code has replaced: they are all contexts'. */
  def restore(): Unit = {
    if (System.out ne routed) System.setOut(routed)
    if (System.err ne routedErrors) System.setErr(routedErrors)
  }

  /** An interpreter's own stream, over its connection's buffer. */
  def stream(interpreter: Interpreter, printed: Printed, log: PrintStream): PrintStream =
    new PrintStream(new OutputStream {
      override def write(byte: Int): Unit = write(Array(byte.toByte), 0, 1)
      override def write(bytes: Array[Byte], offset: Int, length: Int): Unit =
        if (interpreter.isRunning) printed.write(bytes, offset, length) else log.write(bytes, offset, length)
    }, false, UTF_8.name)

  /** Hands each call to the stream of the calling thread's interpreter. Each interpreter has a stream of its own, so that one
    * that waits for its reader holds no lock that another needs. */
  private final class RoutedStream(log: PrintStream) extends PrintStream(log, true) {
    private def to: PrintStream = {
      val interpreter = Owners.current
      if (interpreter == null) log else interpreter.stream
    }

    override def flush(): Unit = to.flush()
    override def close(): Unit = flush() // closing the process's output is not a user's to do
    override def checkError(): Boolean = to.checkError()
    override def write(b: Int): Unit = to.write(b)
    override def write(bytes: Array[Byte]): Unit = to.write(bytes, 0, bytes.length)
    override def write(bytes: Array[Byte], offset: Int, length: Int): Unit = to.write(bytes, offset, length)
    override def print(x: Boolean): Unit = to.print(x)
    override def print(x: Char): Unit = to.print(x)
    override def print(x: Int): Unit = to.print(x)
    override def print(x: Long): Unit = to.print(x)
    override def print(x: Float): Unit = to.print(x)
    override def print(x: Double): Unit = to.print(x)
    override def print(x: Array[Char]): Unit = to.print(x)
    override def print(x: String): Unit = to.print(x)
    override def print(x: Object): Unit = to.print(x)
    override def println(): Unit = to.println()
    override def println(x: Boolean): Unit = to.println(x)
    override def println(x: Char): Unit = to.println(x)
    override def println(x: Int): Unit = to.println(x)
    override def println(x: Long): Unit = to.println(x)
    override def println(x: Float): Unit = to.println(x)
    override def println(x: Double): Unit = to.println(x)
    override def println(x: Array[Char]): Unit = to.println(x)
    override def println(x: String): Unit = to.println(x)
    override def println(x: Object): Unit = to.println(x)
    override def printf(format: String, args: Object*): PrintStream = { to.printf(format, args: _*); this }
    override def printf(l: Locale, format: String, args: Object*): PrintStream = { to.printf(l, format, args: _*); this }
    override def format(format: String, args: Object*): PrintStream = { to.format(format, args: _*); this }
    override def format(l: Locale, format: String, args: Object*): PrintStream = { to.format(l, format, args: _*); this }
    override def append(x: CharSequence): PrintStream = { to.append(x); this }
    override def append(x: CharSequence, start: Int, end: Int): PrintStream = { to.append(x, start, end); this }
    override def append(x: Char): PrintStream = { to.append(x); this }
  }
}
