//! What a stack serves, to be compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::stack::support::Stack;

/// Mode, owner, group and digest of each file.
pub type Files = BTreeMap<String, (u32, u32, u32, String)>;

/// What a stack serves: every line of its dump, its constraints, and every file with its owner.
pub struct Served {
    pub rows: Vec<String>,
    pub constraints: String,
    pub files: Files,
}

impl Served {
    /// Asserts that this is what is expected, but for what is kept of another state.
    #[track_caller]
    pub fn is(&self, expected: &Self) {
        let differing = self.differing(expected);
        assert!(differing.is_empty(), "{}", differing.join("\n"));
    }

    /// Returns what differs, a few of each kind.
    pub fn differing(&self, expected: &Self) -> Vec<String> {
        let one_way = |some: &Self, others: &Self, mark: &str| {
            let row = |row: &&String| !others.rows.contains(row);
            let rows = some.rows.iter().filter(row).take(5).cloned();
            let file = |(name, file): &(&String, &_)| {
                !name.starts_with(".idswyft-vault-") && others.files.get(*name) != Some(*file)
            };
            let files = some.files.iter().filter(file).take(5).map(|file| format!("{file:?}"));
            rows.chain(files).map(|what| format!("{mark} {what}")).collect::<Vec<_>>()
        };
        let mut differing = one_way(self, expected, "found");
        differing.extend(one_way(expected, self, "expected"));
        if self.rows.len() != expected.rows.len() {
            differing.push(format!("{} lines, {} expected", self.rows.len(), expected.rows.len()));
        }
        let lines = |served: &Self| served.constraints.lines().map(str::to_owned).collect();
        let (some, others): (BTreeSet<String>, BTreeSet<_>) = (lines(self), lines(expected));
        differing.extend(some.symmetric_difference(&others).take(5).cloned());
        differing
    }

    pub fn by(stack: &Stack) -> Self {
        let dump = stack.exec("postgres", ["pg_dump", "-U", "idswyft", "--no-owner", "idswyft"]);
        let is_kept = |line: &&str| !line.contains("restrict ") && !line.is_empty();
        let mut rows: Vec<String> = dump.lines().filter(is_kept).map(str::to_owned).collect();
        rows.sort();
        let constraints = stack.psql(
            "SELECT conname, contype, convalidated FROM pg_constraint ORDER BY 1, 2; \
             SELECT tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1; \
             SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class \
             WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1",
        );
        Self { rows, constraints, files: files_of(&stack.volume_path("uploads")) }
    }
}

pub fn files_of(root: &Path) -> Files {
    let mut files = BTreeMap::new();
    for entry in walkdir::WalkDir::new(root) {
        let entry = entry.unwrap();
        let metadata = fs::symlink_metadata(entry.path()).unwrap();
        let name = entry.path().strip_prefix(root).unwrap().display().to_string();
        let bytes = if metadata.is_file() { fs::read(entry.path()).unwrap() } else { Vec::new() };
        let digest = blake3::hash(&bytes).to_hex().to_string();
        files.insert(name, (metadata.mode(), metadata.uid(), metadata.gid(), digest));
    }
    files
}

/// Returns what is kept of another state, beside the volume or in it.
pub fn aside(stack: &Stack) -> Files {
    let root = stack.volume_path("uploads");
    let mut files = files_of(root.parent().unwrap());
    files.retain(|name, _| name.split('/').any(|part| part.starts_with(".idswyft-vault-")));
    files
}
