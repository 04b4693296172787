// One run of a query that gives both: the first rows, as soon as they are there, and all rows, in a file.
//
// A thread of its own runs the partitions in order, as far as the file may grow. `begin` comes back with the first rows; the rest is
// written behind it. All jobs of the run are in a group of its own: a cancel of the command ends the run while the command waits for
// its first rows, and a cancel of a later command does not. Nothing is run twice: what the file says is what was shown.
package firesteel

import java.util.concurrent.atomic.AtomicLong
import java.util.concurrent.{CompletableFuture, CountDownLatch, ExecutionException}

import scala.util.control.NonFatal

import org.apache.spark.SparkContext
import org.apache.spark.sql.SparkSession
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.execution.{QueryExecution, SQLExecution}
import org.apache.spark.sql.firesteel.{ArrowBatches, PartitionRun, RawRows}
import org.apache.spark.sql.types.StructType

/** The first rows, and whether there are more. */
final case class Head(rows: Array[InternalRow], cut: Boolean)

object Head {
  def of(rows: Array[InternalRow], rowsMax: Int): Head = Head(rows.take(rowsMax), rows.length > rowsMax)
}

object WholeResult {
  /** Of the job groups of these runs. No context's begins like this: see `Sessions.group`. */
  private val GroupPrefix = "firesteel.result-"

  private val numbers = new AtomicLong
}

final class WholeResult(query: QueryExecution, schema: StructType, file: ResultFile, limits: Limits) {
  private val spark: SparkContext = query.sparkSession.sparkContext
  private val group = s"${WholeResult.GroupPrefix}${WholeResult.numbers.incrementAndGet()}"
  private val head = new CompletableFuture[Head]
  private val over = new CountDownLatch(1)
  private val first = new FirstRows(limits)
  private lazy val batches = new ArrowBatches(schema, Table.schemaJson(schema))
  @volatile private var stopped: Stop = _
  @volatile private var run: PartitionRun = _
  @volatile private var shownAt = 0L
  // Made here and not in a pool: a thread takes over the session and the streams of the one that makes it.
  private val runner = new Thread(() => runAll(), "firesteel-result")
  runner.setDaemon(true)

  def isOf(context: String): Boolean = file.context == context

  /** Whether its command has its first rows: the rest goes on behind it. */
  def isShown: Boolean = head.isDone

  /** Runs the query. Comes back when the first rows are there; when interrupted, when the run has stopped. */
  def begin(): Head = {
    WholeResults.add(this)
    runner.start()
    try {
      val shown = head.get()
      head.obtrudeValue(null) // its rows are not held while the rest is run
      shown
    } catch {
      case failed: ExecutionException => throw failed.getCause
      case interrupted: InterruptedException =>
        stop(Stop(ResultEnd.Failed, "it was cancelled"))
        awaitEnd()
        throw interrupted
    }
  }

  /** Each further interrupt ends again what has begun meanwhile. */
  private def awaitEnd(): Unit =
    while (over.getCount > 0)
      try over.await()
      catch { case _: InterruptedException => stop(stopped) }

  /** Writes rows that are all there. */
  def keep(rows: Array[InternalRow]): Unit = {
    shownAt = System.nanoTime
    head.complete(null) // it is another's, and not ours to fail
    WholeResults.later(ending {
      begun()
      if (rows.forall(addRow) && flush()) file.end(ResultEnd.Whole, "")
    })
  }

  /** Ends the run where it is. */
  def stop(why: Stop): Unit = {
    synchronized {
      stopped = why
      // It may be planning, without a job yet. Later an interrupt would close the file.
      if (!isShown) runner.interrupt()
    }
    WholeResults.lateJobs.foreach(_.refuse(group))
    Option(run).foreach(_.cancel())
    if (!spark.isStopped) spark.cancelJobGroup(group)
  }

  private def runAll(): Unit = ending {
    SparkSession.setActiveSession(query.sparkSession)
    spark.setJobGroup(group, spark.getLocalProperty("spark.job.description"), interruptOnCancel = true)
    spark.setLocalProperty(LateJobs.Property, group)
    SQLExecution.withNewExecutionId(query, Some("collect")) {
      run = new PartitionRun(query.executedPlan.execute(), schema)
      if (stopped != null) throw new IllegalStateException(stopped.reason)
      runPartitions()
    }
    first.end()
    showHead()
    if (writeHead() && flush()) file.end(ResultEnd.Whole, "")
  }

  /** Partitions in order: one, then more at a time while the first rows are not all there, as Spark's own `take` does; all at once
    * where they are known to have few rows. */
  private def runPartitions(): Unit = {
    var next = 0
    var width = if (query.optimizedPlan.maxRows.exists(_ <= limits.rowsMax)) run.partitions else 1
    var fits = true
    while (fits && next < run.partitions) {
      val until = math.min(next + width, run.partitions)
      fits = run.fetch(next until until, first.wantedRows, first.wantedBytes, file.room)(accept)
      next = until
      width = if (first.isDone) math.max(1, spark.defaultParallelism / 2) else math.min(width * 4, 1 << 20)
    }
  }

