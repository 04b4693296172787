// The Scala REPL and a Spark session without a server: executes one line each time a line asks for it, and answers with nanoseconds.
//
//   scala   `IMain.interpret("1+1")`
//   spin    a loop of a billion turns
//   sql     `spark.sql("select 1").collect()`

import java.io.{File, PrintStream, PrintWriter, Writer}
import java.nio.file.Files

import scala.io.Source
import scala.tools.nsc.Settings
import scala.tools.nsc.interpreter.{IMain, Results}
import scala.tools.nsc.interpreter.shell.{ReplReporterImpl, ShellConfig}

import org.apache.spark.sql.SparkSession

object Bare {
  def main(args: Array[String]): Unit = {
    val answers = System.out
    // Nothing but the answers is printed there.
    System.setOut(new PrintStream(System.err, true))
    val spark = SparkSession.builder()
      .master("local[*]")
      .config("spark.ui.enabled", "false")
      .config("spark.driver.bindAddress", "127.0.0.1")
      .getOrCreate()
    // As `spark-shell` has it: quiet, and its classes where executors can fetch them.
    spark.sparkContext.setLogLevel("WARN")
    val classes = Files.createTempDirectory("bare")
    val settings = new Settings
    val classPath = sys.props("java.class.path")
    settings.processArguments(List("-Yrepl-class-based", "-Yrepl-outdir", classes.toString, "-classpath", classPath), processAll = true)
    val reporter = new ReplReporterImpl(ShellConfig(settings), settings, new PrintWriter(Writer.nullWriter))
    val repl = new IMain(settings, None, settings, reporter)

    require(repl.interpret("def spin(): Long = { var i = 0L; var sum = 1L; while (i < 1000000000L) { sum = sum * 31 + i; i += 1 }; sum }") == Results.Success)

    val what = Map[String, () => Unit](
      "scala" -> (() => require(repl.interpret("1+1") == Results.Success)),
      "spin" -> (() => require(repl.interpret("spin()") == Results.Success)),
      "sql" -> (() => require(spark.sql("select 1").collect().head.getInt(0) == 1)))
    answers.println("ready")
    Source.stdin.getLines().foreach { line =>
      val execute = what(line.trim)
      val begun = System.nanoTime()
      execute()
      answers.println(System.nanoTime() - begun)
    }
    spark.stop()
    delete(classes.toFile)
    System.exit(0)
  }

  private def delete(file: File): Unit = {
    Option(file.listFiles).foreach(_.foreach(delete))
    file.delete()
  }
}
