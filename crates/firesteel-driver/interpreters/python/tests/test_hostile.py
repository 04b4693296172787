"""Interrupts at every moment, and code that breaks things on purpose. No Spark."""

import os
import select
import signal
import time
import unittest

from .fake_driver import SECONDS_MAX, Driver, Lost


def runs(word):
    """Whether a process has this word among its arguments."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as arguments:
                if word.encode() in arguments.read().split(b"\0"):
                    return True
        except OSError:
            pass
    return False


def ended(word):
    """Waits a moment for a process that was killed to be gone."""
    deadline = time.monotonic() + SECONDS_MAX
    while runs(word) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not runs(word)


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.driver = Driver()

    @classmethod
    def tearDownClass(cls):
        cls.driver.end()

    def setUp(self):
        self.python = self.driver.context()
        self.addCleanup(self.python.close)

    def works(self):
        self.assertEqual(self.python.run("40 + 2").text, "42")

    def lost(self, source):
        """Runs a command that takes the interpreter with it; returns how it ended."""
        self.python.send(source)
        with self.assertRaises(Lost):
            while True:
                self.python.drain()
                self.python.peer.receive()
        ended = self.driver.exited(self.python)
        self.python.drain()
        return ended


class Interrupts(Case):
    def check(self, source, outcome="cancelled"):
        start = "print('started', flush=True)"
        self.python.send(source.replace("START", start) if "START" in source else f"{start}\n{source}")
        self.python.wait_for_output("started")
        self.python.interrupt()
        done = self.python.answer()
        self.assertEqual(done.outcome, outcome, (done.payload, done.printed))
        self.works()
        return done

    def test_a_loop(self):
        self.check("while True: pass")

    def test_a_sleep(self):
        self.check("import time; time.sleep(100)")

    def test_a_fork_is_not_interrupted_in_its_middle(self):
        hooks = "before=before, after_in_parent=lock.release, after_in_child=lock.release"
        before = "def before():\n    lock.acquire(); START; time.sleep(0.5)"
        lines = ["import os, threading, time", "lock = threading.Lock()", before, f"os.register_at_fork({hooks})"]
        self.check("\n".join([*lines, "if os.fork() == 0: os._exit(0)", "time.sleep(100)"]))
        self.assertEqual(self.python.run("lock.locked()").text, "False")

    def test_an_await(self):
        self.check("import asyncio; await asyncio.sleep(100)")
        self.assertEqual(self.python.run("await asyncio.sleep(0, 'later')").text, "'later'")

    def test_a_shell_command_and_its_children(self):
        self.check("get_ipython().run_cell_magic('sh', '', 'sleep 98765; true')")
        self.assertTrue(ended("98765"))

    def test_a_join(self):
        self.check("import threading; threading.Event().wait()")

    def test_a_repr_that_never_ends(self):
        self.check("class R:\n    def __repr__(self):\n        while True: pass\nR()")

    def test_an_error_whose_text_never_ends(self):
        self.check("class E(Exception):\n    def __str__(self):\n        while True: pass\nraise E")

    def test_a_finally_that_raises(self):
        self.check("try:\n    while True: pass\nfinally:\n    1/0")

    def test_printing(self):
        self.check("while True: print('x' * 1000)")

    def test_a_result_that_beats_the_interrupt_is_kept(self):
        done = self.check("try:\n    START\n    while True: pass\nexcept KeyboardInterrupt:\n    pass\n'kept'", outcome="text")
        self.assertEqual(done.payload, b"'kept'")

    def test_a_handler_of_the_users_lasts_one_command(self):
        self.python.run("import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)")
        self.check("while True: pass")

    def insist(self, source, outcome="cancelled"):
        """Interrupts again and again, as the driver does, from where START is: by default the first line."""
        source = source if "START" in source else f"START\n{source}"
        self.python.send(source.replace("START", "print('started', flush=True)"))
        self.python.wait_for_output("started")
        self.python.interrupt()
        while not select.select([self.python.peer.link], [], [], 0.1)[0]:
            self.python.interrupt()
        done = self.python.answer()
        self.assertEqual(done.outcome, outcome, (done.payload, done.printed))
        self.works()
        return done

    def test_code_that_catches_the_interrupt(self):
        self.insist("import time\nwhile True:\n    try: time.sleep(0.01)\n    except KeyboardInterrupt: continue")

    def test_code_that_catches_everything(self):
        self.insist("import time\nwhile True:\n    try: time.sleep(0.01)\n    except: pass")

    def test_code_that_catches_everything_twice(self):
        inner = "        while True:\n            try: sum(range(1000))\n            except BaseException: continue\n"
        self.insist(f"while True:\n    try:\n{inner}    except: pass")

    def test_code_that_cleans_up_is_left_to_it(self):
        done = self.insist("import time\ntry:\n    START\n    while True: pass\nfinally:\n    time.sleep(0.3); print('clean')")
        self.assertIn("clean", done.printed)

    def test_code_that_never_ends_cleaning_up(self):
        self.insist("import time\ntry:\n    while True: pass\nfinally:\n    time.sleep(600)")

    def test_a_handler_of_the_users_is_asked_first(self):
        source = "import signal, time\nasked = []\nold = signal.signal(signal.SIGINT, lambda *_: asked.append(1))\ntime.sleep(600)"
        self.insist(source)
        self.assertEqual(self.python.run("asked, old is signal.default_int_handler").text, "([1], True)")

    def test_os_system(self):
        self.check("import os; os.system('sleep 98766; true')")
        self.assertTrue(ended("98766"))
        self.assertEqual(self.python.run("os.system('exit 3') >> 8, os.system('kill -9 $$')").text, "(3, 9)")

    def test_while_nothing_runs(self):
        for _ in range(200):
            self.python.interrupt()
            self.works()

    def test_a_storm(self):
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            self.python.send("for n in range(2000): pass\nn")
            for _ in range(3):
                self.python.interrupt()
            done = self.python.answer()
            self.assertIn(done.outcome, ("text", "cancelled"), done.payload)
        self.works()

    def test_before_the_binding(self):
        spare = self.driver.fork()
        os.kill(spare.pid, signal.SIGINT)
        spare.bind("77")
        self.assertEqual(spare.run("1").text, "1")
        spare.close()


class Hostile(Case):
    def test_fork_whose_child_runs_on(self):
        done = self.python.run("import os\npid = os.fork()\nprint('child' if pid == 0 else 'parent', flush=True)\n1")
        self.assertEqual(done.payload, b"1")
        self.assertEqual(self.python.run("os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])").payload, b"0")
        self.works()

    def test_fork_whose_child_raises(self):
        self.python.run("import os\npid = os.fork()\nif pid == 0: 1/0")
        self.assertEqual(self.python.run("os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])").payload, b"1")
        self.works()

    def test_fork_does_not_print_twice(self):
        self.assertEqual(self.python.run("import os\nprint('once')\nif os.fork() == 0: os._exit(0)\nos.wait();").text, "once")

    def test_multiprocessing(self):
        source = "import multiprocessing as m\ndef sq(x): return x * x\nwith m.get_context('fork').Pool(2) as p: r = p.map(sq, range(4))\nr"
        self.assertEqual(self.python.run(source).text, "[0, 1, 4, 9]")
        self.works()

    def test_numpy_threads_after_the_fork(self):
        self.assertEqual(self.python.run("import numpy as np\na = np.ones((500, 500))\nfloat((a @ a).sum())").text, "62500000.0".replace("62500000", "125000000"))

    def test_random_numbers_differ(self):
        other = self.driver.context()
        source = "import random, numpy, uuid\n(random.random(), numpy.random.rand(), uuid.uuid4())"
        mine, others = self.python.run(source).text, other.run(source).text
        for one, two in zip(mine.split(","), others.split(",")):
            self.assertNotEqual(one, two)
        other.close()

    def test_ends_itself(self):
        self.assertEqual(self.lost("import os; os._exit(3)"), (3, None))

    def test_kills_itself(self):
        self.assertEqual(self.lost("import os; os.kill(os.getpid(), 9)"), (None, 9))

    def test_crashes(self):
        self.assertEqual(self.lost("import ctypes; ctypes.string_at(0)"), (None, signal.SIGSEGV))

    def test_closes_every_descriptor(self):
        self.assertEqual(self.lost("import os; os.closerange(3, 1024)"), (70, None))
        self.assertIn(b"closed by user code", self.python.printed)

    def test_writes_garbage_to_every_descriptor(self):
        self.python.send("import os\nfor n in range(3, 1024):\n    try: os.write(n, b'\\xff' * 64)\n    except OSError: pass")
        with self.assertRaises(Lost):
            self.python.answer()
        os.kill(self.python.pid, signal.SIGKILL)
        self.driver.exited(self.python)

    def test_prints_frames(self):
        frame = r"print('\x00\x00\x00\x02{}', flush=True)"
        self.assertEqual(self.python.run(frame + "\n5").payload, b"5")
        self.works()

    def test_closes_its_streams(self):
        self.python.run("import sys, os; sys.stdout.close(); sys.stderr.close()")
        self.assertEqual(self.python.run("print('still')").text, "still")
        self.python.run("os.close(1); os.close(2)")
        self.assertEqual(self.python.run("print('again')").text, "again")
        self.python.run("sys.stdout = None")
        self.assertEqual(self.python.run("print('and again')").text, "and again")

    def test_replaces_its_streams(self):
        self.python.run("import sys, io; sys.stdout = mine = io.StringIO(); print('a')")
        self.assertEqual(self.python.run("print('b')\nmine.getvalue()").text, "'a\\nb\\n'")
        self.python.run("sys.stdout = object()")
        self.assertEqual(self.python.run("6 * 7").text, "42")

    def test_replaces_functions_we_use(self):
        self.python.run("import os, json, sys\nos.read = os.write = os.writev = os.fstat = json.dumps = json.loads = sys.exit = None")
        self.python.run("import builtins\nbuiltins.print = None")
        self.works()

    def test_deletes_names(self):
        self.python.run("del display, dbutils, exit")
        self.python.run("%reset -f")
        self.works()

    def test_threads_that_print_later(self):
        self.python.run("import threading, time\ndef late():\n    time.sleep(0.3); print('late')\nthreading.Thread(target=late).start()")
        self.python.wait_for_output("late")
        self.works()

    def test_elsewhere(self):
        self.python.run("import os, sys; os.chdir('/'); sys.path[:] = []; sys.argv = None; os.environ.clear()")
        self.assertIn("ZeroDivisionError", self.python.run("1/0").summary)
        self.works()

    def test_a_low_recursion_limit(self):
        self.python.run("import sys; sys.setrecursionlimit(60)")
        self.python.run("def f(): return f()\nf()")
        self.works()

    def test_a_clean_start(self):
        """Nothing of the parent's is within reach: descriptors, arguments, secrets in the environment."""
        self.assertEqual(self.python.run("import os, sys; sorted(int(n) for n in os.listdir('/proc/self/fd'))[:3], sys.argv").text, "([0, 1, 2], [''])")
        links = self.python.run("print(*[os.readlink(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{n}')], sep='\\n')").text
        self.assertEqual(sum(link.startswith("socket:") for link in links.split("\n")), 1, links)
        self.assertEqual(self.python.run("os.environ['DATABRICKS_RUNTIME_VERSION']").text, "'17.0'")
        self.assertEqual(self.python.run("os.getsid(0) == os.getpid() == os.getpgid(0)").text, "True")


