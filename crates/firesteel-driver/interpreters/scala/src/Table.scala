// DataFrames as the `results` object of a table, and where the rest goes. Values are written from Spark's internal rows: no conversion to
// `Row`, no JVM time zone in between, and the driver process passes the bytes on unread.
package firesteel

import java.io.ByteArrayOutputStream
import java.nio.file.Path
import java.time.{Instant, LocalDate, LocalDateTime, ZoneOffset}
import java.time.format.DateTimeFormatter
import java.util.Base64

import com.fasterxml.jackson.core.JsonGenerator

import org.apache.spark.sql.Dataset
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.{BoundReference, Cast, GenericInternalRow, SpecializedGetters}
import org.apache.spark.sql.execution.adaptive.AdaptiveSparkPlanExec
import org.apache.spark.sql.execution.{
  CollectLimitExec, CommandResultExec, LocalTableScanExec, QueryExecution, SQLExecution, SparkPlan, TakeOrderedAndProjectExec}
import org.apache.spark.sql.types._
import org.apache.spark.unsafe.types.UTF8String

object Table {
  /** Writes the value at an ordinal, which is known not to be null. */
  private type Write = (JsonGenerator, SpecializedGetters, Int) => Unit

  /** A successful statement that has no columns. */
  def empty: Array[Byte] = results(new StructType(), Array.empty, cut = false, Int.MaxValue)

  /** Runs the plan and writes the first rows, as many as fit into the limits. All rows go to the file `result`, out of the same run; where
    * none is wanted (`null`), no more is run than what is shown needs. */
  def encode(data: Dataset[_], limits: Limits, result: Path): Array[Byte] = {
    val schema = data.schema
    if (schema.isEmpty) empty
    else {
      val file = if (result == null || limits.resultBytesMax == 0) null else ResultFile.make(result, limits.resultBytesMax)
      val head = if (file == null) limited(data, limits.rowsMax) else whole(data, limits, file)
      results(schema, head.rows, head.cut, limits.tableBytesMax)
    }
  }

  private def limited(data: Dataset[_], rowsMax: Int): Head = Head.of(collect(queryOf(data.limit(rowsMax + 1))), rowsMax)

  /** Few rows are fetched at once; where there may be more, the run goes on behind the head. */
  private def whole(data: Dataset[_], limits: Limits, file: ResultFile): Head = {
    val query = queryOf(data)
    val result = new WholeResult(query, data.schema, file, limits)
    if (isSmall(query, limits.rowsMax)) {
      val rows = try collect(query) catch { case failed: Throwable => file.discard(); throw failed }
      result.keep(rows)
      Head.of(rows, limits.rowsMax)
    } else result.begin()
  }

  /** Whether all rows are in this process already, or are few of a limit: Spark finds those without running every partition. */
  private def isSmall(query: QueryExecution, rowsMax: Int): Boolean = root(query.executedPlan) match {
    case _: LocalTableScanExec | _: CommandResultExec => true
    case _: CollectLimitExec | _: TakeOrderedAndProjectExec => query.optimizedPlan.maxRows.exists(_ <= rowsMax)
    case _ => false
  }

  private def root(plan: SparkPlan): SparkPlan = plan match {
    case adaptive: AdaptiveSparkPlanExec => adaptive.inputPlan
    case other => other
  }

  private def collect(query: QueryExecution): Array[InternalRow] =
    SQLExecution.withNewExecutionId(query, Some("collect"))(query.executedPlan.executeCollect())

  private def queryOf(data: Dataset[_]): QueryExecution = queryExecution.invoke(data).asInstanceOf[QueryExecution]

  /** Found by name: the class that has it moved between Spark 3 and 4. */
  private lazy val queryExecution = {
    val owner = if (org.apache.spark.SPARK_VERSION.startsWith("3.")) "org.apache.spark.sql.Dataset" else "org.apache.spark.sql.classic.Dataset"
    Class.forName(owner).getMethod("queryExecution")
  }

  /** The columns as the `results` object has them, as a JSON array. */
  def schemaJson(schema: StructType): String = {
    val out = new ByteArrayOutputStream
    val json = Json.generator(out)
    writeColumns(json, schema)
    json.close()
    out.toString("UTF-8")
  }

  private def results(schema: StructType, rows: Array[InternalRow], cut: Boolean, bytesMax: Int): Array[Byte] = {
    val out = new Bytes
    val json = Json.generator(out)
    json.writeStartObject()
    json.writeStringField("resultType", "table")
    val truncated = writeRows(json, out, schema, rows, bytesMax) || cut
    writeSchema(json, schema)
    json.writeBooleanField("truncated", truncated)
    json.writeBooleanField("isJsonSchema", true)
    json.writeEndObject()
    json.close()
    out.toByteArray
  }

  private final class Bytes extends ByteArrayOutputStream(1024) {
    def cutTo(size: Int): Unit = count = size
  }

  /** Whether rows were left out for lack of room. */
  private def writeRows(json: JsonGenerator, out: Bytes, schema: StructType, rows: Array[InternalRow], bytesMax: Int): Boolean = {
    val writes = schema.fields.map(field => writer(field.dataType))
    json.writeArrayFieldStart("data")
    var index = 0
    var full = false
    while (index < rows.length && !full) {
      json.flush()
      val before = out.size
      writeRow(json, rows(index), writes)
      full = out.size + json.getOutputBuffered > bytesMax
      if (full) { json.flush(); out.cutTo(before) }
      index += 1
    }
    json.writeEndArray()
    full
  }

