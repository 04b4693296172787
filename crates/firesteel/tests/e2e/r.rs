//! What R commands answer where R is installed, and the refusal where it is not.

use serde_json::{Value, json};

use crate::api::{error, table, text};
use crate::case::Case;
use crate::server::Server;

pub(crate) fn cases() -> Vec<Case> {
    match installed() {
        true => shared![
            values_are_printed_as_the_console_does,
            sql_gives_a_data_frame_of_the_context_s_session,
            a_data_frame_is_displayed_as_a_table,
            a_plot_is_a_picture,
            what_fails_is_an_error_and_the_next_command_runs,
        ],
        false => shared![without_r_the_answer_says_what_to_install],
    }
}

/// Tells whether there is an R on the path, as the server looks for it.
pub(crate) fn installed() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join("Rscript").is_file())
}

#[track_caller]
fn check(server: &Server, commands: &[(&str, Value)]) {
    let context = server.context("r");
    for (code, expected) in commands {
        context.check(code, expected);
    }
}

fn values_are_printed_as_the_console_does(server: &Server) {
    check(
        server,
        &[
            ("1 + 1", text("[1] 2")),
            ("x <- 41", text("")),
            ("cat('a\\n'); x + 1", text("a\n[1] 42")),
            ("invisible(3)", text("")),
            ("dbutils$notebook$exit('done')", text("done")),
        ],
    );
}

fn sql_gives_a_data_frame_of_the_context_s_session(server: &Server) {
    let context = server.context("r");
    context.check_in(
        "sql",
        "create temporary view pairs as select 1 as n, 'a' as s union all select 2, 'b'",
        &table(&[], json!([])),
    );
    context.check("d <- sql('select * from pairs order by n'); class(d)", &text("[1] \"data.frame\""));
    context.check("sum(d$n); d$s", &text("[1] 3\n[1] \"a\" \"b\""));
}

fn a_data_frame_is_displayed_as_a_table(server: &Server) {
    let expected = table(&[("n", "\"integer\""), ("s", "\"string\"")], json!([[1, "a"], [2, null]]));
    check(server, &[("display(data.frame(n = 1:2, s = c('a', NA)))", expected)]);
}

fn a_plot_is_a_picture(server: &Server) {
    let results = server.context("r").run("plot(1:3)").results;
    assert_eq!(results["resultType"], "images");
    let names = results["fileNames"].as_array().unwrap();
    assert!(names.len() == 1 && names[0].as_str().unwrap().starts_with("data:image/png;base64,iVBOR"), "{results}");
}

fn what_fails_is_an_error_and_the_next_command_runs(server: &Server) {
    check(
        server,
        &[
            ("f <- function() stop('boom'); f()", error("Error in f() : boom", "…boom…")),
            ("sql('select * from nowhere')", error("…TABLE_OR_VIEW_NOT_FOUND…", "…nowhere…")),
            ("1 +", error("…", "…")),
            ("2", text("[1] 2")),
        ],
    );
}

fn without_r_the_answer_says_what_to_install(server: &Server) {
    let ask = json!({"clusterId": server.cluster, "language": "r"});
    assert!(server.http.post("/api/1.2/contexts/create", &ask).refused(500).starts_with("R is not installed"));
}
