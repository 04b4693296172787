// What notebooks expect of `dbutils` in Scala. What cannot be done here is not there, so that the compiler says so.
package firesteel

import scala.util.control.ControlThrowable

import org.apache.spark.SparkContext

final class DbUtils(val widgets: Widgets, spark: () => SparkContext, askRestart: () => Unit) {
  val fs = new FileUtils(() => spark().hadoopConfiguration)
  val secrets: SecretUtils = SecretUtils()
  val notebook = new DbUtils.NotebookUtils
  val library = new DbUtils.LibraryUtils(askRestart)

  def help(): Unit = Console.println(DbUtils.Help)
  override def toString: String = "dbutils"
}

object DbUtils {
  private val Help =
    """dbutils.fs        files, through the cluster's file systems: ls, head, put, cp, mv, rm, mkdirs, mount, unmount, mounts
      |dbutils.notebook  exit(value): end the command, with the value as its result
      |dbutils.widgets   named values: text, dropdown, combobox, multiselect, get, getAll, remove, removeAll
      |dbutils.secrets   get, getBytes, list, listScopes; values are taken out of what is printed
      |dbutils.library   restartPython(): a fresh Python for this context, from the next command on""".stripMargin

  /** Ends the command, with the value as its whole answer. */
  final class Exit(val value: String) extends ControlThrowable

  final class NotebookUtils {
    def exit(value: String): Nothing = throw new Exit(value)
  }

  final class LibraryUtils(ask: () => Unit) {
    def restartPython(): Unit = ask()
  }
}
