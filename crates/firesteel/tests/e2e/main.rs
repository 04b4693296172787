//! The whole program as its users meet it: the binary, TLS, curl, the stock SDK, a real Spark.
//!
//! ```text
//! shared     one server, every case at once        commands, curl forms, SDKs, hostile code, the client commands
//! alone      the same server, one case at a time   cases that need all of it, such as every context there is
//! the end    Ctrl-C; nothing that it started is left
//! own        servers of their own, one at a time   kill -9, a JVM that dies, what start refuses, interpreters alone
//! ```
//!
//! A case is a sentence in the module of its noun. Everything is below `target/e2e`: the runtime that the first run
//! makes there is kept for later ones, all else is made anew. No case measures time: each waits for what must become
//! true, and says what it last saw when that does not happen. Filters work as in any test binary:
//! `cargo test --test e2e -- scala`.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test may end at once, and says what it waits for")]

#[macro_use]
mod case;
mod api;
mod bounds;
mod cancels;
mod cells;
mod cli;
mod clients;
mod clusters;
mod commands;
mod contexts;
mod curl;
mod curl_forms;
mod dbfs;
mod engines;
mod events;
mod faults;
mod folders;
mod grid;
mod hostile;
mod interpreters;
mod jdbc;
mod libraries;
mod limits;
mod lists;
mod nodes;
mod output;
mod poll;
mod processes;
mod python;
mod r;
mod recovery;
mod results;
mod runtimes;
mod scala;
mod schedules;
mod sdk;
mod secrets;
mod server;
mod setup;
mod sql;
mod strict;
mod time_limits;
mod workspace;

use std::process::ExitCode;

use libtest_mimic::Arguments;

use crate::case::{Plan, Stage};
use crate::server::Server;

/// Cases that run at the same time, unless `--test-threads` says otherwise: they mostly wait for Spark.
const THREADS: usize = 6;

fn main() -> ExitCode {
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    let plan = Plan::new(cases(), &arguments);
    if arguments.list {
        return plan.run(arguments, None);
    }
    let _one_run = folders::lock();
    // The first start makes the runtime that all the others share.
    if !plan.needs_server() && folders::has_runtime() {
        return plan.run(arguments, None);
    }
    match Server::shared() {
        Ok(server) => plan.run(arguments, Some(server)),
        Err(said) => {
            eprintln!("the server did not start:\n{said}");
            ExitCode::FAILURE
        }
    }
}

fn cases() -> Vec<case::Case> {
    let shared = [
        // The slow ones first: the quick ones fill what is left of the time.
        runtimes::cases(),
        clients::cases(),
        libraries::cases(),
        clusters::cases(),
        sdk::cases(),
        scala::cases(),
        dbfs::cases(),
        engines::cases(),
        schedules::cases(),
        hostile::cases(),
        python::cases(),
        cells::cases(),
        r::cases(),
        results::cases(),
        sql::cases(),
        contexts::cases(),
        cancels::cases(),
        time_limits::cases(),
        commands::cases(),
        output::cases(),
        events::cases(),
        lists::cases(),
        curl_forms::cases(),
        strict::cases(),
        cli::cases(),
        secrets::cases(),
        workspace::cases(),
        jdbc::cases(),
    ];
    let shared = shared.into_iter().flatten();
    let alone = limits::cases().into_iter().map(|case| case.at(Stage::Alone));
    let end = std::iter::once(case::end());
    let own = [
        interpreters::cases(),
        setup::cases(),
        recovery::cases(),
        dbfs::own_cases(),
        output::own_cases(),
        faults::cases(),
        bounds::cases(),
    ];
    let own = own.into_iter().flatten();
    shared.chain(alone).chain(end).chain(own).collect()
}
