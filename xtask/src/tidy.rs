//! `cargo xtask tidy`: rules that no lint knows, one line for each violation.
//!
//! A rule is a function from the files of the repository to what is wrong with them; it reads nothing itself. The table
//! [`RULES`] is all of them.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, ensure};

use crate::bench::note;

/// A file of the repository.
#[derive(Debug)]
struct File {
    /// Its path in the repository, with slashes.
    path: String,
    /// What it holds; bytes that are no UTF-8 are replaced.
    text: String,
}

/// The words of a violation, with the path it is about.
type Violation = String;

type Rule = fn(&[File]) -> Vec<Violation>;

const RULES: [Rule; 6] = [
    rust_files_say_what_they_are,
    interpreter_files_say_what_they_are,
    engine_knows_no_http,
    arrows_go_down,
    only_the_store_knows_sqlite,
    routes_are_documented,
];

/// Rules about a single line, whatever the file: what must not be in it, and why.
const NOWHERE: [(&str, &str); 10] = [
    // In two parts, so that this file keeps its own rule.
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("/ho", "me/runner/"), "a path of one machine"),
    (concat!("crates", ".io"), "the host of a registry"),
    (concat!("pypi", ".org"), "the host of a registry"),
    (concat!("python", "hosted.org"), "the host of a registry"),
    (concat!("maven", ".org"), "the host of a registry"),
    (concat!("maven", ".apache.org"), "the host of a registry"),
    (concat!("npm", "js.org"), "the host of a registry"),
    (concat!("proxy.go", "lang.org"), "the host of a registry"),
];

/// Written by cargo, which names its registry in it.
const LOCK: &str = "Cargo.lock";

/// A Rust file with fewer lines than this says all by its name.
const TRIVIAL_LINES: usize = 10;

const ROUTER: &str = "crates/firesteel-server/src/http/router.rs";
const API_DOC: &str = "docs/api.md";
const ENGINE: &str = "crates/firesteel-server/src/engine";
const INTERPRETERS: &str = "crates/firesteel-driver/interpreters/";
const STORE: &str = "crates/firesteel-store/";

/// Which of our crates each may depend on. Arrows go down; the store and the driver do not know each other.
const ARROWS: [(&str, &[&str]); 6] = [
    ("firesteel-api", &[]),
    ("firesteel-model", &["firesteel-api"]),
    ("firesteel-store", &["firesteel-api", "firesteel-model"]),
    ("firesteel-driver", &["firesteel-api", "firesteel-model"]),
    ("firesteel-server", &["firesteel-api", "firesteel-model", "firesteel-store", "firesteel-driver"]),
    ("xtask", &[]),
];

/// Checks the repository; prints what is wrong.
pub(crate) fn run(root: &Path) -> ExitCode {
    let files = match files(root) {
        Ok(files) => files,
        Err(error) => {
            note(&format!("error: {error:#}"));
            return ExitCode::FAILURE;
        }
    };
    let found = check(&files);
    found.iter().for_each(|violation| note(violation));
    if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Applies every rule.
fn check(files: &[File]) -> Vec<Violation> {
    let mut found: Vec<Violation> = RULES.iter().flat_map(|rule| rule(files)).collect();
    found.extend(nothing_of_one_machine(files));
    found.sort();
    found
}

/// Everything that git tracks or would.
fn files(root: &Path) -> anyhow::Result<Vec<File>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]).current_dir(root);
    let listed = git.output().context("failed to start git")?;
    ensure!(listed.status.success(), "git cannot list the files of `{}`", root.display());
    let mut files = Vec::new();
    for path in String::from_utf8(listed.stdout)?.split_terminator('\0') {
        // One that was deleted is still listed.
        let Ok(bytes) = fs::read(root.join(path)) else { continue };
        files.push(File { path: path.to_owned(), text: String::from_utf8_lossy(&bytes).into_owned() });
    }
    Ok(files)
}

fn rust_files_say_what_they_are(files: &[File]) -> Vec<Violation> {
    let silent = |file: &&File| {
        file.path.ends_with(".rs") && file.text.lines().count() >= TRIVIAL_LINES && !file.text.starts_with("//! ")
    };
    files
        .iter()
        .filter(silent)
        .map(|file| format!("{}: begins without `//!`: say what lives here", file.path))
        .collect()
}

fn interpreter_files_say_what_they_are(files: &[File]) -> Vec<Violation> {
    let silent = |file: &&File| {
        let header = match file.path.rsplit_once('.') {
            Some((_, "py")) => "\"\"\"",
            Some((_, "scala")) => "// ",
            Some((_, "R")) => "# ",
            _ => return false,
        };
        let ours = file.path.starts_with(INTERPRETERS) || file.path.starts_with("bench/");
        let text = file.text.trim_start_matches(|c: char| c.is_whitespace());
        ours && !text.is_empty() && !text.starts_with(header)
    };
    files.iter().filter(silent).map(|file| format!("{}: begins without a header: say what it is", file.path)).collect()
}