  private def accept(piece: PartitionRun.Piece): Boolean = piece match {
    case PartitionRun.Rows(bytes) => RawRows.read(bytes, schema.length).forall(acceptRow)
    case PartitionRun.Batch(bytes, count) =>
      if (count > 0) first.more()
      if (first.isDone) showHead()
      writeHead() && flush() && appended(bytes, count)
  }

  private def acceptRow(row: InternalRow): Boolean =
    if (first.isDone) addRow(row)
    else {
      first.add(row)
      if (first.isDone) showHead()
      !first.isDone || (writeHead() && addRow(row))
    }

  private def showHead(): Unit = if (!isShown) {
    // What is begun from now on is nobody's progress, and gives way to what somebody waits for.
    spark.setLocalProperty(Progress.Property, null)
    spark.setLocalProperty("spark.scheduler.pool", WholeResults.Pool)
    synchronized {
      if (stopped != null) throw new IllegalStateException(stopped.reason)
      shownAt = System.nanoTime
      head.complete(first.head)
    }
    WholeResults.makeRoom()
  }

  /** Ends the run if its rest has taken its time. */
  def checkTime(): Unit =
    if (isShown && limits.resultSecondsMax > 0 && System.nanoTime - shownAt > limits.resultSecondsMax * 1000000000L)
      stop(Stop(ResultEnd.Bound, s"the rest of a result is run for at most ${limits.resultSecondsMax} s (limits.result_seconds_max)"))

  private var headWritten = false

  private def writeHead(): Boolean = headWritten || {
    headWritten = true
    begun()
    first.takeRows().forall(addRow)
  }

  private def begun(): Unit = appended(batches.schemaMessage, 0)

  private def addRow(row: InternalRow): Boolean = {
    batches.add(row)
    !batches.isFull || flush()
  }

  private def flush(): Boolean = batches.isEmpty || {
    val (bytes, count) = batches.take()
    appended(bytes, count)
  }

  private def appended(bytes: Array[Byte], count: Int): Boolean = {
    val fits = file.append(bytes, count)
    if (!fits) file.end(ResultEnd.Bound, s"one result is kept up to ${limits.resultBytesMax} bytes (limits.result_bytes_max)")
    fits
  }

  /** However the body ends, so does the file, and nobody waits for the head any more. */
  private def ending(body: => Unit): Unit =
    try body
    catch {
      case failed: Throwable =>
        // Without a head there is no table at all.
        if (head.completeExceptionally(if (stopped == null) failed else new IllegalStateException(stopped.reason, failed))) file.discard()
        else if (stopped != null) end(stopped)
        else end(Stop(ResultEnd.Failed, s"the query failed behind its first rows: ${Failures.unwrap(failed)}"))
    } finally {
      end(Stop(ResultEnd.Failed, "its writing ended early"))
      try batches.close()
      catch { case NonFatal(failed) => Log.warn("the buffers of a result were not freed", failed) }
      WholeResults.remove(this)
      over.countDown()
    }

  private def end(why: Stop): Unit =
    try file.end(why.kind, why.reason)
    catch { case NonFatal(failed) => Log.warn("the end of a result could not be written", failed) }
}

/** Why a run ends before its query does: a `ResultEnd`, and in words. */
final case class Stop(kind: Int, reason: String)

/** The rows that a `results` object may show, while they come. */
private final class FirstRows(limits: Limits) {
  private var rows = scala.collection.mutable.ArrayBuffer.empty[InternalRow]
  private var bytes = 0L
  private var cut = false
  private var done = false

  def isDone: Boolean = done

  /** How many rows, of how many bytes, may still be needed; one more than is shown says that there are more. */
  def wantedRows: Int = if (done) 0 else limits.rowsMax + 1 - rows.length
  def wantedBytes: Long = if (done) 0 else FirstRows.bytesMax(limits) - bytes

  /** Takes a row, or sees by it that there are more. */
  def add(row: InternalRow): Unit =
    if (rows.length >= limits.rowsMax || bytes >= FirstRows.bytesMax(limits)) more()
    else {
      rows += row
      bytes += RawRows.sizeOf(row)
    }

  def more(): Unit = if (!done) {
    cut = true
    done = true
  }

  def end(): Unit = done = true

  def head: Head = Head(rows.toArray, cut)

  /** The rows, once: they are not held while the rest comes. */
  def takeRows(): Seq[InternalRow] = {
    val taken = rows
    rows = scala.collection.mutable.ArrayBuffer.empty
    taken.toSeq
  }
}

private object FirstRows {
  /** A row in memory is up to some eight times as large as in JSON. */
  def bytesMax(limits: Limits): Long = 8L * limits.tableBytesMax
}
