# What user code finds defined: one entry of the search path, so that `ls()` and `rm()` know only the user's own.

OUR_NAMES <- c("dbutils", "display", "displayHTML", "getArgument", "spark", "sql")

attach_names <- function() {
  dbutils <- make_dbutils()
  names <- list(
    dbutils = dbutils,
    display = display,
    displayHTML = displayHTML,
    getArgument = dbutils$widgets$getArgument,
    spark = make_spark(),
    sql = sql
  )
  attach(names, name = "firesteel", warn.conflicts = FALSE)
  registerS3method("print", "firesteel_dbutils", print_dbutils, envir = baseenv())
  registerS3method("print", "firesteel_spark", print_spark, envir = baseenv())
}