  private def writeRow(json: JsonGenerator, row: InternalRow, writes: Array[Write]): Unit = {
    json.writeStartArray()
    var column = 0
    while (column < writes.length) {
      writeOrNull(json, row, column, writes(column))
      column += 1
    }
    json.writeEndArray()
  }

  private def writeSchema(json: JsonGenerator, schema: StructType): Unit = {
    json.writeFieldName("schema")
    writeColumns(json, schema)
  }

  private def writeColumns(json: JsonGenerator, schema: StructType): Unit = {
    json.writeStartArray()
    schema.fields.foreach { field =>
      json.writeStartObject()
      json.writeStringField("name", field.name)
      json.writeStringField("type", field.dataType.json)
      json.writeStringField("metadata", field.metadata.json)
      json.writeEndObject()
    }
    json.writeEndArray()
  }

  private def writeOrNull(json: JsonGenerator, from: SpecializedGetters, at: Int, write: Write): Unit =
    if (from.isNullAt(at)) json.writeNull() else write(json, from, at)

  private def writer(kind: DataType): Write = kind match {
    case BooleanType => (json, from, at) => json.writeBoolean(from.getBoolean(at))
    case ByteType => (json, from, at) => json.writeNumber(from.getByte(at).toInt)
    case ShortType => (json, from, at) => json.writeNumber(from.getShort(at).toInt)
    case IntegerType => (json, from, at) => json.writeNumber(from.getInt(at))
    case LongType => (json, from, at) => json.writeNumber(from.getLong(at))
    case FloatType => (json, from, at) => writeFloat(json, from.getFloat(at))
    case DoubleType => (json, from, at) => writeDouble(json, from.getDouble(at))
    case decimal: DecimalType => (json, from, at) =>
      json.writeString(from.getDecimal(at, decimal.precision, decimal.scale).toJavaBigDecimal.toPlainString)
    case _: StringType => (json, from, at) => json.writeString(from.getUTF8String(at).toString)
    case BinaryType => (json, from, at) => json.writeString(Base64.getEncoder.encodeToString(from.getBinary(at)))
    case DateType => (json, from, at) => json.writeString(LocalDate.ofEpochDay(from.getInt(at)).toString)
    case TimestampType => (json, from, at) => json.writeString(utc.format(local(from.getLong(at))) + "Z")
    case TimestampNTZType => (json, from, at) => json.writeString(utc.format(local(from.getLong(at))))
    case NullType => (json, _, _) => json.writeNull()
    case array: ArrayType => arrayWriter(array)
    case map: MapType => mapWriter(map)
    case struct: StructType => structWriter(struct)
    case user: UserDefinedType[_] => writer(user.sqlType)
    case other => castWriter(other)
  }

  /** JSON has no number for these, so Spark's words stand in as strings. */
  private def writeDouble(json: JsonGenerator, value: Double): Unit =
    if (value.isNaN || value.isInfinity) json.writeString(value.toString) else json.writeNumber(value)

  private def writeFloat(json: JsonGenerator, value: Float): Unit =
    if (value.isNaN || value.isInfinity) json.writeString(value.toString) else json.writeNumber(value)

  private val utc = DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss.SSS")

  private def local(micros: Long): LocalDateTime = {
    val second = Math.floorDiv(micros, 1000000L)
    LocalDateTime.ofInstant(Instant.ofEpochSecond(second, Math.floorMod(micros, 1000000L) * 1000), ZoneOffset.UTC)
  }

  private def arrayWriter(kind: ArrayType): Write = {
    val element = writer(kind.elementType)
    (json, from, at) => {
      val array = from.getArray(at)
      json.writeStartArray()
      (0 until array.numElements).foreach(index => writeOrNull(json, array, index, element))
      json.writeEndArray()
    }
  }

  private def mapWriter(kind: MapType): Write = {
    val value = writer(kind.valueType)
    val key = keyText(kind.keyType)
    (json, from, at) => {
      val map = from.getMap(at)
      val (keys, values) = (map.keyArray, map.valueArray)
      json.writeStartObject()
      (0 until map.numElements).foreach { index =>
        json.writeFieldName(key(keys, index))
        writeOrNull(json, values, index, value)
      }
      json.writeEndObject()
    }
  }

  /** A key must be a string in JSON: what a scalar key would be as a value, without quotes. */
  private def keyText(kind: DataType): (SpecializedGetters, Int) => String = kind match {
    case _: StringType => (from, at) => from.getUTF8String(at).toString
    case other =>
      val write = writer(other)
      (from, at) => {
        val out = new ByteArrayOutputStream
        val json = Json.generator(out)
        write(json, from, at)
        json.close()
        out.toString("UTF-8").stripPrefix("\"").stripSuffix("\"")
      }
  }

  private def structWriter(kind: StructType): Write = {
    val names = kind.fieldNames
    val writes = kind.fields.map(field => writer(field.dataType))
    (json, from, at) => {
      val struct = from.getStruct(at, writes.length)
      json.writeStartObject()
      writes.indices.foreach { index =>
        json.writeFieldName(names(index))
        writeOrNull(json, struct, index, writes(index))
      }
      json.writeEndObject()
    }
  }

  /** Intervals, times, variants and whatever a later Spark adds: the text Spark's own cast gives. */
  private def castWriter(kind: DataType): Write = {
    val cast = Cast(BoundReference(0, kind, nullable = true), StringType, Some("UTC"))
    val castable = cast.checkInputDataTypes().isSuccess
    (json, from, at) => {
      val value = from.get(at, kind)
      val text = if (castable) cast.eval(new GenericInternalRow(Array[Any](value))).asInstanceOf[UTF8String] else value
      json.writeString(text.toString)
    }
  }
}
