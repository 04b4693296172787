// `System.exit` and its like in user code end the command, not the JVM: that is the cluster's, and all its contexts would be lost. Every class the
// REPL compiles calls `Exits` in their place. Code of libraries, which is not changed, still ends the JVM, and the cluster says so.
package firesteel

import scala.util.control.ControlThrowable

import org.apache.xbean.asm9.{MethodVisitor, Opcodes}

object Exits {
  /** In place of `System.exit`. */
  def ofSystem(status: Int): Unit = throw new Exited(s"System.exit($status)")

  /** In place of `exit` and `halt` of `Runtime`, which is on the stack. */
  def ofRuntime(runtime: Runtime, status: Int): Unit = throw new Exited(s"Runtime.exit($status)")

  /** In place of `scala.sys.exit`, whose package object is on the stack. */
  def ofSys(sys: Any, status: Int): Nothing = throw new Exited(s"sys.exit($status)")
  def ofSys(sys: Any): Nothing = ofSys(sys, 0)

  /** What is called in place of a method: same arguments, its object included, and same result. */
  private val traps = Map(
    ("java/lang/System", "exit", "(I)V") -> ("ofSystem", "(I)V"),
    ("java/lang/Runtime", "exit", "(I)V") -> ("ofRuntime", "(Ljava/lang/Runtime;I)V"),
    ("java/lang/Runtime", "halt", "(I)V") -> ("ofRuntime", "(Ljava/lang/Runtime;I)V"),
    ("scala/sys/package$", "exit", "(I)Lscala/runtime/Nothing$;") -> ("ofSys", "(Ljava/lang/Object;I)Lscala/runtime/Nothing$;"),
    ("scala/sys/package$", "exit", "()Lscala/runtime/Nothing$;") -> ("ofSys", "(Ljava/lang/Object;)Lscala/runtime/Nothing$;"))

  final class TrappedMethod(next: MethodVisitor) extends MethodVisitor(Opcodes.ASM9, next) {
    override def visitMethodInsn(opcode: Int, owner: String, name: String, descriptor: String, isInterface: Boolean): Unit =
      traps.get((owner, name, descriptor)) match {
        case Some((trap, like)) => super.visitMethodInsn(Opcodes.INVOKESTATIC, "firesteel/Exits", trap, like, false)
        case None => super.visitMethodInsn(opcode, owner, name, descriptor, isInterface)
      }
  }
}

/** Thrown where code would have ended the process. It is no `Exception`: code that catches those does not go on behind its exit. */
final class Exited(call: String) extends ControlThrowable {
  // A `ControlThrowable` keeps no frames.
  private val at = new Throwable().getStackTrace

  override def getMessage: String = s"$call ends this command; the JVM is shared by all contexts of the cluster and goes on"
  override def getStackTrace: Array[StackTraceElement] = at
}
