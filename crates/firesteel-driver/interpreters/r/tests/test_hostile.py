"""Interrupts at every moment, and code that breaks things on purpose."""

import os
import signal
import time
import unittest

from .fake_driver import Interpreter, Lost, needs_r


@needs_r
class Case(unittest.TestCase):
    """Cases share one interpreter until one of them loses it."""

    r = None

    @classmethod
    def tearDownClass(cls):
        cls.renew(None)

    @classmethod
    def renew(cls, interpreter):
        if cls.r is not None:
            cls.r.close()
        cls.r = interpreter

    def setUp(self):
        if self.r is None:
            self.renew(Interpreter())

    def works(self):
        self.assertEqual(self.r.run("40 + 2").text, "[1] 42")

    def spoils(self):
        """What this case does to its interpreter others shall not meet."""
        self.addCleanup(self.renew, None)

    def lost(self, source):
        """Runs a command that takes the interpreter with it; returns its exit status."""
        self.spoils()
        self.r.send(source)
        with self.assertRaises(Lost):
            self.r.answer()
        return self.r.wait()


class Interrupts(Case):
    def check(self, source, outcome="cancelled", group=False):
        self.r.send(f"cat('started\\n')\n{source}")
        self.r.wait_for_output("started")
        time.sleep(0.05)
        if group:
            # A program that R waits for takes the first: R ignores it meanwhile.
            for _ in range(2):
                os.killpg(self.r.process.pid, signal.SIGINT)
                time.sleep(0.2)
        else:
            self.r.interrupt()
        done = self.r.answer()
        self.assertEqual(done.outcome, outcome, (done.payload, done.printed))
        self.works()
        return done

    def test_what_can_be_interrupted(self):
        for source in (
            "while (TRUE) {}",
            "repeat Sys.sleep(0.01)",
            "Sys.sleep(100)",
            "f <- function() f2(); f2 <- function() while (TRUE) sum(1:10); f()",
            "repeat print(strrep('x', 1000))",
            "repeat tryCatch(stop('x'), error = function(e) NULL)",
            "tryCatch(while (TRUE) {}, error = function(e) 'no')",
            "invisible(vapply(1:3e7, function(n) n, 1L))",
            "print.slow <- function(x, ...) while (TRUE) {}; structure(1, class = 'slow')",
            "conditionMessage.slow <- function(c) while (TRUE) {}; signalCondition(structure(class = c('slow', 'error', 'condition'), list()))",
            "plot(1); while (TRUE) {}",
        ):
            with self.subTest(source=source):
                self.check(source)

    def test_other_programs(self):
        self.check("system('sleep 100'); while (TRUE) {}", group=True)

    def test_a_handler_of_the_users(self):
        done = self.check("x <- tryCatch(while (TRUE) {}, interrupt = function(i) 'kept')\nx", outcome="text")
        self.assertIn('"kept"', done.printed)

    def test_a_finally_runs(self):
        done = self.check("tryCatch(while (TRUE) {}, finally = cat('finally\\n'))")
        self.assertIn("finally", done.printed)

    def test_while_nothing_runs(self):
        for _ in range(100):
            self.r.interrupt()
            self.works()

    def test_a_storm(self):
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            self.r.send("for (n in 1:20000) n\nn")
            for _ in range(3):
                self.r.interrupt()
            self.assertIn(self.r.answer().outcome, ("text", "cancelled"))
        time.sleep(0.1)
        self.works()

    def test_before_the_binding(self):
        spare = Interpreter(bind=False)
        spare.interrupt()
        spare.send_message({"type": "bind", "context": "77"})
        self.assertEqual(spare.receive(), ({"type": "bound"}, None))
        self.assertEqual(spare.run("1").text, "[1] 1")
        spare.close()


