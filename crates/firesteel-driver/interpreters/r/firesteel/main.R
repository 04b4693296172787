# The R side of the driver: one interpreter, alone in its process. Started as `Rscript --vanilla main.R`, told by one
# line of JSON on standard input where its pipes are.
#
# Every file beside this one is loaded into one environment, whose parent is base: what user code defines or attaches
# changes nothing for it. `interpreter.R` speaks the protocol of `docs/protocol.md` and runs commands through
# `commands.R`.

suspendInterrupts((function() {
  own <- new.env(parent = baseenv())
  main <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE)[1L])
  files <- list.files(dirname(main), pattern = "[.]R$", full.names = TRUE)
  for (file in files[basename(files) != "main.R"]) {
    sys.source(file, envir = own, keep.source = FALSE)
  }
  quit("no", status = own$serve(), runLast = FALSE)
})())
