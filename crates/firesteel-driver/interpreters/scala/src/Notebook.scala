// The names user code in Scala finds defined: `spark`, `sc`, `sqlContext`, `dbutils`, `display`, `displayHTML`, `getArgument`.
//
// An interpreter is made before it belongs to a context, so the names are lazy: the code that defines them is compiled once, when the
// interpreter is made, and looks its notebook up by number at first use.
package firesteel

import java.nio.file.Path
import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.atomic.AtomicLong

import scala.reflect.runtime.universe.TypeTag
import scala.util.Try

import org.apache.spark.SparkContext
import org.apache.spark.sql.{Encoders, SparkSession}

final class Notebook private (val number: Long, sessions: () => Sessions, limits: () => Limits) {
  private var context: String = _
  private var restartPython = false
  private val shown = new Shown(limits)
  private[firesteel] var failed: Throwable = _

  def session: SparkSession = sessions().of(context)
  def sparkContext: SparkContext = sessions().spark
  def lastException: Throwable = failed

  lazy val dbutils = new DbUtils(new Widgets(sessions().widgets(context)), () => sparkContext, () => restartPython = true)

  def display(value: Any): Unit = shown.show(value)

  /** A sequence of case objects is a table, if Spark can make one of them. */
  def displayAll[T <: Product](values: Seq[T], tag: TypeTag[T]): Unit =
    shown.show(Option(tag).flatMap(tag => Try(session.createDataset(values)(Encoders.product[T](tag))).toOption).getOrElse(values))

  def displayHTML(html: String): Unit = shown.html(html)

  private[firesteel] def bind(to: String): Unit = context = to

  /** A command begins: all rows of a table that it shows go to the file `result`, unless that is null. */
  private[firesteel] def begin(result: Path): Unit = shown.begin(result)

  /** What was displayed since the last call, or null. */
  private[firesteel] def takeShown(): Outcome = shown.take()

  /** What else is asked of the driver since the last call. */
  private[firesteel] def takeWishes(): Seq[(String, Any)] = {
    val asked = restartPython
    restartPython = false
    if (asked) Seq("restart_python" -> true) else Nil
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
    |def display[T <: Product](values: Seq[T])(implicit tag: _root_.scala.reflect.runtime.universe.TypeTag[T] = null): Unit =
    |  $self.displayAll(values, tag)
    |def displayHTML(html: String): Unit = $self.displayHTML(html)
    |def getArgument(name: String): String = dbutils.widgets.get(name)
    |def getArgument(name: String, defaultValue: String): String = dbutils.widgets.getArgument(name, defaultValue)
    |def lastException: Throwable = $self.lastException
    |import spark.implicits._
    |import spark.sql
    |import _root_.org.apache.spark.sql.functions._
    |import _root_.org.apache.spark.SparkContext._
    |""".stripMargin
  }
}

object Notebook {
  private val open = new ConcurrentHashMap[Long, Notebook]
  private val numbers = new AtomicLong

  def apply(sessions: () => Sessions, limits: () => Limits): Notebook = {
    val notebook = new Notebook(numbers.incrementAndGet(), sessions, limits)
    open.put(notebook.number, notebook)
    notebook
  }

  /** Called by the prelude. */
  def of(number: Long): Notebook = open.get(number)
}
