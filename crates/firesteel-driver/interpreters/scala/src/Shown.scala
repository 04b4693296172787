// What a command in Scala displayed so far. The last rich thing wins, pictures collect; everything else is printed.
package firesteel

import java.awt.image.{BufferedImage, RenderedImage}
import java.io.ByteArrayOutputStream
import java.nio.file.Path
import javax.imageio.ImageIO

import scala.runtime.ScalaRunTime

import org.apache.spark.sql.Dataset

final class Shown(limits: () => Limits) {
  private var last: Outcome = _
  private var result: Path = _

  /** Forgets what the command before showed. All rows of a table go to the file `result`, unless that is null. */
  def begin(result: Path): Unit = {
    last = null
    this.result = result
  }

  /** A table is fetched at once, so that what it shows is what was so. */
  def show(value: Any): Unit = value match {
    case data: Dataset[_] => last = Outcome.Table(Table.encode(data, limits(), result))
    case image: RenderedImage => picture(Shown.png(image))
    case other => Console.println(ScalaRunTime.stringOf(other, Shown.ElementsMax).take(limits().textCharsMax))
  }

  def html(text: String): Unit = last = Outcome.Text(text)

  def take(): Outcome = {
    val taken = last
    last = null
    taken
  }

  private def picture(png: Array[Byte]): Unit = {
    val before = last match {
      case Outcome.Images(pictures) => pictures
      case _ => Nil
    }
    val bytes = before.map(_.length.toLong).sum + png.length
    if (bytes > Shown.PictureBytesMax) throw new IllegalArgumentException(s"the pictures of a command have at most ${Shown.PictureBytesMax} bytes")
    last = Outcome.Images(before :+ png)
  }
}

object Shown {
  private val ElementsMax = 1000

  /** A payload frame has at most 64 MiB, and pictures grow by a third on their way into text. */
  private val PictureBytesMax = 40L << 20

  private def png(image: RenderedImage): Array[Byte] = {
    val out = new ByteArrayOutputStream
    if (!ImageIO.write(image, "png", out)) ImageIO.write(plain(image), "png", out)
    out.toByteArray
  }

  /** PNG does not have every model of colours; this one it has. */
  private def plain(image: RenderedImage): BufferedImage = {
    val copy = new BufferedImage(image.getWidth, image.getHeight, BufferedImage.TYPE_INT_ARGB)
    copy.createGraphics().drawRenderedImage(image, new java.awt.geom.AffineTransform)
    copy
  }
}
