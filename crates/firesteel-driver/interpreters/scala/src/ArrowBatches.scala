// Rows as messages of an Arrow IPC stream, by Spark's own writer. Types for which Arrow has no form that readers agree on travel as the text
// that a table's JSON has for them: intervals, times, variants.
package org.apache.spark.sql.firesteel

import java.io.ByteArrayOutputStream
import java.nio.channels.Channels

import scala.collection.JavaConverters._

import org.apache.arrow.vector.VectorUnloader
import org.apache.arrow.vector.ipc.WriteChannel
import org.apache.arrow.vector.ipc.message.MessageSerializer
import org.apache.arrow.vector.types.pojo.Schema

import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.{BoundReference, Cast, Expression, UnsafeProjection}
import org.apache.spark.sql.execution.arrow.ArrowWriter
import org.apache.spark.sql.types._

/** @param columns what a table's JSON says of its columns; it travels as metadata of the schema */
final class ArrowBatches(schema: StructType, columns: String) {
  private val plain = schema.map(field => ArrowBatches.plain(field.dataType))
  private val stored = plain.map(ArrowBatches.stored)
  private val project: InternalRow => InternalRow =
    if (plain == stored) identity
    else UnsafeProjection.create(plain.zip(stored).zipWithIndex.map { case ((from, to), at) => ArrowBatches.convert(from, to, at) })
  private val writer = ArrowWriter.create(
    StructType(schema.zip(stored).map { case (field, kind) => StructField(field.name, kind, field.nullable) }),
    "UTC", errorOnDuplicatedFieldNames = false)
  private var rows = 0
  private var bytes = 0L

  def isEmpty: Boolean = rows == 0
  def isFull: Boolean = rows >= ArrowBatches.BatchRows || bytes >= ArrowBatches.BatchBytes

  def add(row: InternalRow): Unit = {
    val projected = project(row)
    bytes += RawRows.sizeOf(projected)
    if (bytes > ArrowBatches.BatchBytesMax) throw new IllegalStateException(ArrowBatches.TooLarge)
    writer.write(projected)
    rows += 1
  }

  /** The batch of all that was added, and how many rows that is. */
  def take(): (Array[Byte], Int) = {
    writer.finish()
    val count = rows
    val message = ArrowBatches.message { channel =>
      val batch = new VectorUnloader(writer.root).getRecordBatch
      try MessageSerializer.serialize(channel, batch)
      finally batch.close()
    }
    writer.reset()
    rows = 0
    bytes = 0
    (message, count)
  }

  def schemaMessage: Array[Byte] = {
    val metadata = Map(ArrowBatches.ColumnsKey -> columns).asJava
    ArrowBatches.message(channel => MessageSerializer.serialize(channel, new Schema(writer.root.getSchema.getFields, metadata)))
  }

  def close(): Unit = writer.root.close()
}

object ArrowBatches {
  /** A batch is closed when it has as many bytes, in Spark's form of rows. */
  val BatchBytes: Int = 1 << 20

  /** Or as many rows. */
  val BatchRows = 10000

  /** No reader has to hold more at once: a row that makes a batch larger ends the result. */
  private val BatchBytesMax = 48L << 20

  private val TooLarge = s"a row is larger than ${BatchBytesMax >> 20} MiB, the most that a result's row may have"

  private val ColumnsKey = "firesteel.columns"

  private def message(write: WriteChannel => Unit): Array[Byte] = {
    val out = new ByteArrayOutputStream(BatchBytes)
    write(new WriteChannel(Channels.newChannel(out)))
    out.toByteArray
  }

  /** The type that the values have in memory: a user's own is one of Spark's there, and text of a bounded length is text. */
  private def plain(kind: DataType): DataType = kind match {
    case _: StringType => StringType
    case other if other.typeName.startsWith("char") || other.typeName.startsWith("varchar") => StringType
    case user: UserDefinedType[_] => plain(user.sqlType)
    case other => inside(other, plain)
  }

  private def stored(kind: DataType): DataType = kind match {
    case BooleanType | ByteType | ShortType | IntegerType | LongType | FloatType | DoubleType | StringType | BinaryType | DateType |
        TimestampType | TimestampNTZType | NullType | _: DecimalType => kind
    case _: ArrayType | _: MapType | _: StructType => inside(kind, stored)
    case _ => StringType
  }

  private def inside(kind: DataType, change: DataType => DataType): DataType = kind match {
    case ArrayType(element, nulls) => ArrayType(change(element), nulls)
    case MapType(key, value, nulls) => MapType(change(key), change(value), nulls)
    case StructType(fields) => StructType(fields.map(field => field.copy(dataType = change(field.dataType))))
    case other => other
  }

  private def convert(from: DataType, to: DataType, at: Int): Expression = {
    val value = BoundReference(at, from, nullable = true)
    if (from == to) value else Cast(value, to, Some("UTC"))
  }
}
