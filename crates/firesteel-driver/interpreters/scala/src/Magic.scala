// Notebook magics that reach an interpreter as they are.
package firesteel

object Magic {
  def isRun(source: String): Boolean = {
    val code = source.dropWhile(_.isWhitespace)
    code.startsWith("%run") && (code.length == 4 || code.charAt(4).isWhitespace)
  }

  def runRefused: Outcome =
    Failures.text("%run is not supported over this API: send the code of the other notebook as a command of its own")
}
