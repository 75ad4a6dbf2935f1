//! The ledgers against what somebody kept of them: checkpoints, or an earlier report. Spec:
//! `compliance.md` §4.

use std::collections::BTreeSet;

use super::{Collector, held};
use crate::base::{Code, SignerId};
use crate::format::ObjectKey;
use crate::ops::Error;
use crate::ops::history::{Kept, check_kept};
use crate::ops::report::{LedgerHead, SinceRow};
use crate::vault::Auditor;
use crate::vault::ledger::SignerLog;

/// Compares the ledgers with all that was kept. One that does not extend it is found once, also
/// where that shows in another way.
///
/// # Errors
/// If something that was kept is no checkpoint and no report, or is of another vault.
pub fn check(
    auditor: &Auditor,
    logs: &[SignerLog],
    kept: &[Kept],
    collector: &Collector<'_>,
) -> Result<Vec<SinceRow>, Error> {
    let (mut rows, mut found) = (Vec::new(), broken(logs, collector));
    for kept in kept {
        for since in check_kept(auditor, logs, kept)? {
            let (file, signer, problem) = (kept.name.clone(), since.signer, since.problem);
            let (size_then, size_now) = (since.then.size, since.now.size);
            if let Some(problem) = problem.as_ref().filter(|_| found.insert(signer)) {
                let key = ObjectKey::LedgerEvent(signer, size_then.saturating_sub(1));
                let detail = format!(
                    "{file} has {size_then} events of this log: it was cut or rewritten since: \
                     {problem}"
                );
                collector.add(Code::LedgerBroken, key, detail);
            }
            rows.push(SinceRow { file, signer, size_then, size_now, problem });
        }
    }
    Ok(rows)
}

/// Returns the signers whose logs are known to be broken.
fn broken(logs: &[SignerLog], collector: &Collector<'_>) -> BTreeSet<SignerId> {
    let damaged = logs.iter().filter(|log| !log.problems.is_empty()).map(|log| log.signer);
    let findings = held(&collector.findings);
    let named = findings.named.iter().filter(|finding| finding.code == Code::LedgerBroken);
    let of_log = named.filter_map(|finding| match finding.object.parse() {
        Ok(ObjectKey::LedgerEvent(signer, _) | ObjectKey::LedgerCheckpoint(signer, _)) => {
            Some(signer)
        }
        _ => None,
    });
    damaged.chain(of_log).collect()
}

/// Returns what the ledgers were not compared with.
pub fn not_covered(since: &[SinceRow], ledgers: &[LedgerHead]) -> Vec<String> {
    if since.is_empty() {
        let gap = "events after the newest checkpoint that you kept yourself, if a store was \
                   rolled back";
        return vec![gap.to_owned()];
    }
    let compared: BTreeSet<String> = since.iter().map(|row| row.signer.to_string()).collect();
    let is_open = |ledger: &&LedgerHead| ledger.size > 0 && !compared.contains(&ledger.signer);
    let open: Vec<&str> =
        ledgers.iter().filter(is_open).map(|ledger| ledger.signer.as_str()).collect();
    let mut gaps = vec![
        "events that were recorded after what the ledgers were compared with, if a store was \
         rolled back since"
            .to_owned(),
    ];
    if !open.is_empty() {
        let logs = open.join(", ");
        gaps.push(format!(
            "the whole ledger of {logs}, if a store was rolled back: nothing that was kept names it"
        ));
    }
    gaps
}
