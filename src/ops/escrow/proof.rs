//! Proving that keys fit what a snapshot holds, wherever the keys come from. Spec: `escrow.md`.
//!
//! Nothing is guessed: a key fits when it opens an envelope of the uploads or a value of
//! `identity_vault`, and a secret when its fingerprint is the one that the database keeps.

use crate::base::SnapshotId;
use crate::crypto::idswyft::{
    AppKey, ENVELOPE_HEADER_LEN, ENVELOPE_MAGIC, Fit, api_key_secret_fingerprint, is_envelope,
};
use crate::format::tree::FileContent;
use crate::format::{Kind, Time};
use crate::ops::{Error, read};
use crate::vault::Unlocked;

use super::samples::{self, Samples};

/// Files of which the first bytes are looked at: the smallest, and as many of the newest.
const LOOKED_AT_COUNT: usize = 64;
/// Envelopes that are opened; a stack encrypts all of them with one key, or with one before it.
const OPENED_COUNT: usize = 4;
/// Largest file that is opened: more than the stack accepts.
const OPENED_LEN_MAX: u64 = 32 * 1024 * 1024;

/// A key that is to be proven.
pub struct KeyToProve<'a> {
    /// What it is called in the report, such as its variable.
    pub name: String,
    /// Whether the stack encrypts with it; it tries others only to open files.
    pub is_current: bool,
    /// Its value.
    pub value: &'a [u8],
}

/// What is to be proven.
#[derive(Default)]
pub struct Candidates<'a> {
    /// Keys, in the order in which they are tried.
    pub keys: Vec<KeyToProve<'a>>,
    /// What `API_KEY_SECRET` may be, by one reading of `.env` or another.
    pub api_key_secrets: Vec<&'a [u8]>,
}

/// What was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Enveloped files of the uploads.
    Uploads,
    /// Values of the table `identity_vault`.
    IdentityVault,
    /// The fingerprint of `API_KEY_SECRET` in the database.
    ApiKeySecret,
}

impl Subject {
    /// Returns its name in a report.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uploads => "uploads",
            Self::IdentityVault => "identity_vault",
            Self::ApiKeySecret => "api_key_secret",
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// What was tried opens.
    Fits,
    /// It does not: with these keys the stack cannot read its own data.
    DoesNotFit,
    /// There is nothing to try it on, or nothing to try.
    Unproven,
}

impl Verdict {
    /// Returns its name in a report.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fits => "fits",
            Self::DoesNotFit => "does not fit",
            Self::Unproven => "unproven",
        }
    }
}

/// One proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// What was tried.
    pub subject: Subject,
    /// What came of it.
    pub verdict: Verdict,
    /// The keys that opened something, by name.
    pub with: Vec<String>,
    /// How many things were tried.
    pub tried_count: usize,
    /// What was looked at and what was found, in words.
    pub detail: String,
}

/// Proves keys on a snapshot.
///
/// # Errors
/// If the snapshot cannot be read.
pub fn prove(
    unlocked: &Unlocked,
    snapshot: SnapshotId,
    candidates: &Candidates<'_>,
) -> Result<Vec<Proof>, Error> {
    let derive = |key: &KeyToProve<'_>| Derived {
        name: key.name.clone(),
        is_current: key.is_current,
        key: AppKey::derive(key.value),
    };
    let keys: Vec<Derived> = candidates.keys.iter().map(derive).collect();
    let samples = samples::read(unlocked, snapshot)?;
    Ok(vec![
        uploads(unlocked, snapshot, &keys)?,
        identity_vault(&samples, &keys),
        api_key_secret(&samples, &candidates.api_key_secrets),
    ])
}

/// A key with what the stack derives from it.
struct Derived {
    name: String,
    is_current: bool,
    key: AppKey,
}

/// Counts what was tried, and which keys opened it.
#[derive(Default)]
struct Tally {
    with: Vec<String>,
    opened: usize,
    tried: usize,
}

impl Tally {
    fn try_one<'a>(
        &mut self,
        keys: impl Iterator<Item = &'a Derived>,
        fit: impl Fn(&AppKey) -> Fit,
    ) {
        self.tried += 1;
        if let Some(key) = keys.into_iter().find(|key| fit(&key.key) == Fit::Fits) {
            self.opened += 1;
            if !self.with.contains(&key.name) {
                self.with.push(key.name.clone());
            }
        }
    }

    fn proof(self, subject: Subject, keys: &[Derived], nothing: String, what: &str) -> Proof {
        let Self { with, opened, tried } = self;
        let (verdict, detail) = match (tried, keys.is_empty()) {
            (0, _) => (Verdict::Unproven, nothing),
            (_, true) => (Verdict::Unproven, format!("no key to try on {tried} {what}")),
            _ if opened == tried => (Verdict::Fits, format!("opens {tried} of {tried} {what}")),
            _ => (Verdict::DoesNotFit, format!("opens {opened} of {tried} {what}")),
        };
        Proof { subject, verdict, with, tried_count: tried, detail }
    }
}

