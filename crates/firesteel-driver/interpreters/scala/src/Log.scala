// Lines for the driver's log, which is this process's standard error as it was at start.
package firesteel

object Log {
  private val out = System.err

  def info(message: String): Unit = out.println(s"firesteel: $message")

  def warn(message: String): Unit = out.println(s"firesteel: warning: $message")

  def warn(message: String, cause: Throwable): Unit = {
    warn(s"$message: $cause")
    cause.printStackTrace(out)
  }
}
