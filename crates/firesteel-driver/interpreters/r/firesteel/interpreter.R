# One interpreter: a spare until it is bound to a context, then the runner of that context's commands.

EXIT_LOST <- 70L

# Serves the driver until it hangs up; returns the exit status.
serve <- function() {
  tryCatch(
    {
      launch <- read_launch()
      use_library(launch$library)
      warm_up()
      answer(launch)
      0L
    },
    firesteel_broken = function(broken) {
      # The driver may not read any more.
      try(cat("r interpreter: ", conditionMessage(broken), "\n", sep = "", file = stderr()), silent = TRUE)
      EXIT_LOST
    }
  )
}

# One line of JSON on standard input. Behind it there is nothing: user code that reads finds the end.
read_launch <- function() {
  input <- file("stdin")
  on.exit(close(input))
  json_read(readLines(input, 1L))
}

# Packages are installed to the cluster's own folder and found there first, by the processes that R starts as well.
use_library <- function(folder) {
  .libPaths(c(folder, .libPaths()))
  Sys.setenv(R_LIBS = paste(.libPaths(), collapse = ":"))
}

# Everything that needs no context.
warm_up <- function() {
  set_up_session()
  attach_names()
  shield_connections()
  unlock_last_value()
  replace_in_base("warnings", last_warnings)
  # The first commands are not slower than the next.
  for (source in c("1 + 1", "stop('x')", "f <- function() warning('w')", "rm(f)")) {
    run_quietly(source)
  }
  commands$count <- 0L
}

set_up_session <- function() {
  # Messages are the same on every machine, and text is UTF-8 whatever the machine's language is.
  Sys.setenv(LANGUAGE = "en")
  if (!l10n_info()[["UTF-8"]]) {
    Sys.setlocale("LC_CTYPE", "C.UTF-8")
  }
  repositories <- getOption("repos")
  if (identical(unname(repositories["CRAN"]), "@CRAN@")) {
    repositories["CRAN"] <- "https://cloud.r-project.org"
  }
  options(
    device = open_figures,
    keep.source = TRUE,
    menu.graphics = FALSE,
    pager = show_files,
    repos = repositories
  )
}

# `?help` and the like: to the output, as there is nobody to turn pages.
show_files <- function(files, header, title, delete.file) {
  for (file in files) {
    writeLines(gsub("_\b", "", readLines(file, warn = FALSE), fixed = TRUE))
  }
  if (isTRUE(delete.file)) {
    unlink(files)
  }
}

run_quietly <- function(source) {
  nothing <- file("/dev/null", "w")
  sink(nothing)
  sink(nothing, type = "message")
  on.exit({
    sink(type = "message")
    sink()
    close(nothing)
  })
  run_command(charToRaw(source))
}

# Says hello as a warm spare and answers until the driver hangs up.
answer <- function(launch) {
  driver <- open_driver_connection(launch$requests, launch$answers)
  hide_connection(driver)
  send(driver, list(
    type = "hello", version = PROTOCOL_VERSION, role = "interpreter",
    interpreter = launch$interpreter, key = launch$key, pid = Sys.getpid()
  ))
  welcome <- receive(driver)
  if (!identical(welcome$type, "welcome")) {
    broken("the driver did not welcome it")
  }
  limit_display(welcome$limits)
  repeat {
    message <- receive(driver)
    if (is.null(message)) {
      return()
    }
    switch(message$type,
      bind = send(driver, list(type = "bound")),
      execute = execute(driver, message),
      broken(paste0("unknown message `", message$type, "`"))
    )
  }
}

execute <- function(driver, message) {
  open_queries(driver)
  keep_rows_in(message$result)
  outcome <- run_command(message$payload)
  close_queries()
  if (is_forked_copy(driver)) {
    # User code forked and its child ran on to the end of the command: there is nothing for it to answer.
    tools::pskill(Sys.getpid(), tools::SIGKILL)
  }
  send(driver, c(list(type = "done", command = message$command), outcome$fields), outcome$payload)
}
