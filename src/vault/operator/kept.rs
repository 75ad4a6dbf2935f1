//! Events of the operator that follow from no vault note, such as what came of a drill.
//!
//! An event that waits for its checkpoint could be anybody's who may put into the store. So the
//! exact bytes are kept elsewhere before they are put, and only those are signed later.

use super::Operator;
use crate::base::limits::LEDGER_EVENT_LEN_MAX;
use crate::crypto::checkpoint::TreeHead;
use crate::crypto::merkle::Log;
use crate::format::ObjectKey;
use crate::format::event::EventPayload;
use crate::manifest::{Outgoing, Payload};
use crate::vault::Error;

impl Operator {
    /// Returns size and root of the operator's own log.
    pub fn head(&self) -> TreeHead {
        self.journal.head()
    }

    /// Refuses a log that is not what this operator left, or is shorter (F-21).
    ///
    /// # Errors
    /// If it was rolled back, or another history was signed.
    pub fn check_extends(&self, left: &TreeHead) -> Result<(), Error> {
        let hashes = self.own_log().map_or_else(Log::empty, |log| log.hashes.clone());
        hashes.check_extends(left).map_err(|cause| {
            let key = ObjectKey::LedgerEvent(self.signer(), left.size.saturating_sub(1));
            let reason = format!("it is not the log that this kit left: {cause}");
            Error::Ledger { key, reason }
        })
    }

    /// Takes note of the bytes of an event that this operator composed and may have put.
    pub fn expect_kept(&mut self, leaf: Option<Vec<u8>>) {
        self.kept = leaf;
    }

    /// Signs the event behind the newest checkpoint if it is the one that was kept; tells whether
    /// it is.
    pub(super) fn complete_kept(&mut self, seq: u64) -> Result<bool, Error> {
        let Some(kept) = self.kept.take() else { return Ok(false) };
        let key = ObjectKey::LedgerEvent(self.key.signer_id(), seq);
        if self.mirrors.primary().get(&key, LEDGER_EVENT_LEN_MAX)? != kept {
            return Ok(false);
        }
        let checkpoint = self.journal.append_leaf(&self.key, self.vault(), &kept)?;
        self.put(&checkpoint).map(|()| true)
    }

    /// Delegates to the operator's own signer what an operator may say, if the vault note does not.
    ///
    /// # Errors
    /// As [`Self::publish`].
    pub fn delegate_itself(&mut self) -> Result<(), Error> {
        match self.note().delegate(self.signer()) {
            Some(_) => Ok(()),
            None => self.publish(&[], |_| {}),
        }
    }

    /// Appends an event that follows from no vault note; `keep` gets its bytes before the store.
    ///
    /// # Errors
    /// If the store fails: then whoever opens the vault next hands the bytes to
    /// [`Self::expect_kept`]. The inner error is that of `keep`, and then nothing was put.
    pub fn append_kept<E>(
        &mut self,
        event: EventPayload,
        keep: impl FnOnce(&[u8]) -> Result<(), E>,
    ) -> Result<Result<(), E>, Error> {
        let objects = self.compose(event)?;
        if let Some(Outgoing { payload: Payload::Bytes(leaf), .. }) = objects.first()
            && let Err(error) = keep(leaf)
        {
            return Ok(Err(error));
        }
        objects.iter().try_for_each(|object| self.put(object)).map(Ok)
    }
}
