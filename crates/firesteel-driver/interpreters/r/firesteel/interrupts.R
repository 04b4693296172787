# SIGINT: it stops user code and nothing else.
#
# The driver interrupts a command with SIGINT. The whole interpreter runs with interrupts suspended, which makes R remember
# one instead of raising it; only while user code runs are they allowed.

# Forgets an interrupt that came while nothing ran: it was meant for a command that is over.
discard_interrupts <- function() {
  # R looks for interrupts in loops and when it waits.
  tryCatch(allowInterrupts({
    for (turn in 1:3) NULL
    Sys.sleep(0)
  }), interrupt = function(interrupt) NULL)
}

# Raises the interrupt that is owed; if none is, what one would raise. User code that handles interrupts gets its turn first.
raise_interrupt <- function() {
  for (turn in 1:3) NULL
  Sys.sleep(0)
  signalCondition(structure(class = c("interrupt", "condition"), list(message = "", call = NULL)))
  stop("the query was cancelled", call. = FALSE)
}
