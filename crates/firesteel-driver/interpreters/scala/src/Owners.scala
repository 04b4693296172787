// Whose code a thread runs: which interpreter hears what it prints, and which command's cancel stops it.
//
// An interpreter's own thread is its own. A thread that user code started is the command's that started it. The threads of a pool that all
// share, such as that of Scala's futures, began in whichever context asked first: of theirs the code tells.
package firesteel

import java.util.concurrent.{ConcurrentHashMap, ForkJoinWorkerThread}
import java.util.concurrent.atomic.AtomicInteger

/** Defines the classes of one interpreter's code. */
trait OwnedLoader { this: ClassLoader =>
  /** The number that the interpreter registers under. */
  def owner: Int
}

object Owners {
  private val numbers = new AtomicInteger
  private val interpreters = new ConcurrentHashMap[Int, Interpreter]
  private val starter = new InheritableThreadLocal[Interpreter]
  private val command = new InheritableThreadLocal[Turn]
  private val walker = StackWalker.getInstance(StackWalker.Option.RETAIN_CLASS_REFERENCE)

  def newNumber(): Int = numbers.incrementAndGet()
  def register(number: Int, interpreter: Interpreter): Unit = interpreters.put(number, interpreter)
  def forget(number: Int): Unit = interpreters.remove(number)

  /** Marks the calling thread, and every thread it starts, as belonging to an interpreter. */
  def enter(interpreter: Interpreter): Unit = starter.set(interpreter)

  /** The threads that the calling one starts from now on are this command's. */
  def begin(turn: Turn): Unit = command.set(turn)

  /** The interpreter that hears what the calling thread prints, or null. */
  def current: Interpreter = {
    val began = starter.get
    if (began == null || began.isRunner(Thread.currentThread)) began
    else {
      val ofCode = byCode
      if (ofCode != null || isShared(Thread.currentThread)) ofCode else began
    }
  }

  /** Whether code of this owner on the calling thread should stop: its command is cancelled, or its interpreter has ended. */
  def mustStop(owner: Int): Boolean = {
    val interpreter = interpreters.get(owner)
    interpreter != null && {
      val thread = Thread.currentThread
      if (interpreter.isRunner(thread)) interpreter.mustStop
      else if (isShared(thread)) interpreter.hasEnded || wasCancelled(interpreter.lastTurn)
      else interpreter.hasEnded || wasCancelled(command.get)
    }
  }

  private def wasCancelled(turn: Turn): Boolean = turn != null && turn.cancelAsked

  private def isShared(thread: Thread): Boolean = thread.isInstanceOf[ForkJoinWorkerThread]

  private def byCode: Interpreter = {
    val loaders = walker.walk[java.util.Optional[ClassLoader]](
      _.map[ClassLoader](_.getDeclaringClass.getClassLoader).filter(_.isInstanceOf[OwnedLoader]).findFirst)
    if (loaders.isPresent) interpreters.get(loaders.get.asInstanceOf[OwnedLoader].owner) else null
  }
}
