//! Changing who can open a vault. Spec: §5.4, §5.6.

use std::collections::{BTreeMap, BTreeSet};

use super::change::ChangeError;
use super::desk::Desk;
use super::{Error, generations};
use crate::base::{Coded, Digest, Event, GenerationId, Observer};
use crate::crypto::identity::AskPassphrase;
use crate::crypto::recipient::DataRecipients;
use crate::vault::changes::same_recipients;

/// Hex digits of a digest that can mean a recipient, at least.
const PREFIX_LEN_MIN: usize = 4;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecipientsChange<'a> {
    /// These can open the vault as well.
    Add(&'a [String]),
    /// These cannot open what is sealed from now on; texts, or beginnings of digests.
    Remove(&'a [String]),
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientsReport {
    /// The vault note in force.
    pub number: u32,
    /// Every recipient of the vault now: its digest and its text.
    pub recipients: Vec<(Digest, String)>,
    /// The digests that were added or removed.
    pub changed: Vec<Digest>,
    /// Files of generations that were sealed again.
    pub resealed_count: usize,
    /// Whether an earlier run had signed the change, and this one completed it.
    pub completed: bool,
    /// The generation that was opened, where this machine is the host and a recipient was removed.
    pub opened: Option<GenerationId>,
}

/// Adds or removes recipients: seals every generation again, signs the set, seals the root key.
///
/// `texts` are those that the config has. Whatever an interrupted run left is completed by running
/// the same again.
///
/// # Errors
/// If the change is refused, a generation does not open, or the primary store or the kit fails.
pub fn change(
    desk: &mut Desk,
    change: RecipientsChange<'_>,
    texts: &[String],
    ask: &impl AskPassphrase,
    observer: &dyn Observer,
) -> Result<RecipientsReport, Error> {
    desk.kit.check_writable()?;
    let now = desk.operator.note().recipients.clone();
    let before = desk.operator.note_before().map(|note| note.recipients.clone());
    let (old, new, completed) = match target(&now, change) {
        Ok(new) => (now, new, false),
        // The newest note may have made this very change.
        Err(refused) => match before.and_then(|old| Some((target(&old, change).ok()?, old))) {
            Some((new, old)) if same_recipients(&new, &now) => (old, now, true),
            _ => return Err(refused),
        },
    };
    let recipients = with_texts(&new, change, texts)?;
    let files = if completed { Vec::new() } else { desk.operator.reseal(&recipients, ask)? };
    let root = desk.operator.seal_root(&recipients, ask)?;
    desk.operator.complete()?;
    if !completed {
        let revs = desk.operator.put_resealed(&files)?;
        desk.operator.publish(&revs, |note| note.recipients.clone_from(&new))?;
    }
    desk.kit.replace_root(&root)?;
    desk.settle(observer)?;
    let opened = roll_if_due(desk, &recipients, ask, observer)?;
    let differs = |digest: &&Digest| old.contains(digest) != new.contains(digest);
    Ok(RecipientsReport {
        number: desk.operator.note().number,
        changed: old.iter().chain(&new).filter(differs).copied().collect(),
        recipients: recipients.digests().into_iter().zip(recipients.texts()).collect(),
        resealed_count: files.len(),
        completed,
        opened,
    })
}

/// Returns the recipients that there are to be.
fn target(now: &[Digest], change: RecipientsChange<'_>) -> Result<Vec<Digest>, Error> {
    let mut all = now.to_vec();
    match change {
        RecipientsChange::Add(texts) => {
            for digest in DataRecipients::parse(texts)?.digests() {
                if all.contains(&digest) {
                    return Err(ChangeError::RecipientThere { digest }.into());
                }
                all.push(digest);
            }
        }
        RecipientsChange::Remove(texts) => {
            let gone: BTreeSet<Digest> =
                texts.iter().map(|text| meant(now, text)).collect::<Result<_, _>>()?;
            all.retain(|digest| !gone.contains(digest));
        }
    }
    if all.is_empty() { Err(ChangeError::NoneLeft.into()) } else { Ok(all) }
}

/// Returns the recipient that a text or the beginning of a digest means.
fn meant(now: &[Digest], text: &str) -> Result<Digest, ChangeError> {
    let parsed = DataRecipients::parse(&[text]).ok();
    let exact = parsed.and_then(|one| one.digests().first().copied());
    let begins = |digest: &Digest| {
        text.len() >= PREFIX_LEN_MIN && digest.to_string().starts_with(&text.to_lowercase())
    };
    let is_meant = |digest: &&Digest| exact.map_or_else(|| begins(digest), |one| one == **digest);
    let found: Vec<&Digest> = now.iter().filter(is_meant).collect();
    match found[..] {
        [one] => Ok(*one),
        _ => Err(ChangeError::RecipientUnclear {
            text: text.chars().take(100).collect(),
            count: found.len(),
            all: now.len(),
        }),
    }
}

/// Finds the text of every recipient: a vault note holds only digests.
fn with_texts(
    wanted: &[Digest],
    change: RecipientsChange<'_>,
    texts: &[String],
) -> Result<DataRecipients, Error> {
    let mut known: BTreeMap<Digest, String> = BTreeMap::new();
    let given = match change {
        RecipientsChange::Add(given) => given,
        RecipientsChange::Remove(_) => &[],
    };
    for text in texts.iter().chain(given) {
        let one = DataRecipients::parse(&[text])?;
        known.extend(one.digests().into_iter().zip(one.texts()));
    }
    let text = |digest: &Digest| match known.get(digest) {
        Some(text) => Ok(text.clone()),
        None => Err(ChangeError::TextMissing { digest: *digest }),
    };
    let texts: Vec<String> = wanted.iter().map(text).collect::<Result<_, _>>()?;
    Ok(DataRecipients::parse(&texts)?)
}

/// Rolls the generation where this machine is the host; elsewhere its next snapshot does.
fn roll_if_due(
    desk: &mut Desk,
    recipients: &DataRecipients,
    ask: &impl AskPassphrase,
    observer: &dyn Observer,
) -> Result<Option<GenerationId>, Error> {
    let Some(host) = desk.host.as_mut() else { return Ok(None) };
    if !host.roll_is_due()? {
        return Ok(None);
    }
    match generations::roll(host, recipients, ask, observer) {
        Ok(generation) => Ok(Some(generation)),
        // The change is signed; the next snapshot tries the roll again.
        Err(error) => {
            let detail = format!("the generation is not rolled yet: {error}");
            observer.observe(Event::Warning { code: error.code(), detail });
            Ok(None)
        }
    }
}
