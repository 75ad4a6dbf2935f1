//! `policy`: the retention policy that is signed, and signing another.

use std::path::Path;

use serde_json::{Value, json};

use crate::cli::access::{self, AccessArgs};
use crate::cli::args::{PolicyArgs, PolicyCommand};
use crate::cli::desk;
use crate::cli::differing::{self, differences};
use crate::cli::report::{Ending, Failure, words};
use crate::cli::session::Session;
use crate::ops::policies;
use crate::policy::Policy;

/// Shows or signs.
///
/// # Errors
/// If the policy contradicts itself, or a store, the kit or the state fails.
pub fn run(args: &PolicyArgs, session: &Session) -> Result<Ending, Failure> {
    match &args.command {
        PolicyCommand::Show { access } => show(session, access),
        PolicyCommand::Set { kit } => set(session, &kit.kit),
    }
}

fn show(session: &Session, access: &AccessArgs) -> Result<Ending, Failure> {
    // With a store and a key alone there may be no config to compare with.
    let config = match access.vault_key {
        Some(_) => session.config().ok(),
        None => Some(session.config()?),
    };
    let mut shown = Vec::new();
    for auditor in access::auditors(session, access)? {
        let note = auditor.note();
        let policy = Policy::from_json(&note.policy)?;
        let mut vaults = config.iter().flat_map(|config| &config.vaults);
        let differs = match vaults.find(|vault| vault.name == note.name) {
            Some(vault) => {
                let mut differs = differing::of_policy(vault, note)?;
                differs.extend(differing::of_parameters(vault, note));
                Some(differs)
            }
            None => None,
        };
        shown.push(json!({
            "vault": note.name,
            "number": note.number,
            "policy": policy.to_json(),
            "text": policy.to_string(),
            "longest_readable_days": policies::longest_readable_days(&policy, note),
            "config_differs": differs,
        }));
    }
    let object = json!({ "policies": shown });
    session.report.result(object, &session.progress.warnings(), || {
        shown.iter().map(text_of).collect::<String>()
    })?;
    Ok(Ending::Done)
}

fn text_of(shown: &Value) -> String {
    let text = |name: &str| shown[name].as_str().unwrap_or_default();
    let mut lines = format!("vault {}, vault note {}\n", text("vault"), shown["number"]);
    if let Value::Object(policy) = &shown["policy"] {
        for (name, value) in policy {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            lines.push_str(&format!("  {name:12}  {}\n", words::printable(&value)));
        }
    }
    lines.push_str(&format!("  {}\n", readable(shown["longest_readable_days"].as_u64())));
    let differs = shown["config_differs"].as_array().into_iter().flatten();
    for line in differs.filter_map(Value::as_str) {
        lines.push_str(&format!("  differs: {}\n", words::printable(line)));
    }
    lines
}

fn readable(days: Option<u64>) -> String {
    match days {
        Some(days) => {
            format!("nothing stays readable for longer than {days} days where `retain` applies it")
        }
        None => "snapshots stay readable without a bound".to_owned(),
    }
}

fn set(session: &Session, kit: &Path) -> Result<Ending, Failure> {
    let mut open = desk::open(session, kit, "sign the policy")?;
    let stores = access::stores(&open.vault)?;
    let (policy, observer) = (&open.vault.policy, session.progress.as_ref());
    let report = policies::set(&mut open.desk, policy, &stores, observer)?;
    let signed = policy.to_json();
    let changed = report.before.as_ref().map(|before| differences(&signed, before));
    let object = json!({
        "vault": open.vault.name,
        "number": report.number,
        "policy": signed,
        "before": report.before,
        "completed": report.completed,
        "longest_readable_days": report.longest_readable_days,
    });
    session.report.deed(object, &session.progress.warnings(), Ending::Done, || {
        let (name, number) = (&open.vault.name, report.number);
        let head = match &changed {
            Some(_) => format!("signed in vault note {number} of {name}: {policy}\n"),
            None => format!("the policy of {name} is signed already, in vault note {number}\n"),
        };
        let readable = readable(report.longest_readable_days.map(u64::from));
        format!("{head}{readable}\nWhat earlier snapshots were promised by their floors stays.\n")
    })
}