fn engine_knows_no_http(files: &[File]) -> Vec<Violation> {
    let strangers = ["axum", "hyper", "http", "hyper_util", "http_body_util", "axum_core"];
    let below = |file: &&File| file.path.starts_with(ENGINE) && file.path.ends_with(".rs");
    lines(files.iter().filter(below), |line| {
        let word = words(line).find(|word| strangers.contains(word))?;
        Some(format!("mentions `{word}`: the engine knows no HTTP"))
    })
}

fn arrows_go_down(files: &[File]) -> Vec<Violation> {
    let mut found = Vec::new();
    for (name, allowed) in ARROWS {
        let folder = if name == "xtask" { "xtask/".to_owned() } else { format!("crates/{name}/") };
        let own = |file: &&File| file.path.starts_with(&folder);
        let manifest = files.iter().filter(own).find(|file| file.path == format!("{folder}Cargo.toml"));
        found.extend(lines(manifest, |line| {
            let depends = line.split(['.', '=', ' ']).next().unwrap_or_default();
            let wrong = depends.starts_with("firesteel") && !allowed.contains(&depends);
            wrong.then(|| format!("{name} may not depend on {depends}"))
        }));
        let sources = files.iter().filter(own).filter(|file| file.path.ends_with(".rs") && name != "xtask");
        found.extend(lines(sources, |line| {
            let code = line.split("//").next().unwrap_or_default();
            let names = words(code).filter(|word| word.starts_with("firesteel_")).map(|word| word.replace('_', "-"));
            let known = |other: &str| other == name || allowed.contains(&other);
            let other = names.into_iter().find(|other| is_crate(other) && !known(other))?;
            Some(format!("{name} may not depend on {other}"))
        }));
    }
    found
}

fn is_crate(name: &str) -> bool {
    name == "firesteel" || ARROWS.iter().any(|(known, _)| *known == name)
}

fn only_the_store_knows_sqlite(files: &[File]) -> Vec<Violation> {
    let elsewhere = |file: &&File| {
        let source = file.path.ends_with(".rs") || file.path.ends_with("/Cargo.toml");
        source && !file.path.starts_with(STORE) && !file.path.starts_with("xtask/src/tidy")
    };
    lines(files.iter().filter(elsewhere), |line| {
        let word = words(line).find(|word| ["rusqlite", "libsqlite3_sys"].contains(word))?;
        Some(format!("mentions `{word}`: only the store knows SQL"))
    })
}

fn routes_are_documented(files: &[File]) -> Vec<Violation> {
    let text = |path: &str| files.iter().find(|file| file.path == path).map(|file| file.text.as_str());
    let Some(router) = text(ROUTER) else { return vec![format!("{ROUTER}: is not there")] };
    let doc = text(API_DOC).unwrap_or_default();
    let routes =
        router.split(".route(").skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next());
    let missing = routes.filter(|route| !has_path(doc, route));
    missing.map(|route| format!("{ROUTER}: `{route}` is not in {API_DOC}")).collect()
}

/// Tells whether a text names a path, and not only a longer one.
fn has_path(text: &str, path: &str) -> bool {
    let longer = |c: char| c.is_alphanumeric() || "/_-".contains(c);
    text.match_indices(path).any(|(at, _)| !text[at + path.len()..].starts_with(longer))
}

fn nothing_of_one_machine(files: &[File]) -> Vec<Violation> {
    lines(files.iter().filter(|file| file.path != LOCK), |line| {
        // A path is one where it begins; `a/root/b` is another.
        let begins = |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "_-~.}>)".contains(c));
        let is_there = |text: &str| match text.starts_with('/') {
            true => line.match_indices(text).any(|(at, _)| begins(at)),
            false => line.contains(text),
        };
        let (text, what) = NOWHERE.iter().find(|(text, _)| is_there(text))?;
        Some(format!("`{text}`: {what} has no place here"))
    })
}

/// Looks at each line of some files.
fn lines<'a>(files: impl IntoIterator<Item = &'a File>, wrong: impl Fn(&str) -> Option<String>) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in files {
        let wrongs = file.text.lines().enumerate().filter_map(|(at, line)| Some((at + 1, wrong(line)?)));
        found.extend(wrongs.map(|(number, what)| format!("{}:{number}: {what}", file.path)));
    }
    found
}

