// Partitions of a query, brought to this process piece by piece and in order, while their tasks go on.
//
// A task's result reaches Spark's driver only when the task is over, and whole. So a task puts its rows as blocks of about 1 MB
// into its block manager, on disk, and this process takes them away as they come; what is small comes back as the task's result. The
// package is inside Spark's because block managers and Arrow writers are open there only.
package org.apache.spark.sql.firesteel

import java.io.ByteArrayOutputStream
import java.nio.ByteBuffer
import java.util.concurrent.atomic.AtomicInteger
import java.util.concurrent.{ConcurrentHashMap, Executors, ScheduledExecutorService, TimeUnit}

import scala.concurrent.ExecutionContext
import scala.util.Failure

import org.apache.spark.{FutureAction, SparkEnv, TaskContext}
import org.apache.spark.rdd.RDD
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.UnsafeRow
import org.apache.spark.sql.types.StructType
import org.apache.spark.storage.{BlockId, StorageLevel, StreamBlockId}
import org.apache.spark.util.io.ChunkedByteBuffer

final class PartitionRun(rows: RDD[InternalRow], schema: StructType) {
  private val stream = PartitionRun.streams.incrementAndGet()
  @volatile private var job: FutureAction[Unit] = _
  @volatile private var cancelled = false

  val partitions: Int = rows.partitions.length

  /** Runs some partitions and hands on their rows in order: the first ones as they are, as many as are wanted, then batches. False when
    * `accept` did not want more; then the run is over. A task ends by itself once it has put more than there is room for. */
  def fetch(range: Range, wantedRows: Int, wantedBytes: Long, room: Long)(accept: PartitionRun.Piece => Boolean): Boolean = {
    val ends = new TaskEnds
    val task = new PartitionTask(stream, schema, wantedRows, wantedBytes, room)
    val running = rows.sparkContext.submitJob[InternalRow, TaskEnd, Unit](
      rows, task.run, range, (index: Int, end: TaskEnd) => ends.put(range(index), end), ())
    running.onComplete(_ => ends.wake())(PartitionRun.here)
    job = running
    if (cancelled) running.cancel()
    val taken = new Taken(accept)
    try range.foreach(partition => new Blocks(stream, partition).take(running, ends, taken))
    catch { case failed: Throwable if taken.isFull => () } // nobody wants the rest
    finally if (!running.isCompleted || taken.isFull) drop(running)
    !taken.isFull
  }

  def cancel(): Unit = {
    cancelled = true
    if (job != null) job.cancel()
  }

  /** Ends what runs, and removes what it has put: now, and again when tasks that did not hear of it at once have ended. */
  private def drop(running: FutureAction[Unit]): Unit = {
    running.cancel()
    Blocks.removeAll(stream)
    PartitionRun.later(Blocks.removeAll(stream))
  }
}

object PartitionRun {
  sealed trait Piece

  /** Rows as `RawRows` reads them. */
  final case class Rows(bytes: Array[Byte]) extends Piece

  /** One message of an Arrow stream. */
  final case class Batch(bytes: Array[Byte], rows: Int) extends Piece

  /** Streaming receivers number their blocks from 0; these are out of their way. */
  private val streams = new AtomicInteger(1000000000)

  /** When a cancelled task has ended, or its executor with it. */
  private val LaterMs = 30000L

  /** Runs what is short on the thread that has it. */
  private val here = ExecutionContext.fromExecutor((task: Runnable) => task.run())

  private lazy val sweeper: ScheduledExecutorService = Executors.newSingleThreadScheduledExecutor { (task: Runnable) =>
    val thread = new Thread(task, "firesteel-blocks")
    thread.setDaemon(true)
    thread
  }

  private def later(task: => Unit): Unit = sweeper.schedule((() => task): Runnable, LaterMs, TimeUnit.MILLISECONDS)

  private[firesteel] def encode(piece: Piece): Array[Byte] = piece match {
    case Rows(bytes) => ByteBuffer.allocate(4 + bytes.length).putInt(-1).put(bytes).array
    case Batch(bytes, rows) => ByteBuffer.allocate(4 + bytes.length).putInt(rows).put(bytes).array
  }

  private[firesteel] def decode(block: Array[Byte]): Piece = {
    val bytes = java.util.Arrays.copyOfRange(block, 4, block.length)
    ByteBuffer.wrap(block).getInt match {
      case -1 => Rows(bytes)
      case rows => Batch(bytes, rows)
    }
  }
}

