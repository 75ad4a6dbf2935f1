//! `demo`: the whole job on a made-up installation, in a temporary directory.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, json};

use crate::base::{Observer, SnapshotId};
use crate::cli::args::{DemoArgs, UsageError};
use crate::cli::demo_install::DemoInstall;
use crate::cli::report::{Ending, Failure, words};
use crate::cli::session::Session;
use crate::crypto::identity::{DataIdentities, NewIdentity, NoPassphrase};
use crate::crypto::recipient::DataRecipients;
use crate::format::parameters::Parameters;
use crate::ops::init::{self, InitReport, Kit, NewVault};
use crate::ops::restore::{self, Existing, RestoreRequest};
use crate::ops::snapshot::{self, SnapshotReport, Sources, UploadsPath, VaultJob};
use crate::ops::verify::{self, Level};
use crate::policy::{Policy, PolicyFields};
use crate::source::command::CommandSource;
use crate::store::{self, Store};
use crate::vault::state::StateDir;
use crate::vault::{Auditor, Unlocked, Writer};

const NAME: &str = "demo";

/// Shows the whole job and compares every byte.
///
/// # Errors
/// If anything differs, or the directory cannot be used.
pub fn run(args: &DemoArgs, session: &Session) -> Result<Ending, Failure> {
    let dir = directory(args)?;
    let say = |text: String| session.report.note(&text);
    say(format!("a made-up installation in {}", dir.display()));
    let mut install = DemoInstall::build(&dir)?;
    say(format!("  database: {}", install.database()));
    let demo = Demo::create(&dir, session)?;
    say(format!("created vault {} with a recovery kit", demo.report.vault));
    let first = demo.snapshot(&install, session)?;
    say(format!("first snapshot  {}", sentence(&first)));
    let changes = install.day_passes()?;
    say(format!(
        "a day passes: {} came, {} were erased",
        words::count(changes.new_count as u64, "verification"),
        changes.erased_count
    ));
    let second = demo.snapshot(&install, session)?;
    say(format!("second snapshot {}", sentence(&second)));
    let unlocked = demo.unlocked()?;
    let verified = demo.verify(&unlocked, session)?;
    say(format!(
        "verified {} at level contents: every chunk and every file digest matches",
        words::count(verified, "object")
    ));
    let compared = demo.restore_and_compare(&unlocked, second.snapshot, &install, session)?;
    say(format!("restored and compared {}: the same bytes", words::bytes(compared)));
    drop(install);
    finish(session, &dir, &first, &second, compared)
}

/// Returns an empty directory that stays, so that there is something to go on with.
fn directory(args: &DemoArgs) -> Result<PathBuf, Failure> {
    let wrap = |error| Failure::system("make the demo's directory", error);
    let Some(dir) = &args.dir else {
        let made = tempfile::Builder::new().prefix("idswyft-vault-demo-").tempdir();
        return Ok(made.map_err(wrap)?.keep());
    };
    std::fs::create_dir_all(dir).map_err(wrap)?;
    let dir = std::path::absolute(dir).map_err(wrap)?;
    if std::fs::read_dir(&dir).map_err(wrap)?.next().is_some() {
        let reason = format!("{} is not empty", dir.display());
        return Err(UsageError::new("make the demo", reason).into());
    }
    Ok(dir)
}

/// The demo's vault and everything around it.
struct Demo {
    dir: PathBuf,
    store: Arc<dyn Store>,
    identity: NewIdentity,
    report: InitReport,
}

impl Demo {
    fn create(dir: &Path, session: &Session) -> Result<Self, Failure> {
        let identity = NewIdentity::generate(session.clock.now());
        let url = format!("file://{}", dir.join("store").display());
        let store = store::open(&url, "local")?;
        let recipients = DataRecipients::parse(&[&identity.recipient])?;
        let policy = Policy::new(PolicyFields { keep_daily: Some(30), ..PolicyFields::default() })?;
        let new = NewVault {
            name: NAME,
            policy: &policy,
            parameters: Parameters::initial(),
            recipients: &recipients,
            stores: vec![Arc::clone(&store)],
        };
        let (kit_dir, state) = (dir.join("kit"), dir.join("state"));
        let kit = Kit {
            dir: &kit_dir,
            forbidden: vec![state.clone()],
            identities: Vec::new(),
            config: None,
        };
        let outside = session.outside();
        let observer = session.progress.as_ref();
        let report = init::create(new, &state, &kit, &NoPassphrase, &outside, observer)?;
        let key = dir.join("operator.key");
        std::fs::write(&key, identity.file.as_bytes())
            .map_err(|error| Failure::system("write the demo's identity", error))?;
        Ok(Self { dir: dir.to_owned(), store, identity, report })
    }

    fn snapshot(
        &self,
        install: &DemoInstall,
        session: &Session,
    ) -> Result<SnapshotReport, Failure> {
        let state = StateDir::new(&self.dir.join("state"), NAME);
        let writer = Writer::open(state, vec![Arc::clone(&self.store)], session.outside())?;
        let recipients = DataRecipients::parse(&[&self.identity.recipient])?;
        let sources = Sources {
            database: Some(Box::new(CommandSource::new(install.dump_argv()?)?)),
            uploads: Some(
                UploadsPath { root: install.uploads().to_owned(), exclusions: Vec::new() }.into(),
            ),
            facts: Map::new(),
            sealed: Vec::new(),
        };
        let observer: Arc<dyn Observer> = session.progress.clone();
        let job = VaultJob { writer, recipients };
        let mut report = snapshot::run(vec![job], &sources, &[], &NoPassphrase, &observer)?;
        match report.failed.pop() {
            Some((_, error)) => Err(error.into()),
            None => Ok(report.taken.remove(0)),
        }
    }