/// The identifiers of a text, and its other words.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(files: &[(&str, &str)]) -> Vec<File> {
        files.iter().map(|(path, text)| File { path: (*path).to_owned(), text: (*text).to_owned() }).collect()
    }

    fn long(first: &str) -> String {
        format!("{first}\n{}", "let x = 1;\n".repeat(TRIVIAL_LINES))
    }

    #[test]
    fn a_rust_file_says_what_it_is_unless_it_is_trivial() {
        let (silent, telling) = (long("use x;"), long("//! What it is."));
        let files = repository(&[("a.rs", &silent), ("b.rs", &telling), ("c.rs", "mod d;\n"), ("e.py", &silent)]);
        assert_eq!(rust_files_say_what_they_are(&files), ["a.rs: begins without `//!`: say what lives here"]);
    }

    #[test]
    fn a_file_of_the_interpreters_says_what_it_is() {
        let at = |name: &str| format!("{INTERPRETERS}{name}");
        let paths = [at("a.py"), at("b.py"), at("c.scala"), at("d.scala"), at("__init__.py"), at("e.txt")];
        let texts = ["import os", "\"\"\"What.\"\"\"", "package x", "// What.\npackage x", "", "text"];
        let files: Vec<(&str, &str)> =
            paths.iter().map(String::as_str).zip(texts).chain([("other/a.py", "x")]).collect();
        let found = interpreter_files_say_what_they_are(&repository(&files));
        let wrong: Vec<&str> = found.iter().filter_map(|line| line.split(':').next()).collect();
        assert_eq!(wrong, [&paths[0], &paths[2]]);
    }

    #[test]
    fn the_engine_may_say_https_in_a_comment_but_name_no_http_crate() {
        let text = "//! Knows no HTTP: see https://example.com\nuse crate::http::Answer;\nuse axum::Json;\nlet hyperion = 1;\n";
        let path = format!("{ENGINE}/a.rs");
        let found =
            engine_knows_no_http(&repository(&[(&path, text), ("crates/firesteel-server/src/http/a.rs", text)]));
        let [http, axum] = found.as_slice() else { panic!("{found:?}") };
        assert!(http.starts_with(&format!("{path}:2: mentions `http`")), "{http}");
        assert!(axum.starts_with(&format!("{path}:3: mentions `axum`")), "{axum}");
    }

    #[test]
    fn dependencies_go_down_only() {
        let files = repository(&[
            ("crates/firesteel-store/Cargo.toml", "[dependencies]\nfiresteel-model.workspace = true\n"),
            (
                "crates/firesteel-driver/Cargo.toml",
                "name = \"x\"\nfiresteel-store = { path = \"../firesteel-store\" }\n",
            ),
            ("crates/firesteel-store/src/lib.rs", "//! Not firesteel_driver.\nuse firesteel_driver::x;\n"),
            ("crates/firesteel-driver/src/lib.rs", "use firesteel_python::x; use firesteel_driver::y;\n"),
            ("crates/firesteel/Cargo.toml", "firesteel-store.workspace = true\n"),
        ]);
        assert_eq!(
            arrows_go_down(&files),
            [
                "crates/firesteel-store/src/lib.rs:2: firesteel-store may not depend on firesteel-driver",
                "crates/firesteel-driver/Cargo.toml:2: firesteel-driver may not depend on firesteel-store",
            ]
        );
    }

    #[test]
    fn sql_is_the_store_s_alone() {
        let text = "use rusqlite::Connection;\n";
        let files = repository(&[
            ("crates/firesteel-store/src/lib.rs", text),
            ("crates/firesteel-server/src/lib.rs", text),
            ("Cargo.toml", "rusqlite = \"1\"\n"),
            ("crates/firesteel/Cargo.toml", "rusqlite.workspace = true\n"),
        ]);
        let found = only_the_store_knows_sqlite(&files);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().all(|line| !line.starts_with(STORE)), "{found:?}");
    }

    #[test]
    fn a_route_that_the_document_lacks_is_named() {
        let router = "router.route(\"/api/1.2/a\", get(a)).route(\n    \"/api/1.2/a/b\", get(b)).route(\"/c\", get(c))";
        let files = repository(&[(ROUTER, router), (API_DOC, "`GET /api/1.2/a/b`, `/c?x=1` and `/api/1.2/abc`")]);
        assert_eq!(routes_are_documented(&files), [format!("{ROUTER}: `/api/1.2/a` is not in {API_DOC}")]);
        assert_eq!(routes_are_documented(&files[..1]).len(), 3);
    }

    #[test]
    fn nothing_of_one_machine_is_anywhere_but_in_the_lock() {
        let text = format!("see {}x\nand {}\n", NOWHERE[0].0, NOWHERE[4].0);
        let files = repository(&[("a.md", &text), (LOCK, &text), ("b.md", concat!("a/ro", "ot/b, ~/ro", "ot/c"))]);
        let found = nothing_of_one_machine(&files);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("a.md:1: ") && found[1].starts_with("a.md:2: "), "{found:?}");
    }

    #[test]
    fn this_repository_is_read_whole() {
        let files = files(&crate::root()).unwrap();
        assert!(files.iter().any(|file| file.path == "xtask/src/tidy.rs"));
        assert!(files.iter().any(|file| file.path == ROUTER));
    }
}
