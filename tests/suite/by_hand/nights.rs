//! Months of an installation: a dump that grows and changes, and uploads that come and go.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;

use idswyft_vault::base::SnapshotId;
use idswyft_vault::format::parameters::{ParameterFields, Parameters};

use crate::hard::trees::{make_hostile, make_strange};
use crate::support::vault::{TestVault, local, noise};
use crate::support::{Random, is_long};

const NIGHT_COUNT: usize = 64;
const NIGHT_COUNT_LONG: usize = 400;
/// Three generations in the usual number of nights.
const GENERATION_DAYS: u32 = 25;
const FIRST_ROW_COUNT: usize = 12_000;
const FIRST_FILE_COUNT: usize = 80;

/// A vault after that, and the sources of some nights as they were.
pub struct Nights {
    pub vault: TestVault,
    /// How many there were, each with its snapshot.
    pub count: usize,
    /// The first, the middle and the last snapshot, and copies of their sources.
    pub kept: Vec<(SnapshotId, PathBuf)>,
    /// A checkpoint of the middle night, kept outside of the store.
    pub checkpoint: PathBuf,
}

/// What is archived, and what happens to it.
struct Installation<'a> {
    vault: &'a TestVault,
    random: Random,
    rows: Vec<String>,
    names: Vec<String>,
    made_count: usize,
}

impl Nights {
    /// Lets them pass.
    pub fn pass() -> Self {
        let fields = ParameterFields {
            pack_len: 4 * 1024 * 1024,
            generation_max_age_days: Some(GENERATION_DAYS),
            ..Parameters::initial().fields().clone()
        };
        let stores = |dir: &std::path::Path| vec![local(&dir.join("store"), "local")];
        let vault = TestVault::with(stores, Parameters::try_from(fields).unwrap());
        let count = if is_long() { NIGHT_COUNT_LONG } else { NIGHT_COUNT };
        let mut installation = Installation::first(&vault);
        let mut kept = Vec::new();
        let checkpoint = vault.path("kept-checkpoint");
        for night in 0..count {
            installation.live_a_day(night);
            vault.clock.pass_hours(23);
            let snapshot = vault.snapshot().snapshot;
            if [0, count / 2, count - 1].contains(&night) {
                kept.push((snapshot, installation.keep(night)));
            }
            if night == count / 2 {
                fs::copy(newest_checkpoint(&vault), &checkpoint).unwrap();
            }
        }
        let generations = fs::read_dir(vault.path("store/generations")).unwrap().count();
        assert!(generations >= 3, "{generations} generations");
        Self { vault, count, kept, checkpoint }
    }
}

/// Returns the newest checkpoint of the one log in a vault's store.
pub fn newest_checkpoint(vault: &TestVault) -> PathBuf {
    let files = walkdir::WalkDir::new(vault.path("store/ledger")).sort_by_file_name();
    let files = files.into_iter().map(|entry| entry.unwrap().into_path());
    files.filter(|path| path.extension().is_some_and(|of| of == "checkpoint")).last().unwrap()
}

impl<'a> Installation<'a> {
    fn first(vault: &'a TestVault) -> Self {
        let mut random = Random::new();
        let hostile = vault.path("uploads/hostile");
        fs::create_dir_all(hostile.join("dirs")).unwrap();
        make_hostile(&hostile);
        make_strange(&hostile);
        let rows = (0..FIRST_ROW_COUNT).map(|id| row(id, &mut random)).collect();
        let mut first = Self { vault, random, rows, names: Vec::new(), made_count: 0 };
        for _ in 0..FIRST_FILE_COUNT {
            first.add();
        }
        let text = "a scan of text that says the same again and again\n".repeat(40_000);
        vault.write("documents/compresses.txt", text.as_bytes());
        first
    }

    fn path(&self, name: &str) -> PathBuf {
        self.vault.path("uploads").join(name)
    }

    /// Adds a picture; now and then one that is almost another.
    fn add(&mut self) {
        self.made_count += 1;
        let len = 2_000 + self.random.index(150_000);
        let mut bytes = noise(self.random.next(), len);
        if self.made_count.is_multiple_of(4) && !self.names.is_empty() {
            bytes = fs::read(self.random_path()).unwrap();
            let at = self.random.index(bytes.len().max(1));
            bytes.splice(at..at, *b"inserted");
        }
        let name = format!("documents/{}/{}.jpg", self.made_count % 7, self.made_count);
        self.vault.write(&name, &bytes);
        self.names.push(name);
    }

    fn random_name(&mut self) -> String {
        let at = self.random.index(self.names.len());
        self.names[at].clone()
    }

    fn random_path(&mut self) -> PathBuf {
        let name = self.random_name();
        self.path(&name)
    }

    fn live_a_day(&mut self, night: usize) {
        for _ in 0..3 {
            self.add();
        }
        self.edit();
        let at = self.random.index(self.names.len());
        let removed = self.names.swap_remove(at);
        fs::remove_file(self.path(&removed)).unwrap();
        let at = self.random.index(self.names.len());
        let moved = format!("documents/moved-{night} caf\u{e9}.jpg");
        fs::rename(self.path(&self.names[at]), self.path(&moved)).unwrap();
        self.names[at] = moved;
        let linked = self.random_path();
        fs::hard_link(linked, self.path(&format!("documents/second-name-{night}"))).unwrap();
        symlink(self.random_name(), self.path(&format!("documents/link-{night}"))).unwrap();
        let strange = self.random_path();
        fs::set_permissions(&strange, fs::Permissions::from_mode(0o604)).unwrap();
        xattr::set(&strange, "user.night", night.to_string().as_bytes()).unwrap();
        for _ in 0..30 {
            let at = self.random.index(self.rows.len());
            self.rows[at] = row(at, &mut self.random);
        }
        for id in self.rows.len()..self.rows.len() + 100 {
            let next = row(id, &mut self.random);
            self.rows.push(next);
        }
        self.vault.write_dump(&self.rows);
    }

    /// Changes the middle of a file, cuts one off and empties one.
    fn edit(&mut self) {
        let path = self.random_path();
        let mut bytes = fs::read(&path).unwrap();
        let at = self.random.index(bytes.len().max(1)).min(bytes.len());
        bytes.splice(at..at, *b"edited");
        fs::write(&path, &bytes).unwrap();
        let path = self.random_path();
        let len = fs::metadata(&path).unwrap().len();
        fs::File::options().write(true).open(&path).unwrap().set_len(len / 2).unwrap();
        fs::write(self.random_path(), b"").unwrap();
    }

    /// Copies the sources as they are.
    fn keep(&self, night: usize) -> PathBuf {
        let kept = self.vault.path(&format!("night-{night}"));
        fs::create_dir(&kept).unwrap();
        for name in ["uploads", "db.sql"] {
            let source = self.vault.path(name);
            let copied = Command::new("cp").arg("-a").arg(source).arg(&kept).status();
            assert!(copied.unwrap().success());
        }
        kept
    }
}

fn row(id: usize, random: &mut Random) -> String {
    format!("{id}\tperson {:x} of street {}", random.next(), random.below(1000))
}
