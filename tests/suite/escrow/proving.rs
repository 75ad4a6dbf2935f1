//! Keys tried on what a snapshot really holds.

use idswyft_vault::ops::escrow::Sealing;
use idswyft_vault::ops::escrow::check::{self, CheckReport};
use idswyft_vault::ops::escrow::proof::{Proof, Subject, Verdict};

use super::Escrow;
use crate::support::vault::{TestVault, noise};

// Sealed with Python's hashlib.scrypt and the AESGCM of its package `cryptography`, under KEY.
const KEY: &str = "0123456789abcdef0123456789abcdef0123456789ABCDEF0123456789abcdef";
const ENVELOPE: &str = "49445357016465666768696a6b6c6d6e6f2bf497144128b1845fdb11d05050c9a7\
    fd0ce44c20b758cb02b95af758ff3498e7707220d610b2b85e7eef5d1a96205cc8c9cacbcccdcecfd0d1d2d3\
    aa8389b405f1a88146909f41322ec72e705812beeaaa9245";
const VALUE: &str = "32333435363738393a3b3c3d:9527783b8ac968f1ac2e05cbc43aa634:\
    398f51f97ee788541f5bbb1047eb";
const API_KEY_SECRET: &str = "an api key secret of some length";

/// A vault whose snapshots hold what the stack encrypted, and the escrow of its installation.
struct Stack {
    vault: TestVault,
    escrow: Escrow,
}

impl Stack {
    fn new(env: &str) -> Self {
        let stack = Self { vault: TestVault::new(), escrow: Escrow::new() };
        stack.escrow.write(".env", env.as_bytes());
        for index in 0..5 {
            stack.vault.write(&format!("documents/{index}.jpg"), &noise(index, 2_000));
        }
        stack
    }

    fn fill(&self) {
        self.vault.write("selfies/sealed.jpg", &hex::decode(ENVELOPE).unwrap());
        let dump = crate::support::vault::dump_of(&[]);
        let rows = format!(
            "COPY public.identity_vault (id, encrypted_data) FROM stdin;\n1\t{VALUE}\n\\.\n\
             COPY public._system_config (key, value) FROM stdin;\n\
             api_key_secret_fingerprint\t36380963016ebd0d\n\\.\n\nCOPY public.users"
        );
        let dump = dump.replacen("COPY public.users", &rows, 1);
        std::fs::write(self.vault.path("db.sql"), dump).unwrap();
    }

    fn check(&self) -> CheckReport {
        let sealing: Sealing = self.escrow.seal();
        self.vault.clock.pass_hours(1);
        let mut sources = self.vault.sources();
        sources.facts.insert("escrow".to_owned(), sealing.fact());
        let id = self.vault.try_snapshot(&sources).unwrap().snapshot;
        let identities = self.escrow.custodian.identities();
        check::check(&self.vault.unlocked(), id, self.escrow.store.as_ref(), &identities).unwrap()
    }
}

fn verdicts(report: &CheckReport) -> Vec<(Subject, Verdict)> {
    let pair = |proof: &Proof| (proof.subject, proof.verdict);
    report.proofs.iter().map(pair).collect()
}

/// E-22
#[test]
fn a_key_that_opens_a_file_and_a_value_fits() {
    let env = format!("API_KEY_SECRET='{API_KEY_SECRET}' # x\nENCRYPTION_KEY={KEY}\n");
    let stack = Stack::new(&env);
    stack.fill();
    let report = stack.check();
    let expected = [Subject::Uploads, Subject::IdentityVault, Subject::ApiKeySecret];
    assert_eq!(verdicts(&report), expected.map(|subject| (subject, Verdict::Fits)));
    assert_eq!(report.verdict(), Verdict::Fits);
    assert_eq!(report.proofs[0].with, ["ENCRYPTION_KEY"]);
}

/// E-22
#[test]
fn a_key_that_opens_neither_does_not_fit() {
    // For files the case of a digit counts, and the database's fingerprint is of another secret.
    let stack = Stack::new("API_KEY_SECRET=another\nENCRYPTION_KEY=another key of 32 bytes...\n");
    stack.fill();
    let report = stack.check();
    assert!(report.proofs.iter().all(|proof| proof.verdict == Verdict::DoesNotFit));
    assert_eq!(report.verdict(), Verdict::DoesNotFit);
}

/// E-22
#[test]
fn an_older_key_opens_files_but_not_values_as_in_the_stack() {
    let env =
        format!("ENCRYPTION_KEY=a new key of 32 bytes or more\nENCRYPTION_KEY_PREVIOUS={KEY}\n");
    let stack = Stack::new(&env);
    stack.fill();
    let report = stack.check();
    assert_eq!(
        verdicts(&report)[..2],
        [(Subject::Uploads, Verdict::Fits), (Subject::IdentityVault, Verdict::DoesNotFit)]
    );
    assert_eq!(report.proofs[0].with, ["ENCRYPTION_KEY_PREVIOUS"]);
    assert!(report.proofs[1].detail.contains("ENCRYPTION_KEY_PREVIOUS does, which the stack"));
    assert_eq!(report.verdict(), Verdict::DoesNotFit);
}

/// E-22
#[test]
fn a_snapshot_without_anything_encrypted_proves_nothing() {
    let stack = Stack::new(&format!("ENCRYPTION_KEY={KEY}\n"));
    let report = stack.check();
    assert!(report.proofs.iter().all(|proof| proof.verdict == Verdict::Unproven));
    assert_eq!(report.verdict(), Verdict::Unproven);
    assert!(report.proofs[0].detail.contains("none of 5 files"), "{}", report.proofs[0].detail);
}