/** What a task returns: its last piece, which may be null, and how many were put before it by which attempt. */
final case class TaskEnd(attempt: Int, count: Int, last: Array[Byte])

/** The tasks that have ended, by partition, and who waits for them. */
private final class TaskEnds {
  private val ends = new ConcurrentHashMap[Int, TaskEnd]

  def put(partition: Int, end: TaskEnd): Unit = {
    ends.put(partition, end)
    wake()
  }

  /** Null while the task runs. */
  def of(partition: Int): TaskEnd = ends.get(partition)

  def wake(): Unit = synchronized(notifyAll())

  /** Waits until a task has ended, or the job, but no longer than this. */
  def await(partition: Int, job: FutureAction[Unit], ms: Long): Unit = synchronized {
    if (of(partition) == null && !job.isCompleted) wait(ms)
  }
}

/** Hands pieces on as long as they are wanted. Those behind are dropped, so that no block stays where it is. */
private final class Taken(accept: PartitionRun.Piece => Boolean) {
  private var fullSince = 0L

  def isFull: Boolean = fullSince != 0

  def piece(block: Array[Byte]): Unit =
    if (!isFull && !accept(PartitionRun.decode(block))) fullSince = System.nanoTime()

  /** Whether a task has had its time to see that it has put enough. */
  def isOver: Boolean = isFull && System.nanoTime() - fullSince > Taken.DrainNanos
}

private object Taken {
  private val DrainNanos = 2000000000L
}

/** The taking end of one partition's blocks. */
private final class Blocks(stream: Int, partition: Int) {
  private var attempt = 0
  private var next = 0

  /** Hands on every piece until the task is over. */
  def take(job: FutureAction[Unit], ends: TaskEnds, taken: Taken): Unit = {
    var idleMs = Blocks.PollMinMs
    var over = false
    while (!over && !taken.isOver) {
      val ended = ends.of(partition) // looked at first: what the task put before its end is there then
      val block = if (ended != null && next == ended.count) None else nextBlock()
      block match {
        case Some(bytes) =>
          next += 1
          idleMs = Blocks.PollMinMs
          taken.piece(bytes)
        case None if ended != null =>
          if (next != ended.count || (next > 0 && ended.attempt != attempt)) throw new IllegalStateException(Blocks.Lost)
          over = true
          if (ended.last != null) taken.piece(ended.last)
        case None =>
          failed(job)
          ends.await(partition, job, idleMs)
          idleMs = math.min(idleMs * 2, Blocks.PollMaxMs)
      }
    }
  }

  private def failed(job: FutureAction[Unit]): Unit = job.value match {
    case Some(Failure(reason)) => throw reason
    case _ => ()
  }

  /** Before the first one, any attempt's; then that one's only. */
  private def nextBlock(): Option[Array[Byte]] =
    if (next > 0) Blocks.fetch(Blocks.id(stream, partition, attempt, next))
    else (0 until Blocks.AttemptsMax).iterator.map { number =>
      Blocks.fetch(Blocks.id(stream, partition, number, 0)).map { bytes => attempt = number; bytes }
    }.collectFirst { case Some(bytes) => bytes }
}

private object Blocks {
  val AttemptsMax = 4
  private val PollMinMs = 1L
  private val PollMaxMs = 50L
  private val Lost = "an executor was lost with a part of the rows; run the query again"

  def id(stream: Int, partition: Int, attempt: Int, number: Int): StreamBlockId =
    StreamBlockId(stream, partition.toLong << 32 | attempt.toLong << 24 | number)

  /** Takes a block away from wherever it is. */
  def fetch(id: StreamBlockId): Option[Array[Byte]] = {
    val blocks = SparkEnv.get.blockManager
    val found = blocks.getLocalBytes(id) match {
      case Some(data) =>
        try Some(bytesOf(data.toByteBuffer()))
        finally blocks.releaseLockAndDispose(id, data)
      case None => blocks.getRemoteBytes(id).map(_.toArray)
    }
    if (found.nonEmpty) blocks.master.removeBlock(id)
    found
  }

  /** Removes what nobody has taken. */
  def removeAll(stream: Int): Unit = {
    val blocks = SparkEnv.get.blockManager.master
    val isOurs = (id: BlockId) => id match {
      case StreamBlockId(`stream`, _) => true
      case _ => false
    }
    blocks.getMatchingBlockIds(isOurs, askStorageEndpoints = false).foreach(blocks.removeBlock)
  }

