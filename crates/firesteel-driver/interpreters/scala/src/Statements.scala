// SQL text as single statements. Spark's own lexer finds the semicolons, so quotes, comments and raw strings are what the installed Spark
// takes them for.
package firesteel

import scala.collection.mutable
import scala.util.Try

import org.antlr.v4.runtime.{CharStreams, Token}
import org.apache.spark.sql.catalyst.parser.SqlBaseLexer

object Statements {
  /** The statements of a text, in order and without the semicolons between them. `parses` tells whether Spark takes a text as one
    * statement: a script in `BEGIN … END` has semicolons of its own. */
  def split(text: String, parses: String => Boolean): Seq[String] =
    if (text.indexOf(';') < 0) Seq(text).filterNot(isBlank)
    else pieces(text) match {
      case Seq(one) => Seq(one)
      case Seq() => Nil
      case _ if parses(text) => Seq(text)
      case several => joinScripts(several, parses)
    }

  private def pieces(text: String): Seq[String] = {
    val found = mutable.ArrayBuffer.empty[String]
    var from = 0
    var hasCode = false
    tokens(text).foreach { token =>
      if (token.getType == SqlBaseLexer.SEMICOLON) {
        val at = text.offsetByCodePoints(0, token.getStartIndex)
        if (hasCode) found += text.substring(from, at)
        from = at + 1
        hasCode = false
      } else if (token.getChannel == Token.DEFAULT_CHANNEL) hasCode = true
    }
    if (hasCode) found += text.substring(from)
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
  private def joinScripts(pieces: Seq[String], parses: String => Boolean): Seq[String] = {
    val found = mutable.ArrayBuffer.empty[String]
    var at = 0
    while (at < pieces.length) {
      val end = if (beginsScript(pieces(at))) scriptEnd(pieces, at, parses) else at + 1
      found += pieces.slice(at, end).mkString(";")
      at = end
    }
    found.toSeq
  }

  private def scriptEnd(pieces: Seq[String], from: Int, parses: String => Boolean): Int =
    (from + 1 to pieces.length).find(end => Try(parses(pieces.slice(from, end).mkString(";"))).getOrElse(false)).getOrElse(from + 1)

  private def beginsScript(piece: String): Boolean =
    tokens(piece).find(_.getChannel == Token.DEFAULT_CHANNEL).exists(_.getText == "BEGIN")
}
