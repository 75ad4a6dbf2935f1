//! The repository's own files, read once and without asking git, so that an unpacked source
//! archive is checked as well.

use std::fs;
use std::path::Path;

/// A file of the repository.
#[derive(Debug, Clone)]
pub struct File {
    /// Path relative to the repository, with `/`.
    pub path: String,
    /// Content; bytes that are not UTF-8 are replaced.
    pub text: String,
}

/// Every file of the repository, sorted by path.
pub struct Repository {
    /// The files.
    pub files: Vec<File>,
}

impl File {
    /// Makes a file of given text, for tests of the rules.
    pub fn of(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }
}

impl Repository {
    /// Reads the repository that this test was built from.
    pub fn open() -> Self {
        let mut files = Vec::new();
        collect(Path::new(env!("CARGO_MANIFEST_DIR")), "", &mut files);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        assert!(files.iter().any(|file| file.path == "Cargo.toml"), "not the repository");
        Self { files }
    }

    /// Returns every Rust file.
    pub fn rust(&self) -> Vec<File> {
        self.rust_under("")
    }

    /// Returns the Rust files whose path begins with `prefix`; there must be some.
    pub fn rust_under(&self, prefix: &str) -> Vec<File> {
        let wanted = |file: &&File| file.path.starts_with(prefix) && file.path.ends_with(".rs");
        let found: Vec<File> = self.files.iter().filter(wanted).cloned().collect();
        assert!(!found.is_empty(), "no Rust file under {prefix:?}");
        found
    }

    /// Returns the text of a file that must exist.
    pub fn text(&self, path: &str) -> &str {
        let found = self.files.iter().find(|file| file.path == path);
        &found.unwrap_or_else(|| panic!("{path} is missing")).text
    }
}

fn collect(dir: &Path, prefix: &str, files: &mut Vec<File>) {
    for entry in fs::read_dir(dir).expect("the repository can be read") {
        let entry = entry.expect("a directory can be listed");
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type().expect("an entry has a kind");
        if kind.is_dir() && !is_left_out(&entry.path()) {
            collect(&entry.path(), &format!("{path}/"), files);
        } else if kind.is_file() && path != ".git" {
            let bytes = fs::read(entry.path()).expect("a file can be read");
            files.push(File { path, text: String::from_utf8_lossy(&bytes).into_owned() });
        }
    }
}

/// Leaves out git's own directory and build output, which cargo marks with a tag file.
fn is_left_out(dir: &Path) -> bool {
    dir.ends_with(".git") || dir.join("CACHEDIR.TAG").exists() || dir.ends_with("__pycache__")
}
