// The names user code in Scala finds defined: `spark`, `sc`, `sqlContext`, `dbutils`, `display`, `displayHTML`.
//
// An interpreter is made before it belongs to a context, so the names are lazy: the code that defines them is compiled once, when the
// interpreter is made, and looks its notebook up by number at first use.
package firesteel

import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.atomic.AtomicLong

import scala.runtime.ScalaRunTime
import scala.util.control.ControlThrowable

import org.apache.spark.SparkContext
import org.apache.spark.sql.{Dataset, SparkSession}

final class Notebook private (val number: Long, spark: () => Sessions, limits: () => Limits) {
  private var context: String = _
  private var shown: Outcome = _
  private[firesteel] var failed: Throwable = _

  def session: SparkSession = spark().of(context)
  def sparkContext: SparkContext = spark().spark
  def lastException: Throwable = failed
  val dbutils = new DbUtils(() => sparkContext)

  /** The last call of a command wins; a table is fetched at once, so that what it shows is what was so. */
  def display(value: Any): Unit = shown = value match {
    case data: Dataset[_] => Outcome.Table(Table.encode(data, limits().rowsMax, limits().tableBytesMax))
    case other => Outcome.Text(ScalaRunTime.stringOf(other, Notebook.ElementsMax).take(limits().textCharsMax))
  }

  def displayHTML(html: String): Unit = shown = Outcome.Text(html)

  private[firesteel] def bind(to: String): Unit = context = to

  /** What was displayed since the last call, or null. */
  private[firesteel] def takeShown(): Outcome = {
    val last = shown
    shown = null
    last
  }

  private[firesteel] def close(): Unit = Notebook.open.remove(number)

  /** The code that defines the names. One text, because each compilation of its own costs as much as all of it. */
  private[firesteel] def prelude: String = {
    val self = s"_root_.firesteel.Notebook.of(${number}L)"
    s"""
    |@transient lazy val spark: _root_.org.apache.spark.sql.SparkSession = $self.session
    |@transient lazy val sc: _root_.org.apache.spark.SparkContext = $self.sparkContext
    |@transient lazy val sqlContext: _root_.org.apache.spark.sql.SQLContext = spark.sqlContext
    |@transient lazy val dbutils: _root_.firesteel.DbUtils = $self.dbutils
    |def display(value: Any): Unit = $self.display(value)
    |def displayHTML(html: String): Unit = $self.displayHTML(html)
    |def lastException: Throwable = $self.lastException
    |import spark.implicits._
    |import spark.sql
    |import _root_.org.apache.spark.sql.functions._
    |import _root_.org.apache.spark.SparkContext._
    |""".stripMargin
  }
}

object Notebook {
  private val ElementsMax = 1000
  private val open = new ConcurrentHashMap[Long, Notebook]
  private val numbers = new AtomicLong

  def apply(spark: () => Sessions, limits: () => Limits): Notebook = {
    val notebook = new Notebook(numbers.incrementAndGet(), spark, limits)
    open.put(notebook.number, notebook)
    notebook
  }

  /** Called by the prelude. */
  def of(number: Long): Notebook = open.get(number)
}

/** What notebooks expect of `dbutils` in Scala. */
final class DbUtils(spark: () => SparkContext) {
  val fs = new FileUtils(() => spark().hadoopConfiguration)
  val secrets: SecretUtils = SecretUtils()
  val notebook = new DbUtils.NotebookUtils
}

object DbUtils {
  /** Ends the command, with the value as its whole answer. */
  final class Exit(val value: String) extends ControlThrowable

  final class NotebookUtils {
    def exit(value: String): Nothing = throw new Exit(value)
  }
}
