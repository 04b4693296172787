// What Spark keeps to itself of its backends and of its standalone Master and Worker. This file and `JdbcStatements` live in packages of Spark's.
package org.apache.spark.deploy.firesteel

import org.apache.hadoop.security.{Credentials, UserGroupInformation}
import org.apache.spark.{ExecutorAllocationClient, SecurityManager, SparkConf, SparkContext}
import org.apache.spark.deploy.DeployMessages.{MasterStateResponse, RequestMasterState, RequestWorkerState, WorkerStateResponse}
import org.apache.spark.deploy.master.Master
import org.apache.spark.deploy.worker.Worker
import org.apache.spark.rpc.{RpcAddress, RpcEndpoint, RpcEnv, ThreadSafeRpcEndpoint}
import org.apache.spark.scheduler.{ExecutorDecommissionInfo, TaskSchedulerImpl}
import org.apache.spark.ui.WebUI

object Backend {
  private def client(spark: SparkContext): Option[ExecutorAllocationClient] = spark.schedulerBackend match {
    case client: ExecutorAllocationClient => Some(client)
    case _ => None
  }

  /** The executors that are there, in the order in which they can be done without: those on their way out, then those that run least, then
    * the youngest. */
  def executors(spark: SparkContext): Seq[String] = {
    val running = spark.taskScheduler match {
      case tasks: TaskSchedulerImpl => tasks.runningTasksByExecutors
      case _ => Map.empty[String, Int]
    }
    client(spark).toSeq.flatMap { client =>
      val youngest = client.getExecutorIds().sortBy(id => (id.length, id)).reverse
      youngest.sortBy(id => (client.isExecutorActive(id), running.getOrElse(id, 0)))
    }
  }

  /** Has executors finish what they run, hand their blocks to others, and end. */
  def letGo(spark: SparkContext, executors: Seq[String]): Unit = {
    val why = ExecutorDecommissionInfo("the cluster gets smaller")
    client(spark).filter(_ => executors.nonEmpty).foreach(
      _.decommissionExecutors(executors.map(_ -> why).toArray, adjustTargetNumExecutors = false, triggeredByExecutor = false))
  }

  /** Tells the Master once more how many executors are wanted: what it was told is not among what it writes down for the one that follows it.
    * False where it does not know this application; an exception where it is gone. */
  def tellMaster(spark: SparkContext, wanted: Option[Int]): Boolean = wanted match {
    case Some(executors) => spark.requestTotalExecutors(executors, 0, Map.empty)
    case None if spark.executorAllocationManager.isDefined => client(spark).exists(_.requestExecutors(0))
    case None => spark.requestTotalExecutors(Int.MaxValue, 0, Map.empty) // no bound, as when it started
  }

  /** Has `ended` called when a connection ends that may be one to a standalone Master. */
  def watchMaster(spark: SparkContext)(ended: () => Unit): Unit = if (spark.master.startsWith(Scheme)) {
    val ports = spark.master.stripPrefix(Scheme).split(',').map(address => RpcAddress.fromSparkURL(Scheme + address).port)
    spark.env.rpcEnv.setupEndpoint("firesteel-master", new ThreadSafeRpcEndpoint {
      override val rpcEnv: RpcEnv = spark.env.rpcEnv
      override def onDisconnected(remote: RpcAddress): Unit = if (ports.contains(remote.port)) ended()
    })
  }

  private val Scheme = "spark://"

  /** What is to be done when Spark is up.
    *
    * The secret moves from the configuration, which user code reads, to where Spark looks first. And bounds of dynamic allocation that are
    * equal are a size: it was asked for, and nobody but a resize changes it. */
  def settle(spark: SparkContext): Unit = {
    spark.conf.getOption(SecurityManager.SPARK_AUTH_SECRET_CONF).foreach { secret =>
      val credentials = new Credentials()
      credentials.addSecretKey(SecurityManager.SECRET_LOOKUP_KEY, secret.getBytes("UTF-8"))
      UserGroupInformation.getCurrentUser.addCredentials(credentials)
      spark.conf.remove(SecurityManager.SPARK_AUTH_SECRET_CONF)
    }
    def bound(name: String) = spark.conf.getOption(s"spark.dynamicAllocation.${name}Executors")
    if (bound("min").isDefined && bound("min") == bound("max")) spark.executorAllocationManager.foreach(_.stop())
  }

  /** Starts a standalone Master; its address, as `spark://host:port`. */
  def startMaster(conf: SparkConf, host: String, port: Int): String = {
    val security = new SecurityManager(conf)
    val rpc = RpcEnv.create(Master.SYSTEM_NAME, host, port, conf, security)
    val master = new Master(rpc, rpc.address, 0, security, conf)
    rpc.setupEndpoint(Master.ENDPOINT_NAME, master).askSync[MasterStateResponse](RequestMasterState)
    closePages(master)
    s"spark://${rpc.address.hostPort}"
  }

  /** Starts a standalone Worker; its address. */
  def startWorker(conf: SparkConf, host: String, master: String, cores: Int, memoryMb: Int, folder: String): String = {
    val security = new SecurityManager(conf)
    val rpc = RpcEnv.create("sparkWorker", host, 0, conf, security)
    val masters = Array(RpcAddress.fromSparkURL(master))
    val worker = new Worker(rpc, 0, cores, memoryMb, masters, "Worker", folder, conf, security)
    rpc.setupEndpoint("Worker", worker).askSync[WorkerStateResponse](RequestWorkerState)
    closePages(worker)
    s"spark://${rpc.address.hostPort}"
  }

  /** Nobody has to prove anything on Spark's pages, and those of a Master and a Worker cannot be left out: they are stopped. */
  private def closePages(endpoint: RpcEndpoint): Unit = {
    val pages = endpoint.getClass.getDeclaredMethods.filter(method => method.getName.endsWith("webUi") && method.getParameterCount == 0)
    if (pages.isEmpty) throw new IllegalStateException("this Spark's pages cannot be found, and so not be closed")
    pages.foreach { method =>
      method.setAccessible(true)
      method.invoke(endpoint).asInstanceOf[WebUI].stop()
    }
  }
}
