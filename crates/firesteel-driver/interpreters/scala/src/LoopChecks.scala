// Makes loops of user code cancellable. `while (true) {}` has no point at which an interrupt is noticed, so every class the REPL
// compiles gets, as it is loaded, a call to `check` at the entry of each method and before each backward jump. Unless a cancel
// is under way a check is one read of a volatile field. Calls that would end the process are changed on the way: see `Exits`.
//
// Only the copy in this process is changed: executors fetch the files the compiler wrote.
package firesteel

import java.util.concurrent.atomic.AtomicInteger

import scala.collection.mutable

import org.apache.spark.TaskContext
import org.apache.spark.TaskKilledException
import org.apache.xbean.asm9.{ClassReader, ClassVisitor, ClassWriter, Label, MethodVisitor, Opcodes}

object LoopChecks {
  @volatile private var armed = false
  private val cancels = new AtomicInteger

  /** Called from user code. Stops a thread of a command that is being cancelled, and a local task that was killed. */
  def check(owner: Int): Unit = if (armed) stopIfAsked(owner)

  /** Checks look closely from now on, until as many calls of `disarm`. */
  def arm(): Unit = { cancels.incrementAndGet(); armed = true }

  def disarm(): Unit = if (cancels.decrementAndGet() == 0) {
    armed = false
    if (cancels.get > 0) armed = true // a cancel that began in between
  }

  private def stopIfAsked(owner: Int): Unit = {
    if (Owners.mustStop(owner)) throw Turn.Stopped
    val task = TaskContext.get()
    if (task != null && task.isInterrupted()) throw new TaskKilledException("the command was cancelled")
  }

  /** Puts the checks into a class of this owner. */
  def instrument(bytes: Array[Byte], owner: Int): Array[Byte] = {
    val writer = new ClassWriter(ClassWriter.COMPUTE_MAXS)
    new ClassReader(bytes).accept(new CheckingClass(writer, owner), 0)
    writer.toByteArray
  }

  private final class CheckingClass(next: ClassVisitor, owner: Int) extends ClassVisitor(Opcodes.ASM9, next) {
    override def visitMethod(
        access: Int, name: String, descriptor: String, signature: String, exceptions: Array[String]): MethodVisitor =
      new CheckingMethod(new Exits.TrappedMethod(super.visitMethod(access, name, descriptor, signature, exceptions)), owner)
  }

  /** No frame changes by a call whose argument is pushed right before it and that has no result, so none has to be computed. */
  private final class CheckingMethod(next: MethodVisitor, owner: Int) extends MethodVisitor(Opcodes.ASM9, next) {
    private val passed = mutable.Set.empty[Label]

    override def visitCode(): Unit = { super.visitCode(); callCheck() }

    override def visitLabel(label: Label): Unit = { passed += label; super.visitLabel(label) }

    override def visitJumpInsn(opcode: Int, label: Label): Unit = {
      if (passed(label)) callCheck()
      super.visitJumpInsn(opcode, label)
    }

    override def visitTableSwitchInsn(min: Int, max: Int, default: Label, labels: Label*): Unit = {
      if (passed(default) || labels.exists(passed)) callCheck()
      super.visitTableSwitchInsn(min, max, default, labels: _*)
    }

    override def visitLookupSwitchInsn(default: Label, keys: Array[Int], labels: Array[Label]): Unit = {
      if (passed(default) || labels.exists(passed)) callCheck()
      super.visitLookupSwitchInsn(default, keys, labels)
    }

    private def callCheck(): Unit = {
      super.visitLdcInsn(Integer.valueOf(owner))
      super.visitMethodInsn(Opcodes.INVOKESTATIC, "firesteel/LoopChecks", "check", "(I)V", false)
    }
  }
}
