//! Whether a store is where what it protects against also strikes. Spec: `nights.md`.
//!
//! Plain paths in, warnings out: `init` and `status` both ask. Nothing is written, and what cannot
//! be looked at is not warned of.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::base::Code;

/// What a config says of places.
#[derive(Debug, Clone, Default)]
pub struct PlaceFacts {
    /// Every vault with its stores, the primary first.
    pub vaults: Vec<VaultPlaces>,
    /// Directories that are archived, or that the database is in: uploads root, mount points.
    pub sources: Vec<PathBuf>,
    /// The directory of the installation, if it is known.
    pub install: Option<PathBuf>,
}

/// The stores of a vault.
#[derive(Debug, Clone)]
pub struct VaultPlaces {
    /// The vault's name.
    pub name: String,
    /// Its stores: the name, and the directory if it is one of this machine.
    pub stores: Vec<(String, Option<PathBuf>)>,
}

/// Returns what is risky about where the stores are.
///
/// - All copies of a vault on the disk of what is archived: that disk's end is the end of both.
///   One copy elsewhere is enough.
/// - A store inside the installation, which its uninstaller removes.
/// - A store inside a git work tree, which `git clean` empties and a push may publish.
pub fn warnings(facts: &PlaceFacts) -> Vec<(Code, String)> {
    let mut found = Vec::new();
    for vault in &facts.vaults {
        found.extend(shared_disk(vault, &facts.sources));
        for (name, dir) in &vault.stores {
            let Some(dir) = dir else { continue };
            found.extend(inside(name, dir, facts.install.as_deref()));
        }
    }
    found
}

fn shared_disk(vault: &VaultPlaces, sources: &[PathBuf]) -> Option<(Code, String)> {
    let (first, _) = vault.stores.first()?;
    let shared = vault.stores.iter().map(|(_, dir)| {
        let disk = disk_of(dir.as_ref()?)?;
        sources.iter().find(|source| disk_of(source) == Some(disk))
    });
    let source = shared.collect::<Option<Vec<_>>>()?.into_iter().next()?;
    let detail = format!(
        "vault {}: store {first} and every other is on the disk of {}, so one failure takes both",
        vault.name,
        source.display()
    );
    Some((Code::StoreSharesDisk, detail.replace(" and every other is", one_or_all(vault))))
}

fn one_or_all(vault: &VaultPlaces) -> &'static str {
    if vault.stores.len() == 1 { " is" } else { " and every other is" }
}

fn inside(name: &str, dir: &Path, install: Option<&Path>) -> Option<(Code, String)> {
    let real = existing(dir)?;
    if let Some(install) = install.and_then(existing)
        && real.starts_with(&install)
    {
        let detail = format!(
            "store {name} is inside the installation {}, whose uninstaller removes it",
            install.display()
        );
        return Some((Code::StoreInInstall, detail));
    }
    let tree = real.ancestors().find(|above| above.join(".git").exists())?;
    let detail = format!("store {name} is inside the git work tree {}", tree.display());
    Some((Code::StoreInWorkTree, detail))
}

/// Returns the device of a path; of the nearest directory above it where it is not there yet.
fn disk_of(path: &Path) -> Option<u64> {
    path.ancestors().find_map(|above| Some(std::fs::metadata(above).ok()?.dev()))
}

/// Returns a path with the links in that part of it followed that exists.
fn existing(path: &Path) -> Option<PathBuf> {
    path.ancestors().find_map(|above| {
        let real = above.canonicalize().ok()?;
        Some(real.join(path.strip_prefix(above).ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(stores: &[Option<&Path>]) -> VaultPlaces {
        let stores = stores.iter().enumerate();
        let stores = stores.map(|(at, dir)| (format!("s{at}"), dir.map(Path::to_owned)));
        VaultPlaces { name: "nightly".into(), stores: stores.collect() }
    }

    fn codes(facts: &PlaceFacts) -> Vec<Code> {
        warnings(facts).into_iter().map(|(code, _)| code).collect()
    }

    /// N-12
    #[test]
    fn a_vault_whose_copies_are_all_on_the_disk_of_its_sources_is_warned_of() {
        let scratch = tempfile::tempdir().unwrap();
        let (store, uploads) = (scratch.path().join("not/there/yet"), scratch.path().join("u"));
        let facts = |stores: &[Option<&Path>], source: &Path| PlaceFacts {
            vaults: vec![vault(stores)],
            sources: vec![source.to_owned()],
            install: None,
        };
        let shared = facts(&[Some(&store)], &uploads);
        assert_eq!(codes(&shared), [Code::StoreSharesDisk]);
        assert!(warnings(&shared)[0].1.contains("store s0 is on the disk of"));
        // /proc is never on a disk.
        assert_eq!(codes(&facts(&[Some(&store)], Path::new("/proc"))), []);
        assert_eq!(codes(&facts(&[Some(&store), None], &uploads)), [], "a bucket is elsewhere");
        assert_eq!(codes(&facts(&[Some(&store), Some(Path::new("/proc/x"))], &uploads)), []);
        let both = facts(&[Some(&store), Some(scratch.path())], &uploads);
        assert_eq!(codes(&both), [Code::StoreSharesDisk]);
    }

    /// N-12
    #[test]
    fn a_store_inside_the_installation_or_a_work_tree_is_warned_of() {
        let scratch = tempfile::tempdir().unwrap();
        let install = scratch.path().join("idswyft");
        std::fs::create_dir_all(install.join(".git")).unwrap();
        let link = scratch.path().join("link");
        std::os::unix::fs::symlink(&install, &link).unwrap();
        let beside = scratch.path().join("idswyft-backup");
        let facts = |store: &Path, install: Option<&Path>| PlaceFacts {
            vaults: vec![vault(&[Some(store)])],
            sources: Vec::new(),
            install: install.map(Path::to_owned),
        };
        let inside = link.join("backups");
        assert_eq!(codes(&facts(&inside, Some(&install))), [Code::StoreInInstall]);
        assert_eq!(codes(&facts(&inside, None)), [Code::StoreInWorkTree]);
        assert_eq!(codes(&facts(&beside, Some(&install))), []);
    }
}
