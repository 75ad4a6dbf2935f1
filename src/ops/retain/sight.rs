//! Whether what the logs say of holds is all that there is. Spec: `retention.md` §5.

use super::error::RetainError;
use crate::format::event::EventKind;
use crate::format::vault_note::VaultNote;
use crate::ops::Error;
use crate::vault::ledger::SignerLog;
use crate::vault::ledger::quotes::{closed_logs, quotes_of};

/// Refuses to conclude from logs that no hold is placed, unless every log that may hold one is
/// there to its end in some store, and as long as others have seen it. Of a retired signer's log
/// the end is where it was retired.
pub fn check_sight(note: &VaultNote, logs: &[Vec<SignerLog>]) -> Result<(), Error> {
    let quotes = quotes_of(note, logs.iter().flatten());
    let closed = closed_logs(logs.iter().flatten());
    for delegate in note.signers.iter().filter(|one| one.may_append(EventKind::HoldPlaced)) {
        let signer = delegate.id;
        let own = || logs.iter().flatten().filter(|log| log.signer == signer);
        let size = own().map(|log| log.head.size).max().unwrap_or(0);
        let blind = |reason: String| Err(RetainError::Blind { signer, reason }.into());
        let quoted = quotes.iter().filter(|quote| quote.signer == signer);
        let most = quoted.max_by_key(|quote| quote.head.size);
        if let Some(quote) = most.filter(|quote| quote.head.size > size) {
            let (event, seen) = (quote.event, quote.head.size);
            return blind(format!(
                "it has {size} events, another signer has seen {seen}, says {event}; look for them \
                 in another mirror, and if they are lost or were never there, retire the signer of \
                 one of the two"
            ));
        }
        let is_closed = delegate.retired.is_some();
        if is_closed && closed.get(&signer).is_some_and(|closed| *closed <= size) {
            continue;
        }
        let is_broken = |log: &&SignerLog| log.head.size == size && !log.problems.is_empty();
        let is_whole = |log: &SignerLog| log.head.size == size && log.problems.is_empty();
        if let Some(broken) = own().find(is_broken)
            && !own().any(is_whole)
        {
            let told = broken.problems.first().map(|(key, error)| format!("{key}: {error}"));
            return blind(told.unwrap_or_default());
        }
    }
    Ok(())
}
