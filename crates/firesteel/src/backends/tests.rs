//! What a configuration of backends comes to, and what is refused of it.

use std::collections::BTreeMap;

use super::*;

#[derive(Debug, Deserialize)]
struct Told {
    #[serde(default)]
    backends: BTreeMap<String, Backend>,
    default_backend: Option<String>,
}

fn read(text: &str) -> Result<Backends, String> {
    let told: Told = toml::from_str(text).map_err(|error| error.to_string())?;
    Backends::new(told.backends, told.default_backend).map_err(|error| error.to_string())
}

#[test]
fn without_a_word_there_is_the_local_backend() {
    let backends = read("").unwrap();
    assert!(matches!(backends.find(None), Ok(Backend::Local(_))));
    assert_eq!(backends.find(Some("")), backends.find(Some("local")));
    let said = backends.find(Some("grid")).unwrap_err();
    assert!(said.contains("`grid`") && said.ends_with("local"), "{said}");
}

#[test]
fn what_is_wrong_is_refused_by_name() {
    let cases = [
        ("[backends.local]\nkind = 'local'\nworker_core = 1", "worker_core"),
        ("[backends.local]\nkind = 'local'\nworker_cores = 0", "backends.local.worker_cores: must be from 1"),
        (
            "[backends.local]\nkind = 'local'\nworker_memory_mb = 100",
            "backends.local.worker_memory_mb: must be from 512",
        ),
        ("[backends.x]\nkind = 'mesos'", "mesos"),
        ("[backends.x]\nworker_cores = 1", "kind"),
        ("default_backend = 'x'", "default_backend is `x`, which is none of: local"),
    ];
    for (text, said) in cases {
        let error = read(text).unwrap_err();
        assert!(error.contains(said), "{text}: {error}");
    }
}
