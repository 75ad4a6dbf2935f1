//! Where an operator works: the kit's root key, the stores, and this machine's host state if it has
//! any. Spec: §5.6.

use std::path::Path;
use std::sync::Arc;

use super::Error;
use super::kit::OpenKit;
use crate::base::{Coded, Event, Observer};
use crate::crypto::identity::DataIdentities;
use crate::format::ObjectKey;
use crate::store::Store;
use crate::vault::{self, Operator, Outside, Writer};

/// What an operator works with.
pub struct Desk {
    /// Signs.
    pub operator: Operator,
    /// Where the root key is.
    pub kit: OpenKit,
    /// The vault's host, if this machine is it; the caller holds the lock of its state.
    pub host: Option<Writer>,
}

impl Desk {
    /// Opens the root key in a kit, delivers what the host still has, and reads the primary store.
    ///
    /// # Errors
    /// If the kit or the identities are another vault's, or the primary store fails.
    pub fn open(
        name: &str,
        kit: &Path,
        identities: DataIdentities,
        stores: Vec<Arc<dyn Store>>,
        mut host: Option<Writer>,
        outside: Outside,
        observer: &dyn Observer,
    ) -> Result<Self, Error> {
        let kit = OpenKit::find(kit, name)?;
        let root = kit.root(&identities)?;
        if let Some(host) = &mut host {
            let found = root.verification_key().to_string();
            if found != host.root_key() {
                let reason = format!("its root key is {found}, that of the vault here is another");
                return Err(kit.unusable(reason));
            }
            // What its logs say must be there before anything is derived from them.
            host.deliver(observer)?;
        }
        let kept = kit.pending()?;
        let mut operator = match Operator::open(root, identities, stores, outside) {
            Err(vault::Error::Signature { key: key @ ObjectKey::Vault(1), reason }) => {
                let reason = format!("its root key is not that of the store's {key}: {reason}");
                return Err(kit.unusable(reason));
            }
            other => other?,
        };
        if let Some(left) = kit.head()? {
            operator.check_extends(&left)?;
        }
        operator.expect_kept(kept);
        Ok(Self { operator, kit, host })
    }

    /// Ends a change: mirrors get it, and the host takes it up.
    ///
    /// # Errors
    /// If the host's state cannot be written.
    pub fn settle(&mut self, observer: &dyn Observer) -> Result<(), Error> {
        self.operator.copy_to_mirrors(observer);
        // A kit that cannot be written to is one more that is older, and does for all the rest.
        if let Err(error) = self.kit.keep_head(&self.operator.head()) {
            observer.observe(Event::Warning { code: error.code(), detail: error.to_string() });
        }
        match &mut self.host {
            Some(host) => Ok(host.adopt_notes(observer)?),
            None => Ok(()),
        }
    }
}
