// JSON in and out, on Jackson's streaming core: objects become `Map[String, Any]`, arrays `Seq[Any]`. The data binder is left
// alone, because loading it costs a tenth of a second at start and nothing here needs it. Frames are at most 1 MiB, so none of
// Jackson's own limits (20 million characters a string) can be met.
package firesteel

import java.io.{ByteArrayOutputStream, OutputStream}

import scala.collection.mutable

import com.fasterxml.jackson.core.{JsonFactory, JsonGenerator, JsonParser, JsonToken}

object Json {
  private val factory = new JsonFactory()

  def generator(out: OutputStream): JsonGenerator = factory.createGenerator(out)

  /** Reads one object. Throws an `IOException` on anything else. */
  def parse(bytes: Array[Byte]): Map[String, Any] = {
    val parser = factory.createParser(bytes)
    try {
      if (parser.nextToken() != JsonToken.START_OBJECT) throw new java.io.IOException("a message must be a JSON object")
      val message = fields(parser)
      if (parser.nextToken() != null) throw new java.io.IOException("text after the JSON object")
      message
    } finally parser.close()
  }

  def bytes(fields: Seq[(String, Any)]): Array[Byte] = {
    val out = new ByteArrayOutputStream(256)
    val json = generator(out)
    write(json, fields.toMap[String, Any], fields.map(_._1))
    json.close()
    out.toByteArray
  }

  private def fields(parser: JsonParser): Map[String, Any] = {
    val found = mutable.LinkedHashMap.empty[String, Any]
    while (parser.nextToken() != JsonToken.END_OBJECT) {
      val name = parser.currentName()
      parser.nextToken()
      found(name) = value(parser)
    }
    found.toMap
  }

  private def elements(parser: JsonParser): Seq[Any] = {
    val found = mutable.ArrayBuffer.empty[Any]
    while (parser.nextToken() != JsonToken.END_ARRAY) found += value(parser)
    found.toSeq
  }

  private def value(parser: JsonParser): Any = parser.currentToken() match {
    case JsonToken.START_OBJECT => fields(parser)
    case JsonToken.START_ARRAY => elements(parser)
    case JsonToken.VALUE_STRING => parser.getText
    case JsonToken.VALUE_NUMBER_INT => parser.getLongValue
    case JsonToken.VALUE_NUMBER_FLOAT => parser.getDoubleValue
    case JsonToken.VALUE_TRUE => true
    case JsonToken.VALUE_FALSE => false
    case _ => null
  }

  private def write(json: JsonGenerator, fields: Map[String, Any], order: Seq[String]): Unit = {
    json.writeStartObject()
    order.foreach { name =>
      json.writeFieldName(name)
      fields(name) match {
        case null => json.writeNull()
        case flag: Boolean => json.writeBoolean(flag)
        case number: Int => json.writeNumber(number)
        case number: Long => json.writeNumber(number)
        case items: Seq[_] =>
          json.writeStartArray()
          items.foreach(item => json.writeString(item.toString))
          json.writeEndArray()
        case other => json.writeString(other.toString)
      }
    }
    json.writeEndObject()
  }
}
