# Runs commands one after another in R's global environment, and turns how each ended into an outcome.

commands <- new.env(parent = emptyenv())
commands$count <- 0L
# Where the expression that runs stands in its command.
commands$place <- NULL
# Whether the running command asks for a fresh Python.
commands$restart_python <- FALSE

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
  if (commands$restart_python) {
    commands$restart_python <- FALSE
    outcome$fields$restart_python <- TRUE
  }
  outcome
}

# The driver replaces the context's Python when the command is over.
ask_python_restart <- function() {
  commands$restart_python <- TRUE
  invisible()
}

# Calls `work`, which returns an outcome, so that it can be interrupted and fail.
guarded <- function(work) {
  failed <- NULL
  fail <- function(error) {
    # As little as possible here: the stack may be full. The rest is done when it is unwound.
    failed <<- list(error = error)
    failed$calls <<- sys.calls()
    invokeRestart("firesteel_end", NULL)
  }
  run <- function() {
    withRestarts(
      withCallingHandlers(work(), error = fail, warning = note_warning),
      firesteel_end = function(outcome) outcome,
      # What the console calls going back to the top.
      abort = function(...) displayed_outcome()
    )
  }
  tryCatch(
    allowInterrupts({
      outcome <- tryCatch(run(), error = function(error) {
        # The handler above could not run: the stack was full.
        if (is.null(failed)) {
          failed <<- list(error = error)
        }
        NULL
      })
      if (is.null(outcome)) explain(failed$error, users_calls(failed$calls)) else outcome
    }),
    interrupt = function(interrupt) outcome_cancelled(),
    # The error has a message that cannot be had.
    error = function(error) outcome_of_unprintable(failed$error),
    finally = take_warnings()
  )
}

explain <- function(error, calls) {
  if (inherits(error, "firesteel_syntax")) outcome_of_syntax(error) else outcome_of_error(error, calls, take_warnings())
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
  expressions <- parse_source(text, name)
  places <- attr(expressions, "srcref")
  for (number in seq_along(expressions)) {
    commands$place <- places[[number]]
    result <- evaluate(expressions[[number]], globalenv())
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
  holder <- list2env(list(x = value, print = base::print, show = methods::show), parent = globalenv())
  evaluate(if (isS4(value)) quote(show(x)) else quote(print(x)), holder)
}

# Whether a call is one of our names, unless user code has a function of its own by that name: what it does is not the user's.
is_ours <- function(call) {
  name <- call[[1L]]
  while (is.call(name) && identical(name[[1L]], quote(`$`))) {
    name <- name[[2L]]
  }
  is.name(name) && as.character(name) %in% OUR_NAMES && !exists(as.character(name), envir = globalenv(), inherits = FALSE)
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
  if (last > 0L && is.call(calls[[last]]) && identical(calls[[last]][[1L]], quote(.handleSimpleError))) {
    calls <- calls[-last]
  }
  calls <- calls[seq_len(Position(is_ours, calls, nomatch = length(calls)))]
  # What a function calls has its place from R; what the command itself calls does not.
  if (length(calls) > 0L && is.null(attr(calls[[1L]], "srcref"))) {
    attr(calls[[1L]], "srcref") <- commands$place
  }
  calls
}
