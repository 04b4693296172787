// How a command ended, as `done` tells it.
package firesteel

import java.io.ByteArrayOutputStream
import java.nio.charset.StandardCharsets.UTF_8
import java.util.Base64

sealed trait Outcome {
  def name: String
  def payload: Array[Byte]
}

object Outcome {
  /** The echo. `alone` drops what was printed. */
  final case class Text(text: String, alone: Boolean = false) extends Outcome {
    def name = "text"
    def payload: Array[Byte] = text.getBytes(UTF_8)
  }

  /** A `results` object, already in JSON. */
  final case class Table(results: Array[Byte]) extends Outcome {
    def name = "table"
    def payload: Array[Byte] = results
  }

  /** PNG files; what was printed is put beside them by the driver. */
  final case class Images(pictures: Seq[Array[Byte]]) extends Outcome {
    def name = "images"
    def payload: Array[Byte] = {
      val out = new ByteArrayOutputStream
      val json = Json.generator(out)
      json.writeStartObject()
      json.writeNullField("data")
      json.writeArrayFieldStart("fileNames")
      pictures.foreach(png => json.writeString("data:image/png;base64," + Base64.getEncoder.encodeToString(png)))
      json.writeEndArray()
      json.writeStringField("resultType", "images")
      json.writeEndObject()
      json.close()
      out.toByteArray
    }
  }

  final case class Error(summary: String, cause: String) extends Outcome {
    def name = "error"
    def payload: Array[Byte] = {
      val out = new ByteArrayOutputStream(summary.length + cause.length + 64)
      val json = Json.generator(out)
      json.writeStartObject()
      json.writeStringField("resultType", "error")
      json.writeStringField("summary", summary)
      json.writeStringField("cause", cause)
      json.writeEndObject()
      json.close()
      out.toByteArray
    }
  }

  case object Cancelled extends Outcome {
    def name = "cancelled"
    def payload: Array[Byte] = null
  }

  val Nothing: Outcome = Text("")
}