class Hostile(Case):
    def test_quit_ends_the_process(self):
        self.assertEqual(self.lost("quit(status = 3)"), 3)

    def test_q_ends_the_process_whatever_is_caught(self):
        self.assertEqual(self.lost("tryCatch(q(), error = function(e) 1, interrupt = function(i) 2)"), 0)

    def test_kills_itself(self):
        self.assertEqual(self.lost("tools::pskill(Sys.getpid(), 9)"), -9)

    def test_the_end_of_the_connection_ends_it(self):
        self.spoils()
        self.r.hang_up()
        self.assertEqual(self.r.wait(), 0)

    def test_garbage_from_the_driver_ends_it(self):
        self.spoils()
        os.write(self.r.requests, b"\x7f\xff\xff\xff")
        self.assertEqual(self.r.wait(), 70)
        self.assertIn(b"too long", self.r.printed)

    def test_closes_all_connections(self):
        self.spoils()
        self.r.run("x <- file('x', 'w'); sink('y')")
        self.r.run("closeAllConnections()")
        self.works()
        self.assertEqual(self.r.run("isOpen(x)").outcome, "error")

    def test_closes_the_drivers_connections(self):
        self.assertEqual(self.lost("for (n in setdiff(getAllConnections(), 0:2)) close(getConnection(n))"), 70)
        self.assertIn(b"user code closed it", self.r.printed)

    def test_its_own_files_get_nothing_of_the_drivers(self):
        source = "for (n in setdiff(getAllConnections(), 0:2)) close(getConnection(n))\nfor (n in 1:100) file(paste0('own', n), 'w+b')"
        self.assertEqual(self.lost(source), 70)
        sizes = [os.path.getsize(os.path.join(self.r.folder.name, f"own{n}")) for n in range(1, 101)]
        self.assertEqual(sum(sizes), 0)

    def test_its_connections_have_other_numbers(self):
        self.assertEqual(self.r.run("x <- file('x', 'w'); y <- as.integer(x); close(x); y").text, "[1] 3")

    def test_writes_garbage_to_every_descriptor(self):
        self.spoils()
        self.r.send("system('for n in /proc/self/fd/*; do [ ${n##*/} -lt 3 ] || [ ! -p $n ] || echo garbagegarbage > $n; done 2> /dev/null')")
        with self.assertRaises((Lost, ValueError)):
            self.r.answer()

    def test_prints_frames(self):
        self.assertEqual(self.r.run("cat('\\x01\\x02{\"type\":\"done\"}'); 5").printed[-5:], "[1] 5"[-4:] + "\n")
        self.works()

    def test_forked_children_stay_silent(self):
        self.assertEqual(self.r.run("library(parallel); unlist(mclapply(1:4, function(n) n * n, mc.cores = 2))").text, "[1]  1  4  9 16")
        self.r.run("p <- parallel:::mcfork(); if (inherits(p, 'masterProcess')) 'child' else 'parent'")
        time.sleep(0.2)
        self.works()

    def test_a_fork_that_outlives_its_command(self):
        self.r.run("j <- parallel::mcparallel({ Sys.sleep(0.2); cat('late\\n') })")
        self.r.wait_for_output("late")
        self.works()

    def test_sockets_of_parallel_clusters(self):
        source = "cl <- parallel::makeCluster(1); x <- parallel::clusterEvalQ(cl, 6 * 7)[[1]]; parallel::stopCluster(cl); x"
        self.assertEqual(self.r.run(source).text, "[1] 42")

    def test_reads_its_input(self):
        self.assertEqual(self.r.run("readLines(file('stdin')); readline()").text, 'character(0)\n\n[1] ""')

    def test_redefines_what_we_use(self):
        self.spoils()
        self.r.run("print <- cat <- eval <- paste0 <- function(...) stop('mine'); `if` <- function(...) stop('mine')")
        self.assertEqual(self.r.run("3").text, "[1] 3")
        self.r.run("rm(list = ls())")
        self.works()

    def test_detaches_everything(self):
        self.spoils()
        self.r.run("for (name in setdiff(search(), c('.GlobalEnv', 'package:base', 'Autoloads'))) detach(name, character.only = TRUE)")
        self.works()
        self.assertEqual(self.r.run("stop('x')").summary, "Error: x")

    def test_elsewhere(self):
        self.spoils()
        self.r.run("setwd('/'); Sys.setenv(TMPDIR = '/nowhere'); unlink(tempdir(), recursive = TRUE); options(device = NULL, error = quote(q()))")
        self.assertEqual(self.r.run("stop('x')").summary, "Error: x")
        self.works()

    def test_a_clean_start(self):
        self.renew(Interpreter())
        self.assertEqual(self.r.run("ls(all.names = TRUE)").text, "character(0)")
        self.assertEqual(self.r.run("warnings()").text, "")
        self.assertEqual(self.r.run("l10n_info()[['UTF-8']]").text, "[1] TRUE")
        numbers = self.r.run("cat(list.files('/proc/self/fd'))").text.split()
        self.assertTrue(all(int(n) < 5 or int(n) > 50 for n in numbers), numbers)


if __name__ == "__main__":
    unittest.main()
