# The R side of the driver: one interpreter, alone in its process. Started as `Rscript --vanilla main.R CACHE`, told by one
# line of JSON on standard input where its pipes are.
#
# Every file beside this one is loaded into one environment, whose parent is base: what user code defines or attaches
# changes nothing for it. `interpreter.R` speaks the protocol of `docs/protocol.md` and runs commands through
# `commands.R`. CACHE is a folder for the compiled functions; R would compile them while they run, at the cost of the
# first hundred commands.

if (getRversion() < "3.6") {
  stop("this is R ", getRversion(), "; R 3.6 or later is needed")
}

suspendInterrupts((function() {
  sourced <- function(folder) {
    own <- new.env(parent = baseenv())
    for (file in setdiff(list.files(folder, pattern = "[.]R$"), "main.R")) {
      sys.source(file.path(folder, file), envir = own, keep.source = FALSE)
    }
    own
  }

  compiled <- function(folder, cache) {
    path <- file.path(cache, paste0("r-", getRversion(), ".rds"))
    own <- tryCatch(suppressWarnings(readRDS(path)), error = function(error) NULL)
    if (is.null(own)) {
      own <- sourced(folder)
      for (name in ls(own, all.names = TRUE)) {
        if (is.function(own[[name]])) {
          own[[name]] <- compiler::cmpfun(own[[name]])
        }
      }
      # Others may be at it too; each sees a whole file or none.
      aside <- tempfile("r-", cache)
      try(suppressWarnings(saveRDS(own, aside, compress = FALSE)), silent = TRUE)
      suppressWarnings(file.rename(aside, path))
    }
    own
  }

  arguments <- commandArgs(FALSE)
  main <- sub("^--file=", "", grep("^--file=", arguments, value = TRUE)[1L])
  own <- compiled(dirname(main), arguments[length(arguments)])
  quit("no", status = own$serve(), runLast = FALSE)
})())
