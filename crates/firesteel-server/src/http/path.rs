//! Tidies request paths before anything looks at them.

use axum::http::Uri;
use axum::http::uri::PathAndQuery;

/// Drops what clients add by mistake: blanks and slashes at the end, doubled slashes anywhere.
///
/// One client calls `/api/1.2/contexts/destroy ` and its HTTP library may write the blank as `%20`; others join a
/// base address that ends in a slash. Nothing else is decoded: a path with other escapes is an unknown path.
pub(crate) fn tidy(uri: &mut Uri) {
    let path = uri.path();
    let tidied = tidied(path);
    if tidied == path {
        return;
    }
    let text = match uri.query() {
        Some(query) => format!("{tidied}?{query}"),
        None => tidied,
    };
    let mut parts = std::mem::take(uri).into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(text).expect("dropping slashes and blanks leaves a valid path"));
    *uri = Uri::from_parts(parts).expect("only the path of a valid address has changed");
}

fn tidied(path: &str) -> String {
    let mut rest = path;
    while let Some(shorter) =
        rest.strip_suffix('/').or_else(|| rest.strip_suffix("%20")).or_else(|| rest.strip_suffix(' '))
    {
        rest = shorter;
    }
    let mut tidied = String::with_capacity(rest.len() + 1);
    for part in rest.split('/').filter(|part| !part.is_empty()) {
        tidied.push('/');
        tidied.push_str(part);
    }
    if tidied.is_empty() {
        tidied.push('/');
    }
    tidied
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(from: &str, to: &str) {
        let mut uri: Uri = from.parse().unwrap();
        tidy(&mut uri);
        assert_eq!(uri.to_string(), to);
    }

    #[test]
    fn blanks_and_slashes_that_clients_add_are_dropped() {
        check("/api/1.2/contexts/destroy", "/api/1.2/contexts/destroy");
        check("/api/1.2/contexts/destroy%20", "/api/1.2/contexts/destroy");
        check("/api/1.2/contexts/destroy/%20/?a=%20/", "/api/1.2/contexts/destroy?a=%20/");
        check("//api//1.2/clusters/list/?", "/api/1.2/clusters/list?");
        check("/", "/");
        check("//", "/");
        check("https://host:1//api/1.2/", "https://host:1/api/1.2");
    }

    #[test]
    fn other_escapes_stay_as_they_are() {
        check("/%2e%2e/a%2Fb", "/%2e%2e/a%2Fb");
        check("/a%20b", "/a%20b");
    }
}
