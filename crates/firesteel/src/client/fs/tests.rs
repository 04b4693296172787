//! What users type.

use super::place::{Place, join, name};

#[track_caller]
fn check(text: &str, expected: &str) {
    let place = match Place::of(text) {
        Ok(Place::Here(path)) => format!("here {}", path.display()),
        Ok(Place::There(path)) => format!("there {path}"),
        Err(failure) => format!("error: {failure}"),
    };
    assert_eq!(place, expected);
}

#[test]
fn what_begins_with_the_scheme_is_on_the_server() {
    check("dbfs:/a//b", "there /a/b");
    check("dbfs:/a/", "there /a/");
    check("dbfs:/", "there /");
    check("dbfs:///a b", "there /a b");
    check("/tmp/x", "here /tmp/x");
    check("x:y", "here x:y");
    check("file:/tmp/x", "here /tmp/x");
    check("", "error: a path is empty");
    check("dbfs:a", "error: `dbfs:a` is no path of dbfs:/; write it as `dbfs:/…`");
    check("dbfs:/a/../b", "error: `dbfs:/a/../b` holds `.` or `..` as a name; write the path without");
}

#[test]
fn names_are_put_together_and_taken_apart() {
    assert_eq!((name("/a/b/"), name("/a"), name("/")), ("b", "a", ""));
    assert_eq!((join("/", "a"), join("/a", "b"), join("/a/", "b")), ("/a".into(), "/a/b".into(), "/a/b".into()));
}
