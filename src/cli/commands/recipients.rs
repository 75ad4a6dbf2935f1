//! `recipients`: who can open a vault.

use serde_json::{Value, json};

use crate::base::Digest;
use crate::cli::access::{self, AccessArgs};
use crate::cli::args::{RecipientsArgs, RecipientsCommand};
use crate::cli::desk::{self, OpenDesk};
use crate::cli::report::{Ending, Failure, words};
use crate::cli::session::Session;
use crate::crypto::recipient::DataRecipients;
use crate::ops::recipients::{self, RecipientsChange, RecipientsReport};

/// Hex digits of a digest that are shown.
const SHORT_LEN: usize = 16;

/// Lists or changes recipients.
///
/// # Errors
/// If the change is refused, or a store, the kit or the state fails.
pub fn run(args: &RecipientsArgs, session: &Session) -> Result<Ending, Failure> {
    match &args.command {
        RecipientsCommand::List { access } => list(session, access),
        RecipientsCommand::Add { recipients, kit } => {
            let mut open = desk::open(session, &kit.kit, "add a recipient")?;
            change(session, &mut open, RecipientsChange::Add(recipients))
        }
        RecipientsCommand::Remove { recipients, kit } => {
            let mut open = desk::open(session, &kit.kit, "remove a recipient")?;
            change(session, &mut open, RecipientsChange::Remove(recipients))
        }
    }
}

fn list(session: &Session, access: &AccessArgs) -> Result<Ending, Failure> {
    let mut vaults = Vec::new();
    // A store and a key are enough; then there may be no config, and no text is known.
    let config = session.config().ok();
    for auditor in access::auditors(session, access)? {
        let note = auditor.note();
        let named = config.iter().flat_map(|config| &config.vaults);
        let texts: Vec<&String> = named
            .filter(|vault| vault.name == note.name)
            .flat_map(|vault| &vault.recipients)
            .collect();
        let digests = match texts.is_empty() {
            true => Vec::new(),
            false => DataRecipients::parse(&texts)?.digests(),
        };
        let text = |digest: &Digest| {
            digests.iter().position(|known| known == digest).map(|at| texts[at].clone())
        };
        let signed = note
            .recipients
            .iter()
            .map(|digest| json!({ "sha256": digest, "recipient": text(digest) }));
        let unsigned = digests.iter().filter(|digest| !note.recipients.contains(digest));
        let unsigned: Vec<_> = unsigned.filter_map(text).collect();
        vaults.push(json!({
            "vault": note.name,
            "number": note.number,
            "recipients": signed.collect::<Vec<_>>(),
            "unsigned": unsigned,
        }));
    }
    let object = json!({ "vaults": vaults });
    let has_config = config.is_some();
    session.report.result(object, &session.progress.warnings(), || {
        vaults.iter().map(|vault| listed(vault, has_config)).collect()
    })?;
    Ok(Ending::Done)
}

fn listed(vault: &Value, has_config: bool) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut lines = String::new();
    for recipient in vault["recipients"].as_array().into_iter().flatten() {
        let short: String = text(&recipient["sha256"]).chars().take(SHORT_LEN).collect();
        let known = match recipient["recipient"].as_str() {
            Some(known) => known,
            None if has_config => "not in the config",
            None => "known by its digest alone",
        };
        lines.push_str(&format!("{}  {short}  {known}\n", text(&vault["vault"])));
    }
    for unsigned in vault["unsigned"].as_array().into_iter().flatten() {
        let line = "in the config and not signed: `recipients add` signs it";
        let vault = text(&vault["vault"]);
        lines.push_str(&format!("{vault}  {:SHORT_LEN$}  {}  {line}\n", "-", text(unsigned)));
    }
    lines
}

fn change(
    session: &Session,
    open: &mut OpenDesk,
    change: RecipientsChange<'_>,
) -> Result<Ending, Failure> {
    let observer = session.progress.as_ref();
    let texts = &open.vault.recipients;
    let report = recipients::change(&mut open.desk, change, texts, &session.ask, observer)?;
    let object = json!({
        "vault": open.vault.name,
        "number": report.number,
        "changed": report.changed,
        "recipients": report.recipients.iter().map(|(digest, text)| {
            json!({ "sha256": digest, "recipient": text })
        }).collect::<Vec<_>>(),
        "resealed_count": report.resealed_count,
        "completed": report.completed,
        "kit": open.desk.kit.dir(),
        "opened": report.opened,
    });
    let is_removal = matches!(change, RecipientsChange::Remove(_));
    session.report.deed(object, &session.progress.warnings(), Ending::Done, || {
        let mut text = words_of(&report, open, is_removal);
        if is_removal {
            text.push_str(&limits_of(&report, open));
        }
        text
    })
}

fn words_of(report: &RecipientsReport, open: &OpenDesk, is_removal: bool) -> String {
    let (done, to_do) = if is_removal { ("removed", "remove it") } else { ("added", "add it") };
    let (to, preposition) = if is_removal { ("from", "from") } else { ("to", "to") };
    let changed = words::count(report.changed.len() as u64, "recipient");
    let sealed = match report.completed {
        true => "an earlier run had signed this; now it is complete".to_owned(),
        false => words::count(report.resealed_count as u64, "generation file"),
    };
    format!(
        "{done} {changed} {to} vault {}: {} in all, signed in vault note {}\n\
         sealed again      {sealed}\n\
         recovery kit      its root key is sealed to the new set in {}\n                  \
         Copies of the kit elsewhere are still sealed to the old one: replace them.\n\
         config            {to_do} {preposition} `recipients` in {}\n",
        open.vault.name,
        report.recipients.len(),
        report.number,
        open.desk.kit.dir().display(),
        open.config.path.display(),
    )
}

/// Says what a removal does not do: nobody should find that out later.
fn limits_of(report: &RecipientsReport, open: &OpenDesk) -> String {
    let rolled = match (&report.opened, &open.desk.host) {
        (Some(generation), _) => format!("rolled: {generation} is open now"),
        (None, Some(_)) => "is rolled by the next snapshot".to_owned(),
        (None, None) => "is rolled by the host's next snapshot, until then the old one goes on; \
                         the config there must name the new set"
            .to_owned(),
    };
    format!(
        "generation        {rolled}\n\
         not taken back    what was sealed before opens with the old identity as well, from any \
         copy;\n                  \
         and whoever opened an old kit may have kept the root key\n"
    )
}