    fn unlocked(&self) -> Result<Unlocked, Failure> {
        let identities =
            DataIdentities::parse("operator.key", self.identity.file.as_bytes(), &NoPassphrase)?;
        let root = self.report.root_key.parse()?;
        Ok(Unlocked::new(Auditor::open(Arc::clone(&self.store), root)?, identities)?)
    }

    fn verify(&self, unlocked: &Unlocked, session: &Session) -> Result<u64, Failure> {
        let observer = session.progress.as_ref();
        let report =
            verify::verify(unlocked.auditor(), Some(unlocked), Level::Contents, None, observer)?;
        match report.findings.first() {
            None => Ok(report.object_count),
            Some(finding) => Err(differs(format!("{}: {}", finding.object, finding.detail))),
        }
    }

    fn restore_and_compare(
        &self,
        unlocked: &Unlocked,
        snapshot: SnapshotId,
        install: &DemoInstall,
        session: &Session,
    ) -> Result<u64, Failure> {
        let target = self.dir.join("restored");
        let request = RestoreRequest {
            snapshot,
            target: &target,
            only: None,
            paths: None,
            existing: Existing::Refuse,
        };
        restore::restore(unlocked, &request, session.progress.as_ref())?;
        let dump = CommandSource::new(install.dump_argv()?)?;
        let mut expected = blake3::Hasher::new();
        let mut stream = crate::source::StreamSource::open(&dump)?;
        let wrap = |error| Failure::system("read the demo's database again", error);
        let dump_len = std::io::copy(&mut stream, &mut expected).map_err(wrap)?;
        stream.finish()?;
        let restored = digest_of(&target.join("db.sql"))?;
        if restored != expected.finalize() {
            return Err(differs("the restored database".to_owned()));
        }
        Ok(dump_len + compare_trees(install.uploads(), &target.join("uploads"))?)
    }
}

fn digest_of(path: &Path) -> Result<blake3::Hash, Failure> {
    let mut hasher = blake3::Hasher::new();
    let read = std::fs::File::open(path).and_then(|mut file| std::io::copy(&mut file, &mut hasher));
    read.map_err(|error| Failure::system(format!("read {}", path.display()), error))?;
    Ok(hasher.finalize())
}

/// Compares names, lengths and contents of two trees; returns the bytes compared.
fn compare_trees(a: &Path, b: &Path) -> Result<u64, Failure> {
    let (left, right) = (list(a)?, list(b)?);
    if left != right {
        return Err(differs("the restored tree".to_owned()));
    }
    let mut total = 0;
    for (name, len) in left {
        let path = Path::new(std::ffi::OsStr::from_bytes(&name));
        if digest_of(&a.join(path))? != digest_of(&b.join(path))? {
            return Err(differs(path.display().to_string()));
        }
        total += len;
    }
    Ok(total)
}

fn list(root: &Path) -> Result<BTreeMap<Vec<u8>, u64>, Failure> {
    let mut files = BTreeMap::new();
    for entry in walkdir::WalkDir::new(root) {
        let wrap = |error: walkdir::Error| Failure::system("walk the demo's files", error.into());
        let entry = entry.map_err(wrap)?;
        if entry.file_type().is_file() {
            let name = entry.path().strip_prefix(root).unwrap_or(entry.path());
            let len = entry.metadata().map_err(wrap)?.len();
            files.insert(name.as_os_str().as_bytes().to_vec(), len);
        }
    }
    Ok(files)
}

fn differs(what: String) -> Failure {
    Failure::system(format!("compare {what}"), std::io::Error::other("it differs"))
}

fn sentence(report: &SnapshotReport) -> String {
    format!(
        "{}: {} in {} and {}, {} stored",
        report.snapshot,
        words::bytes(report.content_len),
        words::count(report.file_count, "file"),
        words::count(report.row_count, "row"),
        words::bytes(report.new_len),
    )
}

fn finish(
    session: &Session,
    dir: &Path,
    first: &SnapshotReport,
    second: &SnapshotReport,
    compared: u64,
) -> Result<Ending, Failure> {
    let object = json!({
        "dir": dir,
        "snapshots": [first.snapshot, second.snapshot],
        "new_len": [first.new_len, second.new_len],
        "compared_len": compared,
    });
    let place = dir.display();
    let key = format!("--store file://{place}/store --vault-key {place}/vault.key");
    let vault_key = dir.join("vault.key");
    let kit = std::fs::read_dir(dir.join("kit"))
        .and_then(|mut entries| entries.next().transpose())
        .ok()
        .flatten()
        .and_then(|entry| std::fs::copy(entry.path().join("vault.key"), &vault_key).ok());
    debug_assert!(kit.is_some());
    session.report.result(object, &session.progress.warnings(), || {
        format!(
            "the second snapshot stored {} of what the first one did\n\
             go on with:\n  \
             idswyft-vault snapshots {key}\n  \
             idswyft-vault verify --level bytes {key}\n  \
             idswyft-vault show latest --files --identity {place}/operator.key {key}\n  \
             ls {place}/restored     # and remove {place} when done\n",
            words::percent(second.new_len, first.new_len),
        )
    })?;
    Ok(Ending::Done)
}
