# Keeps functions that close "all connections" from closing the driver's, which user code does not mean.

shields <- new.env(parent = emptyenv())
shields$numbers <- integer()

# Hides the driver's pipes from `closeAllConnections`.
hide_connection <- function(driver) {
  shields$numbers <- driver_connection_numbers(driver)
}

shield_connections <- function() {
  replace_in_base("closeAllConnections", function() {
    if (sink.number(type = "message") > 0L) {
      sink(stderr(), type = "message")
    }
    for (level in seq_len(sink.number())) {
      sink()
    }
    for (number in setdiff(getAllConnections(), c(0:2, shields$numbers))) {
      close(getConnection(number))
    }
    invisible()
  })
}

replace_in_base <- function(name, value) {
  unlockBinding(name, baseenv())
  assign(name, value, envir = baseenv())
  lockBinding(name, baseenv())
}
