# Deferred warnings: collected while an expression runs and printed behind it, as the console does.

WARNINGS_MAX <- 50L
WARNINGS_SHOWN <- 10L

warned <- new.env(parent = emptyenv())
warned$calls <- list()
warned$last <- list()

# Takes a warning if it is to be deferred; others take their own way: `warn = 1` prints at once, 2 makes them errors.
note_warning <- function(warning) {
  level <- getOption("warn")
  if (!is.numeric(level) || length(level) != 1L || is.na(level) || level >= 1L) {
    return()
  }
  if (level == 0L && length(warned$calls) < WARNINGS_MAX) {
    call <- users_call(conditionCall(warning))
    warned$calls[length(warned$calls) + 1L] <- list(call)
    names(warned$calls)[length(warned$calls)] <- paste(conditionMessage(warning), collapse = "\n")
  }
  invokeRestart("muffleWarning")
}

# Returns what was collected and starts anew. It is what `warnings()` shows from now on.
take_warnings <- function() {
  taken <- warned$calls
  warned$calls <- list()
  if (length(taken) > 0L) {
    warned$last <- taken
  }
  taken
}

# What `warnings()` is here: R's own knows only what its console has printed.
last_warnings <- function(...) {
  if (length(warned$last) > 0L) structure(warned$last, dots = list(...), class = "warnings")
}

print_warnings <- function() {
  if (length(warned$calls) > 0L) {
    cat(warnings_text(take_warnings()), sep = "\n", file = stderr())
  }
}

# The lines that tell of warnings: calls, named by their messages.
warnings_text <- function(warnings) {
  count <- length(warnings)
  if (count >= WARNINGS_MAX) {
    return("There were 50 or more warnings (use warnings() to see the first 50)")
  }
  if (count > WARNINGS_SHOWN) {
    return(paste("There were", count, "warnings (use warnings() to see them)"))
  }
  number <- if (count == 1L) "" else paste0(seq_len(count), ": ")
  texts <- mapply(warning_text, number, warnings, names(warnings))
  c(if (count == 1L) "Warning message:" else "Warning messages:", texts)
}

warning_text <- function(number, call, message) {
  if (is.null(call)) {
    return(paste0(number, message))
  }
  place <- paste0(number, "In ", call_text(call), " :")
  paste0(place, if (is_long(place, message)) "\n  " else " ", message)
}
