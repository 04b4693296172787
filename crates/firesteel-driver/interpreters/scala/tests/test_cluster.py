"""What only executors of their own can show: classes of the REPL fetched over the network, and the end of Spark itself."""

import os
import unittest

from driver import Jvm


def setUpModule():
    global jvm
    jvm = Jvm(conf={"spark.master": "local-cluster[1,2,1024]"}, env_more={"SPARK_SCALA_VERSION": os.environ.get("SPARK_SCALA_VERSION", "2.13")})


class Cluster(unittest.TestCase):
    def test_classes_of_two_contexts_and_then_the_end_of_spark(self):
        one, two = jvm.open("scala", "1"), jvm.open("scala", "2")
        one.run("case class P(a: Int)\ncase class Q(p: P)")
        two.run("case class P(b: String)")
        self.assertEqual(one.run("sc.parallelize(1 to 2).map(P(_)).collect").text, "res0: Array[P] = Array(P(1), P(2))")
        self.assertEqual(two.run("sc.parallelize(1 to 2).map(n => P(n.toString)).collect").text, "res0: Array[P] = Array(P(1), P(2))")
        self.assertEqual(one.run("Seq(P(1)).toDS.map(p => Q(p)).collect").text, "res1: Array[Q] = Array(Q(P(1)))")
        self.assertEqual(two.run('Seq(P("1")).toDS.map(p => p.b + "!").collect').text, "res1: Array[String] = Array(1!)")
        one.run("sc.stop()")
        self.assertIn("stopped", jvm.expect("spark_stopped")["reason"])
        self.assertEqual(jvm.stop("input"), 0)


if __name__ == "__main__":
    unittest.main()
