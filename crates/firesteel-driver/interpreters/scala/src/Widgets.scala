// `dbutils.widgets`: named values. There is no page to show them on, so a widget holds its default until it is removed. The values are the
// context's: a widget that was made in Python is there in Scala.
package firesteel

import java.util.{Collections, LinkedHashMap, Map => JMap}

import scala.collection.JavaConverters._

object Widgets {
  /** The values of one context, which its languages share. */
  def values(): JMap[String, String] = Collections.synchronizedMap(new LinkedHashMap[String, String])
}

final class Widgets(values: JMap[String, String]) {
  def text(name: String, defaultValue: String, label: String = null): Unit = values.putIfAbsent(name, defaultValue)

  def dropdown(name: String, defaultValue: String, choices: Seq[String], label: String = null): Unit = {
    if (choices.nonEmpty && !choices.contains(defaultValue)) fail(s"`$defaultValue` is not one of the choices of `$name`")
    text(name, defaultValue)
  }

  def combobox(name: String, defaultValue: String, choices: Seq[String], label: String = null): Unit = text(name, defaultValue)

  def multiselect(name: String, defaultValue: String, choices: Seq[String], label: String = null): Unit =
    dropdown(name, defaultValue, choices)

  def get(name: String): String = {
    val value = values.get(name)
    if (value == null) fail(s"no widget is named `$name`") else value
  }

  /** The widget's value, or the default where there is no such widget. */
  def getArgument(name: String, defaultValue: String = null): String =
    if (values.containsKey(name) || defaultValue == null) get(name) else defaultValue

  def getAll: Map[String, String] = values.synchronized(values.asScala.toMap)

  def remove(name: String): Unit = values.remove(name)

  def removeAll(): Unit = values.clear()

  private def fail(why: String): Nothing = throw new IllegalArgumentException(s"dbutils.widgets: $why")
}
