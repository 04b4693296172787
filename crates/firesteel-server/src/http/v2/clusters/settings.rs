//! What a call says of a cluster. Keys that mean nothing here are ignored: clients send what other places need.

use firesteel_api::v2::events::{Autoscale, ClusterSize};
use firesteel_model::ClusterSettings;
use serde_json::{Map, Value};

use crate::http::body::Params;
use crate::http::error::Failure;

/// Reads all settings; what is absent is as by default.
pub(super) fn read(ask: &Params) -> Result<ClusterSettings, Failure> {
    let text = |name| Ok::<_, Failure>(ask.get(name)?.map(str::to_owned));
    let size = size_of(ask)?.unwrap_or(ClusterSize { num_workers: Some(0), autoscale: None });
    let settings = ClusterSettings {
        cluster_name: text("cluster_name")?.unwrap_or_default(),
        spark_version: text("spark_version")?,
        node_type_id: text("node_type_id")?,
        driver_node_type_id: text("driver_node_type_id")?,
        spark_conf: strings(ask, "spark_conf")?,
        spark_env_vars: strings(ask, "spark_env_vars")?,
        custom_tags: strings(ask, "custom_tags")?,
        autotermination_minutes: ask.parsed("autotermination_minutes", "a number of minutes")?.unwrap_or_default(),
        backend: text("backend")?,
        data_security_mode: text("data_security_mode")?,
        single_user_name: text("single_user_name")?,
        ..ClusterSettings::default()
    };
    Ok(settings.resized(size))
}

/// Reads the size that `resize` must have.
pub(super) fn size(ask: &Params) -> Result<ClusterSize, Failure> {
    size_of(ask)?.ok_or_else(|| Failure::missing("num_workers"))
}

fn size_of(ask: &Params) -> Result<Option<ClusterSize>, Failure> {
    let autoscale: Option<Autoscale> = ask.nested("autoscale")?;
    if autoscale.is_some() {
        return Ok(Some(ClusterSize { autoscale, num_workers: None }));
    }
    let num_workers = ask.parsed("num_workers", "a number of workers")?;
    Ok(num_workers.map(|count| ClusterSize { autoscale: None, num_workers: Some(count) }))
}

/// Puts the settings that `update_mask` names, separated by commas, in place of the old ones. A name after a dot is one entry
/// of a map. What the mask names and `cluster` does not have is as by default.
pub(super) fn masked(old: &ClusterSettings, ask: &Params) -> Result<ClusterSettings, Failure> {
    let mask = ask.need("update_mask")?;
    let new: Map<String, Value> = ask.nested("cluster")?.unwrap_or_default();
    let Ok(Value::Object(mut all)) = serde_json::to_value(old) else { unreachable!("settings are an object") };
    for path in mask.split(',').map(str::trim).filter(|path| !path.is_empty()) {
        match path.split_once('.') {
            _ if path == "*" => all = new.clone(),
            // The one replaces the other.
            None if path == "num_workers" || path == "autoscale" => {
                all.remove("num_workers");
                all.remove("autoscale");
                put(&mut all, path, new.get(path));
            }
            None => put(&mut all, path, new.get(path)),
            Some((map, entry)) => {
                let of_map = all.entry(map).or_insert_with(|| Value::Object(Map::new()));
                let of_map = of_map.as_object_mut().ok_or_else(|| unknown(path))?;
                put(of_map, entry, new.get(map).and_then(|map| map.get(entry)));
            }
        }
    }
    serde_json::from_value(Value::Object(all)).map_err(|wrong| Failure::invalid(format!("`cluster`: {wrong}")))
}

fn put(map: &mut Map<String, Value>, key: &str, value: Option<&Value>) {
    match value {
        Some(Value::Null) | None => drop(map.remove(key)),
        Some(value) => drop(map.insert(key.to_owned(), value.clone())),
    }
}

fn unknown(path: &str) -> Failure {
    let path: String = path.chars().take(80).collect();
    Failure::invalid(format!("`update_mask`: there is no `{path}`"))
}

/// Reads a map of strings; numbers and booleans count as the text they are written as.
fn strings(ask: &Params, name: &str) -> Result<std::collections::BTreeMap<String, String>, Failure> {
    let map: Map<String, Value> = ask.nested(name)?.unwrap_or_default();
    let entry = |(key, value): (String, Value)| match value {
        Value::String(text) => Ok((key, text)),
        Value::Number(_) | Value::Bool(_) => Ok((key, value.to_string())),
        _ => Err(Failure::invalid(format!("`{name}`: the value of `{}` must be a string", key.escape_debug()))),
    };
    map.into_iter().map(entry).collect()
}
