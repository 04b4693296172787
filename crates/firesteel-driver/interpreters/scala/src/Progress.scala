// How far the Spark jobs of each context are, told to the driver while they run.
//
// A job is its context's by the job group, or, where user code has set a group of its own, by a local property that threads hand
// on. By that property the jobs of a streaming query are their context's too; they count as begun when the query did, so that a
// later command is not told of them.
package firesteel

import scala.collection.mutable

import org.apache.spark.Success
import org.apache.spark.scheduler._

object Progress {
  /** Names the context in the properties of its jobs. */
  val Property = "firesteel.context"

  private val GroupProperty = "spark.jobGroup.id"
  private val QueryProperty = "sql.streaming.queryId"

  /** How long what has changed is gathered after something was told. */
  private val PauseMs = 100L

  /** Jobs followed at a time, and streaming queries known; the oldest make room. Spark may lose the end of one under load. */
  private val KeptMax = 1000

  private final class Stage(var tasks: Int) {
    var done = 0
    var isOver = false
  }

  private final class Job(val id: Int, val context: String, val began: Long, val stages: Map[Int, Stage]) {
    var isOver = false

    /** Stages whose results were there already are never begun. */
    def dropSkipped(): Map[Int, Stage] = stages.filter(_._2.isOver)
  }

  /** The context that a job's properties name, or null. */
  private def contextOf(properties: java.util.Properties): String = {
    def property(name: String) = if (properties == null) null else properties.getProperty(name)
    val prefix = Sessions.group("")
    (property(Property), property(GroupProperty)) match {
      case (null, group) if group != null && group.startsWith(prefix) => group.substring(prefix.length)
      case (context, _) => context
    }
  }

  private final class Bounded[K, V] extends java.util.LinkedHashMap[K, V] {
    override def removeEldestEntry(eldest: java.util.Map.Entry[K, V]): Boolean = size > KeptMax
  }
}

final class Progress(tell: Seq[(String, Any)] => Unit) extends SparkListener {
  import Progress._

  private val jobs = new Bounded[Int, Job]
  private val jobOfStage = mutable.HashMap.empty[Int, Job]
  private val queries = new Bounded[String, Long]
  private val changed = mutable.LinkedHashSet.empty[Job]

  Agent.daemon("firesteel-progress") { while (true) tellChanged() }

  override def onJobStart(start: SparkListenerJobStart): Unit = {
    val context = contextOf(start.properties)
    if (context != null) synchronized {
      // A run of a query has a job group of its own.
      val isQuery = start.properties.getProperty(QueryProperty) != null
      val began = if (isQuery) queries.computeIfAbsent(start.properties.getProperty(GroupProperty), _ => start.time) else start.time
      val stages = start.stageInfos.map(info => info.stageId -> new Stage(info.numTasks)).toMap
      val job = new Job(start.jobId, context, began, stages)
      jobs.put(job.id, job)
      stages.keys.foreach(stage => jobOfStage(stage) = job)
      change(job)
    }
  }

  override def onTaskEnd(end: SparkListenerTaskEnd): Unit = synchronized {
    if (end.reason == Success)
      of(end.stageId).foreach { case (job, stage) =>
        stage.done = math.min(stage.done + 1, stage.tasks)
        change(job)
      }
  }

  override def onStageCompleted(completed: SparkListenerStageCompleted): Unit = synchronized {
    val info = completed.stageInfo
    if (info.failureReason.isEmpty)
      of(info.stageId).foreach { case (job, stage) =>
        stage.done = stage.tasks
        stage.isOver = true
        change(job)
      }
  }

  override def onJobEnd(end: SparkListenerJobEnd): Unit = synchronized {
    Option(jobs.remove(end.jobId)).foreach { job =>
      job.stages.keys.foreach(stage => if (jobOfStage.get(stage).contains(job)) jobOfStage.remove(stage))
      val ended = if (end.jobResult == JobSucceeded) new Job(job.id, job.context, job.began, job.dropSkipped()) else job
      ended.isOver = true
      changed.remove(job)
      change(ended)
    }
  }

  private def of(stage: Int): Option[(Job, Stage)] =
    jobOfStage.get(stage).flatMap(job => job.stages.get(stage).map(job -> _))

  private def change(job: Job): Unit = {
    if (changed.isEmpty) notifyAll()
    changed.add(job)
  }

  private def tellChanged(): Unit = {
    val messages = synchronized {
      while (changed.isEmpty) wait()
      val all = changed.toSeq.map(message)
      changed.clear()
      all
    }
    messages.foreach(tell)
    Thread.sleep(PauseMs)
  }

  private def message(job: Job): Seq[(String, Any)] = {
    val stages = job.stages.values
    Seq(
      "type" -> "progress", "context" -> job.context, "job" -> job.id, "began_ms" -> job.began,
      "stages" -> stages.size, "stages_done" -> stages.count(_.isOver),
      "tasks" -> stages.map(_.tasks).sum, "tasks_done" -> stages.map(_.done).sum, "over" -> job.isOver)
  }
}
