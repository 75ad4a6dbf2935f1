//! What is known of a store beside what it says: classes, locks, receipts, and what the provider
//! computed. Spec: `evidence.md`.

mod keeping;
pub mod many;
mod provider;
mod receipts;

use std::sync::Arc;

use idswyft_vault::base::Clock;
use idswyft_vault::format::ObjectKey;
use idswyft_vault::ops;
use idswyft_vault::ops::verify::{self, Evidence, Level, Request, VerifyReport};
use idswyft_vault::store::Store;

use crate::replicas::keys_in as keys;
use crate::support::vault::TestVault;

/// Verifies a store as an auditor does who knows what time it is.
fn try_verify(
    vault: &TestVault,
    store: &Arc<dyn Store>,
    evidence: Evidence<'_>,
) -> Result<VerifyReport, ops::Error> {
    let now = Some(vault.clock.now());
    let request = Request { now, evidence, ..Request::of(Level::Stored) };
    verify::verify_as(&vault.auditor(store), None, &request, vault.events.as_ref())
}

fn verify(vault: &TestVault, store: &Arc<dyn Store>, evidence: Evidence<'_>) -> VerifyReport {
    try_verify(vault, store, evidence).unwrap()
}

/// Returns each finding's code and object.
fn found(report: &VerifyReport) -> Vec<(&'static str, String)> {
    report.findings.iter().map(|one| (one.code.text(), one.object.clone())).collect()
}

/// Returns the one that is about an object.
fn detail<'a>(report: &'a VerifyReport, key: &ObjectKey) -> &'a str {
    let name = key.to_string();
    &report.findings.iter().find(|one| one.object == name).expect("it is found").detail
}

/// Returns what is said of the gap that begins so.
fn gap<'a>(report: &'a VerifyReport, begin: &str) -> Option<&'a str> {
    let mut gaps = report.not_covered.iter();
    gaps.find(|gap| gap.starts_with(begin)).map(String::as_str)
}
