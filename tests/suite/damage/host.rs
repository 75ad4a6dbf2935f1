//! Damage of what the host keeps: the next run says what is wrong, or goes on and what it takes is
//! sound, or `verify` finds that it is not. What the stores have is never touched by it.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use idswyft_vault::base::{Coded, Family};
use idswyft_vault::ops::verify::Level;
use idswyft_vault::vault::Writer;
use idswyft_vault::vault::state::StateDir;

use super::fixture::{Fixture, files_of, shot_of};
use crate::support::Figure;
use crate::support::vault::TestVault;

const FILES: [&str; 6] = [
    "manifest.sqlite",
    "files.sqlite",
    "vault.json",
    "vault.note",
    "writer.key",
    "generation.json",
];

/// Something that happens to a file of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Harm {
    Empty,
    CutByOne,
    CutToHalf,
    FlipStart,
    FlipMiddle,
    FlipEnd,
    Append,
    Delete,
    Zeros,
    Directory,
    Foreign,
}

const HARMS: [Harm; 11] = [
    Harm::Empty,
    Harm::CutByOne,
    Harm::CutToHalf,
    Harm::FlipStart,
    Harm::FlipMiddle,
    Harm::FlipEnd,
    Harm::Append,
    Harm::Delete,
    Harm::Zeros,
    Harm::Directory,
    Harm::Foreign,
];

fn apply(path: &Path, harm: Harm, foreign: &[u8]) {
    let mut bytes = fs::read(path).unwrap();
    let len = bytes.len();
    match harm {
        Harm::Empty => bytes.clear(),
        Harm::CutByOne => bytes.truncate(len - 1),
        Harm::CutToHalf => bytes.truncate(len / 2),
        Harm::FlipStart => bytes[0] ^= 1,
        Harm::FlipMiddle => bytes[len / 2] ^= 0x10,
        Harm::FlipEnd => bytes[len - 1] ^= 0x04,
        Harm::Append => bytes.extend_from_slice(b"more"),
        Harm::Zeros => bytes.fill(0),
        Harm::Foreign => bytes = foreign.to_vec(),
        Harm::Delete | Harm::Directory => fs::remove_file(path).unwrap(),
    }
    match harm {
        Harm::Delete => {}
        Harm::Directory => fs::create_dir(path).unwrap(),
        _ => fs::write(path, bytes).unwrap(),
    }
}

/// V-136, V-154
#[test]
fn a_damaged_file_of_the_host_costs_no_snapshot_that_a_store_has() {
    let fixture = Fixture::new();
    let other = Fixture::new();
    let (mut wrong, mut count, mut went_on) = (Vec::new(), 0, 0);
    for file in FILES {
        let foreign = fs::read(other.vault.path("state/nightly").join(file)).unwrap();
        for harm in HARMS {
            let vault = fixture.copy();
            apply(&vault.path("state/nightly").join(file), harm, &foreign);
            let looked = catch_unwind(AssertUnwindSafe(|| look(&vault, file)));
            match looked.unwrap_or_else(|_| Err("a panic".to_owned())) {
                Ok(is_taken) => went_on += usize::from(is_taken),
                Err(complaint) => wrong.push(format!("{file} {harm:?}: {complaint}")),
            }
            count += 1;
        }
    }
    assert!(wrong.is_empty(), "{} cells are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(went_on > 0 && went_on < count, "{went_on} of {count} runs went on");
    let what = "things that happen to a file of the host × its files";
    Figure { what, test: "a_damaged_file_of_the_host" }.record(count);
}

/// Takes the next snapshot; returns whether it was taken.
fn look(vault: &TestVault, file: &str) -> Result<bool, String> {
    let before = files_of(&vault.path("store"));
    vault.write("documents/next.jpg", b"of the next night");
    vault.clock.pass_hours(1);
    let state = StateDir::new(&vault.path("state"), "nightly");
    let opened = Writer::open(state, vault.stores.clone(), vault.outside());
    let taken = match opened {
        Err(error) => Err(judge(&error, file)),
        Ok(writer) => {
            drop(writer);
            vault.try_snapshot(&vault.sources()).map_err(|error| judge(&error, file))
        }
    };
    let after = files_of(&vault.path("store"));
    if before.iter().any(|(name, bytes)| after.get(name) != Some(bytes)) {
        return Err("what was stored changed".to_owned());
    }
    match taken {
        Err(judged) => judged.map(|()| false),
        Ok(report) => {
            let rows: Vec<String> = (0..700).map(|row| format!("{row}\tx{row}")).collect();
            if !vault.verify(Level::Contents).findings.is_empty() {
                // It was taken and is not sound: `verify` says so, so nobody relies on it.
                return Ok(true);
            }
            let shot = shot_of(vault, report.snapshot, &rows);
            let target = vault.path("next");
            let restored = vault.try_restore(shot.id, &target).map_err(|e| e.to_string())?;
            let same = files_of(&target.join("uploads")) == shot.uploads;
            let sound = same && restored.losses.is_empty();
            if sound { Ok(true) } else { Err("verify finds nothing, and it restores not".into()) }
        }
    }
}

/// Checks that an error is of the state and names the file.
fn judge(error: &impl Coded, file: &str) -> Result<(), String> {
    let family = error.code().family();
    let causes = std::iter::successors(std::error::Error::source(error), |e| (*e).source());
    let text: String = causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"));
    // Without the one there is no vault, and of the other the note is what does not verify.
    let is_of_both = matches!(file, "vault.json" | "vault.note") && text.contains("vault");
    let names = text.contains(file) || is_of_both;
    let is_right = matches!(family, Family::Unavailable | Family::Damaged | Family::Misuse);
    match names && is_right {
        true => Ok(()),
        false => Err(format!("{} does not name the file: {text}", error.code())),
    }
}