  private def bytesOf(buffer: ByteBuffer): Array[Byte] = {
    val bytes = new Array[Byte](buffer.remaining)
    buffer.get(bytes)
    bytes
  }
}

/** What a task does. It travels to executors. */
private final class PartitionTask(stream: Int, schema: StructType, wantedRows: Int, wantedBytes: Long, room: Long) extends Serializable {
  def run: Iterator[InternalRow] => TaskEnd = rows => apply(TaskContext.get(), rows)

  private def apply(context: TaskContext, rows: Iterator[InternalRow]): TaskEnd = {
    val blocks = new PutBlocks(stream, context)
    val raw = new RawRows
    var (left, leftBytes) = (wantedRows, wantedBytes)
    while (left > 0 && leftBytes > 0 && rows.hasNext) {
      val row = rows.next()
      raw.add(row)
      left -= 1
      leftBytes -= RawRows.sizeOf(row)
      if (raw.isFull) blocks.put(PartitionRun.Rows(raw.take()))
    }
    if (!raw.isEmpty) {
      if (!rows.hasNext) return blocks.end(PartitionRun.Rows(raw.take()))
      blocks.put(PartitionRun.Rows(raw.take()))
    }
    putBatches(rows, blocks)
  }

  private def putBatches(rows: Iterator[InternalRow], blocks: PutBlocks): TaskEnd =
    if (!rows.hasNext) blocks.end(null)
    else {
      val batches = new ArrowBatches(schema, "[]")
      try {
        // A batch beyond the room says that there was more.
        while (rows.hasNext && blocks.bytes <= room) {
          batches.add(rows.next())
          if (batches.isFull && rows.hasNext) blocks.put(batch(batches))
        }
        blocks.end(if (batches.isEmpty) null else batch(batches))
      } finally batches.close()
    }

  private def batch(batches: ArrowBatches): PartitionRun.Batch = {
    val (bytes, rows) = batches.take()
    PartitionRun.Batch(bytes, rows)
  }
}

/** The giving end of one partition's blocks. */
private final class PutBlocks(stream: Int, context: TaskContext) {
  private var count = 0
  var bytes = 0L

  context.addTaskFailureListener { (_, _) =>
    (0 until count).foreach(number => SparkEnv.get.blockManager.removeBlock(id(number)))
  }

  def put(piece: PartitionRun.Piece): Unit = {
    val block = PartitionRun.encode(piece)
    val taken = SparkEnv.get.blockManager.putBytes(
      id(count), new ChunkedByteBuffer(ByteBuffer.wrap(block)), StorageLevel.DISK_ONLY, tellMaster = true)
    if (!taken) throw new IllegalStateException("a block of the result could not be stored")
    count += 1
    bytes += block.length
  }

  def end(last: PartitionRun.Piece): TaskEnd =
    TaskEnd(context.attemptNumber(), count, if (last == null) null else PartitionRun.encode(last))

  private def id(number: Int) = Blocks.id(stream, context.partitionId(), context.attemptNumber(), number)
}

/** Rows in Spark's own form, one behind the other: a length in four bytes, then the row. */
final class RawRows {
  private val bytes = new ByteArrayOutputStream

  def isEmpty: Boolean = bytes.size == 0
  def isFull: Boolean = bytes.size >= ArrowBatches.BatchBytes

  def add(row: InternalRow): Unit = {
    val unsafe = row.asInstanceOf[UnsafeRow] // as Spark's own collect has it
    bytes.write(ByteBuffer.allocate(4).putInt(unsafe.getSizeInBytes).array)
    bytes.write(unsafe.getBytes) // wherever it lies: a sort has its rows outside of the heap
  }

  def take(): Array[Byte] = {
    val all = bytes.toByteArray
    bytes.reset()
    all
  }
}

object RawRows {
  def sizeOf(row: InternalRow): Int = row match {
    case unsafe: UnsafeRow => unsafe.getSizeInBytes
    case _ => 0
  }

  /** The rows lie in `bytes`, which must not change. */
  def read(bytes: Array[Byte], columns: Int): Iterator[InternalRow] = new Iterator[InternalRow] {
    private val buffer = ByteBuffer.wrap(bytes)
    def hasNext: Boolean = buffer.hasRemaining
    def next(): InternalRow = {
      val size = buffer.getInt
      val row = new UnsafeRow(columns)
      row.pointTo(bytes, org.apache.spark.unsafe.Platform.BYTE_ARRAY_OFFSET + buffer.position(), size)
      buffer.position(buffer.position() + size)
      row
    }
  }
}
