//! A store that takes several calls at a time, takes its time, or hangs.

use std::sync::Arc;
use std::time::Duration;

use idswyft_vault::base::Digest;
use idswyft_vault::format::ObjectKey;
use idswyft_vault::store::{Content, Error, Receipt, Store};

use crate::support::forward::forward;

type OnPut = Box<dyn Fn(&ObjectKey) -> Result<(), Error> + Send + Sync>;

/// Wraps a store.
pub struct Tuned {
    pub inner: Arc<dyn Store>,
    pub at_once: usize,
    pub patience: Option<Duration>,
    /// What happens before each put.
    pub on_put: OnPut,
}

impl Tuned {
    pub fn new(
        inner: Arc<dyn Store>,
        on_put: impl Fn(&ObjectKey) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Self {
        Self { inner, at_once: 1, patience: None, on_put: Box::new(on_put) }
    }
}

impl Store for Tuned {
    forward!(inner:
        name url prepare get get_range open stat list delete staging_dir clean_staging
        is_readable
    );

    fn put_new(
        &self,
        key: &ObjectKey,
        content: Content<'_>,
        digest: &Digest,
    ) -> Result<Receipt, Error> {
        (self.on_put)(key)?;
        self.inner.put_new(key, content, digest)
    }

    fn calls_at_once(&self) -> usize {
        self.at_once
    }

    fn patience(&self) -> Option<Duration> {
        self.patience
    }
}
