// SQL text as single statements. Spark's own lexer finds the semicolons, so quotes, comments and raw strings are what the installed Spark
// takes them for.
package firesteel

import scala.collection.mutable
import scala.util.Try
import scala.util.matching.Regex

import org.antlr.v4.runtime.{CharStreams, Token}
import org.apache.spark.sql.catalyst.parser.SqlBaseLexer

/** One statement and where it begins in its text: lines and columns before it. */
final case class Statement(text: String, line: Int = 0, column: Int = 0) {
  /** What Spark says of this statement, with its places as those in the whole text. */
  def placed(message: String): String =
    if (line == 0 && column == 0) message
    else Statement.Place.replaceAllIn(message, found => {
      val at = found.group(2).toInt
      val shifted = found.group(4).toInt + (if (at == 1) column else 0)
      Regex.quoteReplacement(s"${found.group(1)}${at + line}${found.group(3)}$shifted")
    })
}

object Statement {
  /** The three forms of a place: of the parser, of the analyser, and of an expression that failed. */
  private val Place = """((?<=\()line |(?<=; )line |(?<=== SQL \()line )(\d+)(, pos | pos |, position )(\d+)""".r
}

object Statements {
  /** The statements of a text, in order and without the semicolons between them. `parses` tells whether Spark takes a text as one
    * statement: a script in `BEGIN … END` has semicolons of its own. */
  def split(text: String, parses: String => Boolean): Seq[Statement] =
    if (text.indexOf(';') < 0) Seq(Statement(text)).filterNot(whole => isBlank(whole.text))
    else pieces(text) match {
      case Seq() => Nil
      case Seq(one) => Seq(one)
      case _ if parses(text) => Seq(Statement(text))
      case several => joinScripts(several, parses)
    }

  /** From the first code of each to the semicolon. */
  private def pieces(text: String): Seq[Statement] = {
    val found = mutable.ArrayBuffer.empty[Statement]
    var from, at, points = 0
    var first: Token = null
    def place(token: Token): Int = {
      at = text.offsetByCodePoints(at, token.getStartIndex - points)
      points = token.getStartIndex
      at
    }
    def end(at: Int): Unit = if (first != null) {
      found += Statement(text.substring(from, at), first.getLine - 1, first.getCharPositionInLine)
      first = null
    }
    tokens(text).foreach { token =>
      if (token.getType == SqlBaseLexer.SEMICOLON) end(place(token))
      else if (first == null && token.getChannel == Token.DEFAULT_CHANNEL) {
        first = token
        from = place(token)
      }
    }
    end(text.length)
    found.toSeq
  }

  private def isBlank(text: String): Boolean = tokens(text).forall(_.getChannel != Token.DEFAULT_CHANNEL)

  /** The lexer's keywords are upper case; letters outside ASCII keep their place and length. */
  private def tokens(text: String): Iterator[Token] = {
    val upper = text.map(char => if (char >= 'a' && char <= 'z') (char - 32).toChar else char)
    val lexer = new SqlBaseLexer(CharStreams.fromString(upper))
    lexer.removeErrorListeners()
    Iterator.continually(lexer.nextToken()).takeWhile(_.getType != Token.EOF)
  }

  /** A piece that begins a script is joined with the following ones until Spark can read it. */
  private def joinScripts(pieces: Seq[Statement], parses: String => Boolean): Seq[Statement] = {
    val found = mutable.ArrayBuffer.empty[Statement]
    var at = 0
    while (at < pieces.length) {
      val end = if (beginsScript(pieces(at).text)) scriptEnd(pieces, at, parses) else at + 1
      found += pieces(at).copy(text = joined(pieces.slice(at, end)))
      at = end
    }
    found.toSeq
  }

  private def joined(pieces: Seq[Statement]): String = pieces.map(_.text).mkString(";")

  private def scriptEnd(pieces: Seq[Statement], from: Int, parses: String => Boolean): Int =
    (from + 1 to pieces.length).find(end => Try(parses(joined(pieces.slice(from, end)))).getOrElse(false)).getOrElse(from + 1)

  private def beginsScript(piece: String): Boolean =
    tokens(piece).find(_.getChannel == Token.DEFAULT_CHANNEL).exists(_.getText == "BEGIN")
}
