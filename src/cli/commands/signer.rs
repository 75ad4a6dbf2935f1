//! `signer`: who signs for a vault.

use std::path::Path;

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::keygen::{exists, write_new};
use crate::base::{SignerId, VaultId, entropy};
use crate::cli::access::{self, AccessArgs};
use crate::cli::args::{SignerArgs, SignerCommand};
use crate::cli::desk::{self, OpenDesk};
use crate::cli::report::table::{Side, Table};
use crate::cli::report::{Ending, Failure, words};
use crate::cli::session::Session;
use crate::crypto::signing::{KeyUse, SigningKey, VerificationKey};
use crate::format::role::Role;
use crate::ops::signers::{self, SignerReport};
use crate::vault::ledger;

/// Lists, adds, changes or retires signers.
///
/// # Errors
/// If the change is refused, or a store, the kit or the state fails.
pub fn run(args: &SignerArgs, session: &Session) -> Result<Ending, Failure> {
    match &args.command {
        SignerCommand::List { access } => list(session, access),
        SignerCommand::Add { role, output, key, event, kit } => {
            let whose = match (output, key) {
                (Some(path), _) => Whose::New(path),
                (None, key) => Whose::Given(key.as_deref().unwrap_or_default()),
            };
            add(session, role.role(), whose, event, &kit.kit)
        }
        SignerCommand::Set { id, event, kit } => set(session, id.parse()?, event, &kit.kit),
        SignerCommand::Retire { id, kit } => retire(session, id.parse()?, &kit.kit),
    }
}

/// Whose key a new signer has.
enum Whose<'a> {
    /// One that is made, in this file.
    New(&'a Path),
    /// One that was made elsewhere: its verification key.
    Given(&'a str),
}

fn list(session: &Session, access: &AccessArgs) -> Result<Ending, Failure> {
    let mut signers = Vec::new();
    for auditor in access::auditors(session, access)? {
        let logs = ledger::read_all(&auditor)?;
        let size =
            |id: SignerId| logs.iter().find(|log| log.signer == id).map_or(0, |log| log.head.size);
        let note = auditor.note();
        signers.extend(note.signers.iter().map(|signer| {
            json!({
                "vault": note.name,
                "number": note.number,
                "id": signer.id,
                "role": signer.role,
                "key": signer.key,
                "events": signer.events,
                "retired": signer.retired.map(|at| at.to_string()),
                "log_size": size(signer.id),
            })
        }));
    }
    let object = json!({ "signers": signers });
    session.report.result(object, &session.progress.warnings(), || table(&signers))?;
    Ok(Ending::Done)
}

fn table(signers: &[Value]) -> String {
    let mut table = Table::new(&[
        ("id", Side::Left),
        ("vault", Side::Left),
        ("role", Side::Left),
        ("events", Side::Right),
        ("retired", Side::Left),
    ]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for signer in signers {
        table.row([
            text(&signer["id"]),
            text(&signer["vault"]),
            text(&signer["role"]),
            words::number(signer["log_size"].as_u64().unwrap_or_default()),
            text(&signer["retired"]),
        ]);
    }
    table.to_string()
}

fn add(
    session: &Session,
    role: Role,
    whose: Whose<'_>,
    requested: &[String],
    kit: &Path,
) -> Result<Ending, Failure> {
    let events = signers::events_for(role, requested)?;
    let mut open = desk::open(session, kit, "add a signer")?;
    let operator = &open.desk.operator;
    let (key, written) = match whose {
        Whose::New(path) => (key_file(session, path, operator.vault())?, Some(path)),
        Whose::Given(text) => (access::read_key(text)?, None),
    };
    let observer = session.progress.as_ref();
    let report = signers::add(&mut open.desk, &key, role, events, observer)?;
    say(session, &open, &report, |report| {
        let written = written.map_or_else(String::new, |path| {
            format!("its key           {}: only its owner reads it\n", path.display())
        });
        let events: Vec<String> = report.delegate.events.iter().map(ToString::to_string).collect();
        format!(
            "added {role} {} to vault {}, signed in vault note {}\n{written}\
             verification key  {}\nmay append        {}\n",
            report.delegate.id,
            open.vault.name,
            report.number,
            report.delegate.key,
            events.join(", "),
        )
    })
}

/// Makes a signer's key in a new file, or takes the one that an interrupted run left there.
fn key_file(session: &Session, path: &Path, vault: VaultId) -> Result<VerificationKey, Failure> {
    if path.symlink_metadata().is_ok() {
        let text = std::fs::read_to_string(path).map(Zeroizing::new);
        let key = text.ok().and_then(|text| SigningKey::from_secret_text(text.trim_end()).ok());
        let key = key.map(|key| key.verification_key().clone());
        let is_ours = |key: &VerificationKey| key.vault() == vault && key.usage() == KeyUse::Signer;
        return key.filter(is_ours).ok_or_else(|| exists(path));
    }
    let seed = Zeroizing::new(entropy::draw(session.entropy.as_ref()));
    let key = SigningKey::from_seed(vault, KeyUse::Signer, &seed);
    let text = Zeroizing::new(format!("{}\n", key.to_secret_text().as_str()));
    write_new(path, text.as_bytes())?;
    Ok(key.verification_key().clone())
}

fn set(
    session: &Session,
    signer: SignerId,
    requested: &[String],
    kit: &Path,
) -> Result<Ending, Failure> {
    let mut open = desk::open(session, kit, "delegate to a signer")?;
    let before = open.desk.operator.note().number;
    let observer = session.progress.as_ref();
    let report = signers::set(&mut open.desk, signer, requested, observer)?;
    say(session, &open, &report, |report| {
        let (delegate, name) = (&report.delegate, &open.vault.name);
        let events: Vec<String> = delegate.events.iter().map(ToString::to_string).collect();
        let what = match report.number == before && !report.completed {
            true => {
                format!("{} {} of vault {name} may append that already\n", delegate.role, signer)
            }
            false => format!(
                "delegated to {} {signer} of vault {name}, signed in vault note {}\n",
                delegate.role, report.number
            ),
        };
        format!("{what}may append        {}\n", events.join(", "))
    })
}

fn retire(session: &Session, signer: SignerId, kit: &Path) -> Result<Ending, Failure> {
    let mut open = desk::open(session, kit, "retire a signer")?;
    let report = signers::retire(&mut open.desk, signer, session.progress.as_ref())?;
    say(session, &open, &report, |report| {
        format!(
            "retired {} {} of vault {}, signed in vault note {}\n\
             What it signed before stays valid; what it signs from now on does not verify.\n",
            report.delegate.role, report.delegate.id, open.vault.name, report.number
        )
    })
}

fn say(
    session: &Session,
    open: &OpenDesk,
    report: &SignerReport,
    text: impl FnOnce(&SignerReport) -> String,
) -> Result<Ending, Failure> {
    let delegate = &report.delegate;
    let object = json!({
        "vault": open.vault.name,
        "number": report.number,
        "id": delegate.id,
        "role": delegate.role,
        "key": delegate.key,
        "events": delegate.events,
        "retired": delegate.retired.map(|at| at.to_string()),
        "completed": report.completed,
    });
    session.report.deed(object, &session.progress.warnings(), Ending::Done, || text(report))
}
