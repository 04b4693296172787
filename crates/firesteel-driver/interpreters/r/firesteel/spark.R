# `spark`: what of the context's SparkSession can be reached from R.

make_spark <- function() {
  structure(list(
    sql = sql,
    table = function(name) sql(paste("select * from", name))
  ), class = "firesteel_spark")
}

print_spark <- function(x, ...) {
  cat(
    "The SparkSession of this context, through SQL:",
    "  sql(\"select ...\")   the rows of a query as a data.frame",
    "  spark$table(name)   the rows of a table or view",
    "  display(x)          a data.frame as the command's table",
    "Views, settings and the current database are those of the context's other languages.",
    sep = "\n"
  )
  invisible(x)
}
