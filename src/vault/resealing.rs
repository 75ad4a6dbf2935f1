//! Sealing generation files to other recipients: the very text, under further numbers. Spec: §5.4.

use std::collections::BTreeSet;

use super::Error;
use super::journal::outgoing;
use super::operator::Operator;
use crate::crypto::identity::AskPassphrase;
use crate::crypto::recipient::DataRecipients;
use crate::format::ObjectKey;
use crate::format::event_fields::ResealedGeneration;
use crate::manifest::Outgoing;

impl Operator {
    /// Opens every generation that was not shredded and seals its file to `recipients`; nothing is
    /// put yet, so whatever fails here has changed nothing.
    ///
    /// # Errors
    /// If one cannot be opened, does not hold what was signed, or a recipient's plugin fails.
    pub fn reseal(
        &self,
        recipients: &DataRecipients,
        ask: &impl AskPassphrase,
    ) -> Result<Vec<Outgoing>, Error> {
        let mut files = Vec::new();
        for generation in self.standing_generations() {
            let opened = self.unlocked().open_file(generation)?;
            let signed = self.unlocked().signed().get(&generation).into_iter().flatten();
            let signed = signed.flat_map(|opened| &opened.revs);
            let mut taken: BTreeSet<u32> = signed.map(|rev| rev.rev).collect();
            // A number that a log names is never given again, even where its file is gone.
            let first = taken.last().map_or(1, |last| last.saturating_add(1));
            taken.extend(self.unlocked().revs(generation)?);
            let free = (first..=u32::MAX).filter(|rev| !taken.contains(rev));
            let sealed = recipients.seal(&opened.text, ask)?;
            let key = |rev| ObjectKey::Generation(generation, rev);
            files.extend(free.zip(sealed).map(|(rev, bytes)| outgoing(key(rev), bytes)));
        }
        Ok(files)
    }

    /// Puts what [`Self::reseal`] sealed; a vault note that leans on it may follow.
    ///
    /// # Errors
    /// If the primary store fails.
    pub fn put_resealed(&self, files: &[Outgoing]) -> Result<Vec<ResealedGeneration>, Error> {
        files.iter().try_for_each(|file| self.put(file))?;
        let named = files.iter().filter_map(|file| match file.key {
            ObjectKey::Generation(generation, rev) => {
                Some(ResealedGeneration { generation, rev, sha256: file.sha256 })
            }
            _ => None,
        });
        Ok(named.collect())
    }
}
