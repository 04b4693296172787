// `dbutils.secrets`: asks the server, by way of the driver. A value that was asked for is taken out of what is printed.
package firesteel

import java.nio.charset.StandardCharsets.UTF_8
import java.util.Base64
import java.util.concurrent.{CompletableFuture, ConcurrentHashMap, ExecutionException, TimeUnit, TimeoutException}
import java.util.concurrent.atomic.AtomicLong

import scala.collection.JavaConverters._

final case class SecretScope(name: String) {
  def getName: String = name
}

final case class SecretMetadata(key: String)

/** The questions that wait for an answer, whichever thread asked them. */
final class SecretAsks(send: Seq[(String, Any)] => Unit) {
  private val DeadlineSeconds = 30L
  private val waiting = new ConcurrentHashMap[Long, CompletableFuture[Message]]
  private val numbers = new AtomicLong

  /** Asks and waits. */
  def ask(what: (String, Any)*): Message = {
    val number = numbers.incrementAndGet()
    val answer = new CompletableFuture[Message]
    waiting.put(number, answer)
    try {
      send(Seq[(String, Any)]("type" -> "secret_ask", "ask" -> number) ++ what)
      answer.get(DeadlineSeconds, TimeUnit.SECONDS)
    } catch {
      case _: TimeoutException => throw new IllegalStateException("dbutils.secrets: the server did not answer")
      case failed: ExecutionException => throw failed.getCause
    } finally waiting.remove(number)
  }

  /** An answer came. */
  def answered(message: Message): Unit = {
    val number = message.fields.get("ask") match {
      case Some(number: Long) => number
      case _ => 0L
    }
    val answer = waiting.get(number)
    if (answer != null) message.textOrNull("error") match {
      case null => answer.complete(message)
      case why => answer.completeExceptionally(new IllegalArgumentException(why))
    }
  }
}

/** What user code knows as `dbutils.secrets`; Python's calls the same functions. */
final class SecretUtils(asks: () => SecretAsks) {
  def get(scope: String, key: String): String = new String(getBytes(scope, key), UTF_8)

  def getBytes(scope: String, key: String): Array[Byte] =
    Base64.getDecoder.decode(asks().ask("what" -> "get", "scope" -> scope, "key" -> key).text("value"))

  def list(scope: String): Seq[SecretMetadata] = names(asks().ask("what" -> "list", "scope" -> scope)).map(SecretMetadata(_))

  def listScopes(): Seq[SecretScope] = names(asks().ask("what" -> "scopes")).map(SecretScope(_))

  def help(): Unit = println("dbutils.secrets: get, getBytes, list, listScopes")

  /** For Python. */
  def keys(scope: String): java.util.List[String] = list(scope).map(_.key).asJava
  def scopes(): java.util.List[String] = listScopes().map(_.name).asJava

  private def names(answer: Message): Seq[String] =
    answer.fields.getOrElse("names", Nil).asInstanceOf[Seq[Any]].map(_.toString)
}

/** The one way to ask, which is there before Spark is; set by the control connection. */
object SecretUtils {
  @volatile private[firesteel] var asks: SecretAsks = _

  def apply(): SecretUtils = new SecretUtils(() =>
    if (asks == null) throw new IllegalStateException("dbutils.secrets: there is no server to ask") else asks)
}
