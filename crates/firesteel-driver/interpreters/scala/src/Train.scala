// What a first user does, without any socket: run once with `-XX:ArchiveClassesAtExit`, it gives the archive of classes that later starts
// load from.
package firesteel

object Train {
  def run(launch: Launch): Unit = {
    val engines = new Engines(launch, (_, _) => ())
    engines.startSpark()
    val limits = Limits.Default
    val scala = engines.scalaInterpreter(limits)
    val sql = new SqlInterpreter(engines.sessions, limits)
    Seq(scala, sql).foreach(_.bind("1"))
    Seq(
      scala -> "1 + 1",
      scala -> "val squares = sc.parallelize(1 to 10).map(n => n * n).collect()",
      scala -> "case class Point(x: Int, y: Int)\ndisplay(Seq(Point(1, 2), Point(3, 4)).toDF.groupBy(\"x\").count())",
      sql -> "select 1 as a, 'b' as b, current_timestamp() as c",
      sql -> "select id % 3 as k, count(*) as n from range(1000) group by 1 order by 1").foreach { case (engine, code) =>
      val outcome = engine.run(new Turn("", code, null, Thread.currentThread))
      Log.info(s"$code\n    ${outcome.name} ${new String(outcome.payload, "UTF-8")}")
    }
    val gateways = new Gateways(engines.sessions, limits, new LateJobs(() => engines.spark))
    gateways.open("1")
    gateways.close("1")
    engines.spark.stop()
    System.exit(0)
  }
}
