// The way on which Python functions tell their interpreter of accumulators: this class is Spark's own, and open to its packages only.
//
// Spark tells after every task, also where there is nothing to tell, and its one scheduling thread waits for the answer. A table's rest
// can run while its context's next command holds Python's lock; then the jobs of every context would wait for that command.
package org.apache.spark.api.firesteel

import java.util.{List => JList}

import org.apache.spark.SparkContext
import org.apache.spark.api.python.PythonAccumulatorV2
import org.apache.spark.util.AccumulatorV2

object Accumulators {
  /** The one of a Python interpreter, which listens there. */
  def register(spark: SparkContext, host: String, port: Int, token: String): PythonAccumulatorV2 = {
    val made = new Telling(host, port, token)
    spark.register(made)
    made
  }
}

/** Tells what there is. What travels to executors is a copy of the class above. */
private final class Telling(host: String, port: Int, token: String) extends PythonAccumulatorV2(host, port, token) {
  override def merge(other: AccumulatorV2[Array[Byte], JList[Array[Byte]]]): Unit = if (!other.isZero) super.merge(other)
}
