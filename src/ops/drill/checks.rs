//! What a drill checks besides the database: files that rows name, and keys that were sealed.
//! Spec: `drill.md` §2.

use super::Drill;
use crate::base::{Code, Coded, Event, Family};
use crate::format::TreeEntry;
use crate::format::body::Body;
use crate::ops::escrow::check;
use crate::ops::escrow::proof::Verdict;
use crate::ops::{Error, read, rows};

impl Drill<'_> {
    /// Compares the files that rows name with the tree.
    ///
    /// What differs was so when it was archived, and came back as it was: a warning, no finding.
    pub(super) fn files_of_rows(&mut self, body: &Body) {
        let place = self.request.scratch.place().restored();
        let dump = place.join("database/db.sql");
        if body.uploads.is_none() || !dump.exists() {
            let reason = "files that rows name: it takes both a dump and uploads";
            return self.report.not_covered.push(reason.to_owned());
        }
        let (unlocked, snapshot, observer) = (self.unlocked, self.request.snapshot, self.observer);
        let tree = |visit: &mut dyn FnMut(&TreeEntry) -> Result<(), Error>| {
            read::visit_tree(unlocked, snapshot, |entry| visit(&entry))
        };
        let checked = self.timed("files-of-rows", || {
            let file = std::fs::File::open(&dump);
            let file = file.map_err(|cause| Error::file("open", &dump, cause))?;
            rows::check(rows::all_of(file), tree, body, &place)
        });
        match checked {
            Ok(Some(found)) => {
                // What was erased while the snapshot was taken is missing for a good reason.
                found.warn(|code, detail| {
                    if code != Code::FileErased {
                        observer.observe(Event::Warning { code, detail });
                    }
                });
                self.report.files_of_rows = Some(found.counts);
            }
            Ok(None) => {
                let reason = "files that rows name: the dump has none of the stack's tables";
                self.report.not_covered.push(reason.to_owned());
            }
            Err(error) => {
                let reason = format!("files that rows name: {} ({error})", error.code());
                self.report.not_covered.push(reason);
            }
        }
    }

    /// Tries the sealed keys on what was archived with them.
    pub(super) fn keys(&mut self) {
        let Some((store, identities)) = self.request.escrow else {
            let reason = "keys: no escrow identity was given to try them with";
            return self.report.not_covered.push(reason.to_owned());
        };
        let (unlocked, snapshot) = (self.unlocked, self.request.snapshot);
        let checked = self.timed("keys", || check::check(unlocked, snapshot, store, identities));
        let report = match checked {
            Ok(report) => report,
            // A sealed object that is gone or another one is lost, whatever else came back.
            Err(error) if error.code().family() == Family::Damaged => {
                return self.find(error.code(), "keys", error.to_string());
            }
            Err(error) => return self.report.not_covered.push(format!("keys: {error}")),
        };
        for lacking in report.lacking {
            self.report.not_covered.push(format!("keys: {lacking}"));
        }
        for proof in report.proofs {
            match proof.verdict {
                Verdict::Fits => {}
                Verdict::DoesNotFit => self.find(Code::KeyDoesNotFit, "keys", proof.detail),
                Verdict::Unproven => {
                    self.report.not_covered.push(format!("keys: {}", proof.detail));
                }
            }
        }
    }
}
