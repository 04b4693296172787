# Runs commands one after another in R's global environment, and turns how each ended into an outcome.

commands <- new.env(parent = emptyenv())
commands$count <- 0L

# Runs one command: UTF-8 text as bytes. Whatever it does, this returns an outcome.
run_command <- function(source) {
  commands$count <- commands$count + 1L
  begin_display()
  discard_interrupts()
  outcome <- guarded(function() {
    run_source(source_text(source), sprintf("<command-%d>", commands$count))
    displayed_outcome()
  })
  drop_figures()
  outcome
}

# Calls `work`, which returns an outcome, so that it can be interrupted and fail.
guarded <- function(work) {
  tryCatch(
    withRestarts(
      withCallingHandlers(
        allowInterrupts(work()),
        error = function(error) invokeRestart("firesteel_end", explain(error, sys.calls())),
        warning = note_warning
      ),
      firesteel_end = function(outcome) outcome,
      # What the console calls going back to the top.
      abort = function(...) displayed_outcome()
    ),
    interrupt = function(interrupt) outcome_cancelled(),
    # An error in the handler above.
    error = outcome_of_unprintable,
    finally = take_warnings()
  )
}

explain <- function(error, calls) {
  if (inherits(error, "firesteel_syntax")) {
    return(outcome_of_syntax(error))
  }
  outcome_of_error(error, users_calls(calls), take_warnings())
}

# Ends the running command at once with this outcome.
end_command <- function(outcome) invokeRestart("firesteel_end", outcome)

source_text <- function(source) {
  text <- tryCatch(rawToChar(source), error = function(error) stop("the command holds a NUL", call. = FALSE))
  if (!validUTF8(text)) {
    stop("the command is not UTF-8", call. = FALSE)
  }
  Encoding(text) <- "UTF-8"
  gsub("\r\n?", "\n", text)
}

run_source <- function(text, name) {
  for (expression in parse_source(text, name)) {
    result <- evaluate(expression, globalenv())
    assign(".Last.value", result$value, envir = baseenv())
    if (result$visible) {
      show_value(result$value)
    }
    print_warnings()
  }
}

# The whole command is parsed before any of it runs.
parse_source <- function(text, name) {
  lines <- strsplit(text, "\n", fixed = TRUE)[[1L]]
  tryCatch(
    parse(text = lines, srcfile = srcfilecopy(name, lines), keep.source = TRUE, encoding = "UTF-8"),
    error = function(error) stop(errorCondition(conditionMessage(error), class = "firesteel_syntax"))
  )
}

# R locks this name against everyone but its own console.
unlock_last_value <- function() unlockBinding(".Last.value", baseenv())

# Prints a value as the console does.
show_value <- function(value) {
  holder <- list2env(list(x = value), parent = globalenv())
  print <- if (isS4(value)) methods::show else base::print
  evaluate(as.call(list(print, quote(x))), holder)
}

# The one place where user code is evaluated; the calls of a stack behind it are the user's.
evaluate <- function(expression, environment) withVisible(eval(expression, environment))

EVALUATION <- quote(eval(expression, environment))

is_evaluation <- function(call) identical(call, EVALUATION)

# Takes our calls away from a stack: those up to the evaluation, and the handler's at its end.
users_calls <- function(calls) {
  evaluations <- which(vapply(calls, is_evaluation, NA))
  if (length(evaluations) < 2L) {
    return(list())
  }
  # R has two entries for one `eval`.
  first <- evaluations[2L] + 1L
  calls <- calls[seq.int(first, length.out = length(calls) - first)]
  last <- length(calls)
  raised_in_c <- last > 0L && is.call(calls[[last]]) && identical(calls[[last]][[1L]], quote(.handleSimpleError))
  if (raised_in_c) calls[-last] else calls
}