class Ends(unittest.TestCase):
    """How everything ends."""

    def test_the_parent_takes_its_children_and_their_processes_along(self):
        driver = Driver()
        python = driver.context()
        python.run("import subprocess; kept = subprocess.Popen(['sleep', '87654'])")
        python.run("daemon = subprocess.Popen(['sleep', '87653'], start_new_session=True)")
        driver.end()
        self.assertFalse(runs("87654") or runs("87653"))
        self.assertFalse(os.path.exists(f"/proc/{python.pid}"))
        python.close()

    def test_what_an_interpreter_leaves_behind_is_killed(self):
        driver = Driver()
        python = driver.context()
        python.run("import subprocess; kept = subprocess.Popen(['sleep', '76543'])")
        python.close()
        self.assertEqual(driver.exited(python), (0, None))
        self.assertTrue(ended("76543"))
        driver.end()

    def test_children_die_with_a_killed_parent(self):
        driver = Driver()
        python = driver.context()
        python.send("while True: pass")
        driver.parent.kill()
        driver.parent.wait()
        with self.assertRaises(Lost):
            python.peer.receive()
        deadline = time.monotonic() + SECONDS_MAX
        while os.path.exists(f"/proc/{python.pid}") and time.monotonic() < deadline:
            with open(f"/proc/{python.pid}/stat") as stat:
                if stat.read().rsplit(")", 1)[1].split()[0] == "Z":
                    break  # nobody here is its parent
            time.sleep(0.01)
        else:
            self.assertFalse(os.path.exists(f"/proc/{python.pid}"))
        python.close()
        driver.parent.stderr.close()
        driver.parent.stdin.close()
        driver.folder.cleanup()
        driver.listener.close()
        driver.control.close()

    def test_the_end_of_the_control_connection_ends_the_parent(self):
        driver = Driver()
        driver.control.close()
        self.assertEqual(driver.parent.wait(SECONDS_MAX), 0)
        driver.end()


if __name__ == "__main__":
    unittest.main()
