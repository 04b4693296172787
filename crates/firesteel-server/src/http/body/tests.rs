//! The binder: the same parameters through every encoding, its bounds, and bytes that are no parameters.

use std::fmt::Write;

use firesteel_model::limits::COMMAND_BYTES_MAX;
use proptest::prelude::*;

use super::*;

const MULTIPART: &str = "multipart/form-data; boundary=XyZ";

fn bound(label: Option<&str>, body: impl Into<Bytes>, query: Option<&str>) -> Result<Params, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(bind(label, body.into(), query, Bounds::of_commands(COMMAND_BYTES_MAX)))
}

/// Reads a body and compares `name=value` of every parameter in order of their names, or the error.
#[track_caller]
fn check(label: &str, body: impl Into<Bytes>, query: &str, expected: &str) {
    let label = Some(label).filter(|label| !label.is_empty());
    let seen = match bound(label, body, Some(query).filter(|query| !query.is_empty())) {
        Err(failure) => format!("error: {failure}"),
        Ok(params) => {
            let mut pairs: Vec<String> = params.0.iter().map(shown).collect();
            pairs.sort();
            pairs.join(" ")
        }
    };
    assert_eq!(seen, expected);
}

fn shown((name, value): (&String, &Value)) -> String {
    match value {
        Value::Text(text) => format!("{name}={text:?}"),
        Value::Nested(_) => format!("{name} nested"),
    }
}