fn uploads(unlocked: &Unlocked, snapshot: SnapshotId, keys: &[Derived]) -> Result<Proof, Error> {
    let note = unlocked.auditor().snapshot(snapshot)?;
    let looked_at = match unlocked.body(&note)?.uploads {
        Some(_) => candidates(unlocked, snapshot)?,
        None => Vec::new(),
    };
    let (mut tally, count) = (Tally::default(), looked_at.len());
    for file in looked_at {
        let magic_len = ENVELOPE_MAGIC.len() as u64;
        let start = read::read_start(unlocked, note.generation, &file.content, magic_len)?;
        if !is_envelope(&start) {
            continue;
        }
        let mut bytes = Vec::new();
        read::read_content(unlocked, note.generation, "an upload", &file.content, &mut |part| {
            bytes.extend_from_slice(part);
            Ok(())
        })?;
        // As the stack does, with the current key first.
        tally.try_one(keys.iter(), |key| key.fits_file(&bytes));
        if tally.tried == OPENED_COUNT {
            break;
        }
    }
    let nothing = format!("none of {count} files looked at is encrypted");
    Ok(tally.proof(Subject::Uploads, keys, nothing, "encrypted files"))
}

/// A file that may be enveloped.
struct Candidate {
    mtime: Time,
    content: FileContent,
}

/// Returns the smallest files and the newest: where encryption was turned on later, only newer
/// files are encrypted.
fn candidates(unlocked: &Unlocked, snapshot: SnapshotId) -> Result<Vec<Candidate>, Error> {
    let (mut smallest, mut newest) = (Vec::new(), Vec::new());
    read::visit_tree(unlocked, snapshot, |entry| {
        let mtime = entry.mtime;
        if let Kind::File(content) = entry.kind
            && (ENVELOPE_HEADER_LEN as u64..=OPENED_LEN_MAX).contains(&content.size)
        {
            smallest.push(Candidate { mtime, content: content.clone() });
            newest.push(Candidate { mtime, content });
            if smallest.len() >= 2 * LOOKED_AT_COUNT {
                keep_smallest(&mut smallest);
                keep_newest(&mut newest);
            }
        }
        Ok(())
    })?;
    keep_smallest(&mut smallest);
    keep_newest(&mut newest);
    newest.retain(|one| smallest.iter().all(|other| other.content.b3 != one.content.b3));
    smallest.extend(newest);
    Ok(smallest)
}

fn keep_smallest(files: &mut Vec<Candidate>) {
    files.sort_by_key(|file| file.content.size);
    files.truncate(LOOKED_AT_COUNT);
}

fn keep_newest(files: &mut Vec<Candidate>) {
    files.sort_by_key(|file| std::cmp::Reverse((file.mtime.sec, file.mtime.nsec)));
    files.truncate(LOOKED_AT_COUNT);
}

fn identity_vault(samples: &Samples, keys: &[Derived]) -> Proof {
    let mut tally = Tally::default();
    for value in &samples.vault_values {
        // For values the stack tries no key but the current one.
        let current = keys.iter().filter(|key| key.is_current);
        tally.try_one(current, |key| key.fits_value(value.as_bytes()));
    }
    let opened_by_other = samples.vault_values.iter().find_map(|value| {
        let others = keys.iter().filter(|key| !key.is_current);
        others.into_iter().find(|key| key.key.fits_value(value.as_bytes()) == Fit::Fits)
    });
    let nothing = "identity_vault holds no encrypted value".to_owned();
    let mut proof = tally.proof(Subject::IdentityVault, keys, nothing, "values of identity_vault");
    if let (Verdict::DoesNotFit, Some(other)) = (proof.verdict, opened_by_other) {
        let name = &other.name;
        proof.detail = format!("{}; {name} does, which the stack does not try", proof.detail);
    }
    proof
}

fn api_key_secret(samples: &Samples, secrets: &[&[u8]]) -> Proof {
    let is_kept = |secret: &&[u8]| {
        samples.fingerprint.as_deref() == Some(&api_key_secret_fingerprint(secret))
    };
    let (verdict, detail) = match (&samples.fingerprint, secrets) {
        (None, _) => (Verdict::Unproven, "the database keeps no fingerprint".to_owned()),
        (_, []) => (Verdict::Unproven, "no API_KEY_SECRET to compare".to_owned()),
        (Some(_), secrets) if secrets.iter().any(is_kept) => {
            (Verdict::Fits, "has the fingerprint that the database keeps".to_owned())
        }
        _ => (Verdict::DoesNotFit, "has another fingerprint than the database keeps".to_owned()),
    };
    let with =
        if verdict == Verdict::Fits { vec!["API_KEY_SECRET".to_owned()] } else { Vec::new() };
    let tried_count = usize::from(samples.fingerprint.is_some());
    Proof { subject: Subject::ApiKeySecret, verdict, with, tried_count, detail }
}
