//! Where a config says something else than the signed vault note, which is in force.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::config::VaultConfig;
use crate::format::parameters::Parameters;
use crate::format::vault_note::VaultNote;
use crate::policy::{Policy, PolicyError};

/// Returns what the policy of a config says otherwise than the signed one.
///
/// # Errors
/// If the signed policy does not parse.
pub fn of_policy(vault: &VaultConfig, note: &VaultNote) -> Result<Vec<String>, PolicyError> {
    let signed = Policy::from_json(&note.policy)?.to_json();
    Ok(differences(&vault.policy.to_json(), &signed))
}

/// Returns which parameters a config sets otherwise than the vault began with.
///
/// What it does not set is no wish: a default may be another than when the vault was made.
pub fn of_parameters(vault: &VaultConfig, note: &VaultNote) -> Vec<String> {
    let set = |parameters: &Parameters| -> Map<String, Value> {
        let Value::Object(map) = json!(parameters) else { return Map::new() };
        map.into_iter().filter(|(name, _)| vault.set_parameters.contains(name.as_str())).collect()
    };
    let found = differences(&set(&vault.parameters), &set(&note.parameters));
    found.into_iter().map(|line| format!("{line} since `init`")).collect()
}

/// Returns each setting that two maps do not agree on, with both values.
pub fn differences(config: &Map<String, Value>, signed: &Map<String, Value>) -> Vec<String> {
    let text = |value: Option<&Value>| match value {
        None | Some(Value::Null) => "not set".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    };
    let names: BTreeSet<&String> = config.keys().chain(signed.keys()).collect();
    let differing = names.into_iter().filter(|name| config.get(*name) != signed.get(*name));
    let line = |name: &String| {
        let (here, there) = (text(config.get(name)), text(signed.get(name)));
        format!("{name}: {here} in the config, {there} signed")
    };
    differing.map(line).collect()
}