#[test]
fn json_is_read_under_every_label() {
    for label in [
        "application/json",
        "text/json",
        "text/plain;charset=UTF-8",
        "application/x-www-form-urlencoded",
        "",
        MULTIPART,
    ] {
        check(label, "\r\n {\"clusterId\":\"c\",\"language\":\"sql\"}", "", r#"clusterId="c" language="sql""#);
    }
    check("application/json", "\u{feff}{\"a\":\"é\\u00e9\"}\n", "", "a=\"éé\"");
}

#[test]
fn numbers_and_booleans_are_the_text_they_were_written_as_and_null_is_absent() {
    let body = r#"{"a":3558513128163162828,"b":1e3,"c":true,"d":null,"e":-0.0,"f":[1],"g":{"h":1}}"#;
    check("", body, "d=query", r#"a="3558513128163162828" b="1e3" c="true" d="query" e="-0.0" f nested g nested"#);
}

#[test]
fn the_last_of_two_counts_and_the_query_fills_in() {
    check("", r#"{"a":"1","a":"2","b":"3","b":null}"#, "", r#"a="2""#);
    check("", "a=1&a=2&b=", "a=3&b=4&c=5", r#"a="2" b="" c="5""#);
    check("application/json", "", "clusterId=c&contextId=1", r#"clusterId="c" contextId="1""#);
}

#[test]
fn forms_are_read_as_curl_and_browsers_write_them() {
    check("application/x-www-form-urlencoded", "command=1+%2B+1%0a&x&&=y", "", r#"="y" command="1 + 1\n" x="""#);
    check("", "a=100%&b=%zz&c=%4&d=%e9", "", "error: parameter `d` is not UTF-8 text");
    check("", "a=100%&b=%zz&c=%4", "", r#"a="100%" b="%zz" c="%4""#);
}

#[test]
fn a_file_part_counts_as_its_text() {
    let body = "--XyZ\r\nContent-Disposition: form-data; name=\"clusterId\"\r\n\r\nc\r\n\
        --XyZ\r\nContent-Disposition: form-data; name=\"command\"; filename=\"a.py\"\r\n\
        Content-Type: application/octet-stream\r\n\r\n\n  print(1)\r\n\n\r\n\
        --XyZ\r\nContent-Disposition: form-data; name=\"name\"\r\n\
        Content-Type: text/plain; charset=ISO-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\u{e9}\r\n--XyZ--\r\n";
    check(
        MULTIPART,
        body,
        "contextId=1",
        "clusterId=\"c\" command=\"\\n  print(1)\\r\\n\\n\" contextId=\"1\" name=\"é\"",
    );
    let latin1: Vec<u8> = body.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    check(MULTIPART, latin1, "", "clusterId=\"c\" command=\"\\n  print(1)\\r\\n\\n\" name=\"é\"");
}

#[test]
fn what_cannot_be_read_is_refused_and_not_guessed() {
    check(
        "application/json",
        "{\"command\":\"print(\"x\")\"}",
        "contextId=1",
        "error: the body is not valid JSON: expected `,` or `}` at line 1 column 20",
    );
    check("", "{\"a\":1} x", "", "error: the body is not valid JSON: trailing characters at line 1 column 9");
    check(
        "",
        "{\"a\":\"\\ud800\"}",
        "",
        "error: the body is not valid JSON: unexpected end of hex escape at line 1 column 8",
    );
    check("", &b"{\"a\":\"\xe9\"}"[..], "", "error: the JSON body is not UTF-8");
    let deep = format!("{{\"a\":{}", "[".repeat(1_000_000));
    check("", deep, "", "error: the body is not valid JSON: EOF while parsing a list at line 1 column 1000005");
    check("text/json", "[1]", "", "error: the body is JSON, but not an object with the parameters as keys");
    check(
        "multipart/form-data",
        "--x",
        "",
        "error: the body is labelled multipart/form-data without a usable boundary",
    );
    check(
        MULTIPART,
        "--XyZ\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb",
        "",
        "error: the multipart body cannot be read: field \"a\" received with incomplete data",
    );
    check(
        MULTIPART,
        &b"--XyZ\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\xff\r\n--XyZ--"[..],
        "",
        "error: parameter `a` is not UTF-8 text",
    );
}

#[test]
fn parameters_are_bounded_in_number_and_size() {
    let many: String = (0..=FIELDS_MAX).map(|n| format!("p{n}=1&")).collect();
    check("", many, "", "error: more than 64 parameters were sent");
    let many: String = (0..=FIELDS_MAX).map(|n| format!("\"p{n}\":{{}},")).collect();
    check("", format!("{{{many}\"a\":1}}"), "", "error: more than 64 parameters were sent");
    let part = "--XyZ\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n";
    check(MULTIPART, part.repeat(FIELDS_MAX + 1) + "--XyZ--", "", "error: more than 64 parts were sent");

    let long = "x".repeat(FIELD_BYTES_MAX + 1);
    let refused = "error: parameter `clusterId` is larger than 65536 bytes";
    for (label, body) in encodings(&[("clusterId".into(), long)]) {
        check(&label, body, "", refused);
    }
}

#[test]
fn the_largest_command_fits_in_every_encoding() {
    // A newline takes two bytes as JSON and three in a form; an accented letter six for two, three bytes each.
    for command in ["\n".repeat(COMMAND_BYTES_MAX), "é".repeat(COMMAND_BYTES_MAX / 2)] {
        for (label, body) in encodings(&[("command".into(), command.clone())]) {
            assert!(body.len() <= Bounds::of_commands(COMMAND_BYTES_MAX).body, "{label}: {}", body.len());
            let mut params = bound(Some(&label), body, None).unwrap();
            assert_eq!(params.take("command").unwrap().len(), COMMAND_BYTES_MAX);
        }
    }
    let longer = "x".repeat(COMMAND_BYTES_MAX + 1);
    for (label, body) in encodings(&[("command".into(), longer)]) {
        check(&label, body, "", "error: parameter `command` is larger than 6291456 bytes");
    }
}

#[test]
fn an_empty_id_is_missing_and_an_empty_command_is_not() {
    let mut params = bound(None, "contextId=&command=&options={}", None).unwrap();
    assert_eq!(params.need("contextId").unwrap_err().to_string(), "requirement failed: missing contextId");
    assert_eq!(params.take("command").unwrap(), "");
    assert_eq!(params.take("command").unwrap_err().to_string(), "requirement failed: missing command");
    let params = bound(None, "{\"contextId\":[1]}", None).unwrap();
    assert_eq!(
        params.need("contextId").unwrap_err().to_string(),
        "`contextId` is an array or an object; it must be a string"
    );
}

/// The same parameters in every encoding, with the label that goes with it.
fn encodings(pairs: &[(String, String)]) -> Vec<(String, Bytes)> {
    let object: serde_json::Map<String, serde_json::Value> =
        pairs.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    let plain = serde_json::to_string(&object).unwrap();
    // As Python writes it: everything beyond ASCII as an escape.
    let mut ascii = String::new();
    for character in plain.chars() {
        if character.is_ascii() {
            ascii.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(ascii, "\\u{unit:04x}").unwrap();
            }
        }
    }
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let parts = |file: &str| {
        let part = |(name, value): &(String, String)| {
            format!("--XyZ\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n{value}\r\n")
        };
        pairs.iter().map(part).collect::<String>() + "--XyZ--\r\n"
    };
    vec![
        ("application/json".into(), plain.into()),
        ("application/x-www-form-urlencoded".into(), ascii.into()),
        ("application/x-www-form-urlencoded".into(), form.into()),
        (MULTIPART.into(), parts("").into()),
        (MULTIPART.into(), parts("; filename=\"command\"\r\nContent-Type: application/octet-stream").into()),
    ]
}

proptest! {
    #[test]
    fn the_same_parameters_read_the_same_in_every_encoding(
        pairs in prop::collection::hash_map("[a-zA-Z]{1,12}", any::<String>(), 1..6),
    ) {
        prop_assume!(pairs.values().all(|value| !value.contains("--XyZ")));
        let pairs: Vec<(String, String)> = pairs.into_iter().collect();
        let expected = Params(pairs.iter().cloned().map(|(name, value)| (name, Value::Text(value))).collect());
        for (label, body) in encodings(&pairs) {
            prop_assert_eq!(&bound(Some(&label), body, None).unwrap(), &expected, "{}", label);
        }
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
        prop_assert_eq!(bound(Some("application/json"), "", Some(&query)).unwrap(), expected);
    }

    #[test]
    fn no_body_makes_the_binder_panic(
        label in prop::option::of(prop_oneof![Just(MULTIPART.to_owned()), any::<String>(), "multipart/form-data; ?\\PC*"]),
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..400),
            "[{\\[]?[\\PC\"{}:,]*".prop_map(String::into_bytes),
            "(--XyZ(\r\n|--|Content-Disposition: form-data; name=\"?[a-z]\"?|\\PC|\r\n\r\n)*)*".prop_map(String::into_bytes),
        ],
        query in prop::option::of("\\PC*"),
    ) {
        let _ = bound(label.as_deref(), body, query.as_deref());
    }
}
