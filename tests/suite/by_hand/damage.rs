//! What a person sees who follows the pages over a store that is not whole.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use idswyft_vault::base::SnapshotId;
use idswyft_vault::crypto::identity::NoPassphrase;
use idswyft_vault::crypto::recipient::DataRecipients;

use super::nights::newest_checkpoint;
use super::{restore, verify};
use crate::support::Figure;
use crate::support::vault::{TestVault, noise};

/// A vault of two generations and four snapshots.
struct Sample {
    vault: TestVault,
    snapshots: Vec<SnapshotId>,
}

impl Sample {
    fn new() -> Self {
        let vault = TestVault::with_small_packs();
        let mut snapshots = Vec::new();
        for night in 0..4_u64 {
            for index in 0..6 {
                vault.write(&format!("{night}/{index}.jpg"), &noise(night * 10 + index, 30_000));
            }
            vault.write_dump(&[format!("{night}\tx")]);
            if night == 2 {
                let recipients = DataRecipients::parse(&[&vault.recipient]).unwrap();
                vault.writer().roll(&recipients, &NoPassphrase).unwrap();
            }
            snapshots.push(vault.snapshot().snapshot);
        }
        Self { vault, snapshots }
    }

    /// Makes a second store of the same objects, which may be damaged.
    fn copy_store(&self) -> Store {
        let path = self.vault.path("damaged");
        let _ = fs::remove_dir_all(&path);
        let copied =
            Command::new("cp").arg("-al").arg(self.vault.path("store")).arg(&path).status();
        assert!(copied.unwrap().success());
        Store { path, snapshots: self.snapshots.iter().map(ToString::to_string).collect() }
    }
}

/// A store that is made worse.
struct Store {
    path: PathBuf,
    snapshots: Vec<String>,
}

impl Store {
    /// Returns the object of a snapshot by the end of its name.
    fn of(&self, night: usize, suffix: &str) -> PathBuf {
        self.path.join(format!("snapshots/{}{suffix}", self.snapshots[night]))
    }

    /// Returns the files below a folder, sorted.
    fn files(&self, folder: &str) -> Vec<PathBuf> {
        let files = walkdir::WalkDir::new(self.path.join(folder)).sort_by_file_name().into_iter();
        let files = files.map(Result::unwrap).filter(|entry| entry.file_type().is_file());
        files.map(walkdir::DirEntry::into_path).collect()
    }

    fn ledger(&self, suffix: &str) -> Vec<PathBuf> {
        let mut files = self.files("ledger");
        files.retain(|file| file.to_str().unwrap().ends_with(suffix));
        files
    }

    /// Puts other bytes in the place of a file, of which there is another name elsewhere.
    fn change(&self, file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(file).unwrap();
        change(&mut bytes);
        fs::remove_file(file).unwrap();
        fs::write(file, bytes).unwrap();
    }

    fn flip(&self, file: &Path) {
        self.change(file, |bytes| {
            let at = bytes.len() / 2;
            bytes[at] ^= 1;
        });
    }

    /// Puts a digit in the place of another within the text of a note or event.
    fn alter(&self, file: &Path, field: &str) {
        self.change(file, |bytes| {
            let field = format!("\"{field}\":");
            let at = bytes.windows(field.len()).position(|at| at == field.as_bytes()).unwrap();
            let digit = bytes[at..].iter().position(u8::is_ascii_digit).unwrap();
            // One that may begin a number too.
            bytes[at + digit] = b'1' + (bytes[at + digit] - b'0') % 9;
        });
    }

    fn swap(&self, a: &Path, b: &Path) {
        let aside = self.path.join("aside");
        fs::rename(a, &aside).unwrap();
        fs::rename(b, a).unwrap();
        fs::rename(aside, b).unwrap();
    }

    fn remove(&self, file: &Path) {
        fs::remove_file(file).unwrap();
    }

    /// Removes the newest events and their checkpoints.
    fn cut_ledger(&self, count: usize) {
        for suffix in [".json", ".checkpoint"] {
            self.ledger(suffix).iter().rev().take(count).for_each(|file| self.remove(file));
        }
    }
}

/// What is done to a store, and the step that shows it.
type Damage = (&'static str, u32, fn(&Store));

const NOTES: [Damage; 9] = [
    ("a vault note of another number", 2, |s| s.alter(&s.path.join("vault/1.note"), "number")),
    ("an altered vault note", 4, |s| s.alter(&s.path.join("vault/1.note"), "pack_len")),
    ("a vault note of no number", 2, |s| {
        fs::copy(s.path.join("vault/1.note"), s.path.join("vault/2.note")).map(drop).unwrap();
    }),
    ("an altered snapshot note", 4, |s| s.alter(&s.of(1, ".note"), "stored_len")),
    ("a note without its signature", 4, |s| {
        s.change(&s.of(1, ".note"), |bytes| bytes.truncate(bytes.len() - 100));
    }),
    ("a missing note", 5, |s| s.remove(&s.of(1, ".note"))),
    ("a note under a second name", 5, |s| {
        let planted = s.path.join("snapshots/20990101T000000Z-00000000.note");
        fs::copy(s.of(1, ".note"), planted).map(drop).unwrap();
    }),
    ("two notes swapped", 5, |s| s.swap(&s.of(0, ".note"), &s.of(1, ".note"))),
    ("a note that no ledger records", 5, |s| s.cut_ledger(1)),
];

const LEDGERS: [Damage; 9] = [
    ("a dropped event", 3, |s| s.remove(&s.ledger(".json")[3])),
    ("an event dropped with its checkpoint", 3, |s| {
        s.remove(&s.ledger(".json")[3]);
        s.remove(&s.ledger(".checkpoint")[3]);
    }),
    ("an altered event", 3, |s| s.alter(&s.ledger(".json")[3], "stored_len")),
    ("an event that is none", 3, |s| s.flip(&s.ledger(".json")[3])),
    ("two events swapped", 3, |s| s.swap(&s.ledger(".json")[3], &s.ledger(".json")[2])),
    ("a missing checkpoint", 3, |s| s.remove(&s.ledger(".checkpoint")[3])),
    ("a checkpoint of another size", 3, |s| {
        s.swap(&s.ledger(".checkpoint")[3], &s.ledger(".checkpoint")[2]);
    }),
    ("a checkpoint with another signature", 4, |s| {
        s.change(&s.ledger(".checkpoint")[3], |bytes| {
            let at = bytes.len() - 20;
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        });
    }),
    ("a log that is gone", 3, |s| fs::remove_dir_all(s.path.join("ledger")).unwrap()),
];

const OBJECTS: [Damage; 14] = [
    ("an altered list", 6, |s| s.flip(&s.of(1, ".sha256"))),
    ("a list that names one pack less", 6, |s| {
        s.change(&s.of(1, ".sha256"), |bytes| {
            let lines = String::from_utf8(std::mem::take(bytes)).unwrap();
            let kept: Vec<&str> = lines.lines().take(3).collect();
            *bytes = format!("{}\n", kept.join("\n")).into_bytes();
        });
    }),
    ("a missing list", 6, |s| s.remove(&s.of(1, ".sha256"))),
    ("an altered body", 6, |s| s.flip(&s.of(1, ".age"))),
    ("two bodies swapped", 6, |s| s.swap(&s.of(0, ".age"), &s.of(1, ".age"))),
    ("a missing segment", 6, |s| s.remove(&s.files("segments")[0])),
    ("an altered generation file", 7, |s| s.flip(&s.files("generations")[0])),
    ("a missing generation file", 7, |s| s.remove(&s.files("generations")[0])),
    ("two generation files swapped", 7, |s| {
        s.swap(&s.files("generations")[0], &s.files("generations")[1]);
    }),
    ("a flipped pack", 8, |s| s.flip(&s.files("packs")[0])),
    ("a missing pack", 8, |s| s.remove(&s.files("packs")[0])),
    ("a truncated pack", 8, |s| {
        s.change(&s.files("packs")[0], |bytes| bytes.truncate(bytes.len() - 1))
    }),
    ("two packs swapped", 8, |s| s.swap(&s.files("packs")[0], &s.files("packs")[1])),
    ("a flipped tree object", 8, |s| s.flip(&s.files("trees")[0])),
];

/// Verifies a damaged copy by hand and asserts which step shows it.
fn assert_shown(sample: &Sample, checkpoint: &Path, (what, step, damage): &Damage) {
    let store = sample.copy_store();
    damage(&store);
    let followed = verify(&sample.vault, &store.path, checkpoint);
    let failed = (1..=8).find(|step| !followed.right.contains(step));
    assert_eq!(failed, Some(*step), "{what}: {}", followed.said);
    assert!(followed.said.contains("FAILED"), "{what}: {}", followed.said);
}

#[test]
fn verifying_by_hand_names_the_step_of_every_damage() {
    let sample = Sample::new();
    let first = sample.vault.path("kit").read_dir().unwrap().next().unwrap().unwrap().path();
    let checkpoint = first.join("checkpoint");
    let sound = verify(&sample.vault, &sample.copy_store().path, &checkpoint);
    assert_eq!(sound.right, (1..=8).collect::<Vec<_>>(), "{}", sound.said);
    let damages = [&NOTES[..], &LEDGERS, &OBJECTS].concat();
    damages.iter().for_each(|damage| assert_shown(&sample, &checkpoint, damage));
    let kept = sample.vault.path("kept");
    fs::copy(newest_checkpoint(&sample.vault), &kept).unwrap();
    let set_back: Damage = ("a store set back, against a checkpoint kept elsewhere", 3, |s| {
        s.cut_ledger(1);
        s.remove(&s.of(3, ".note"));
    });
    assert_shown(&sample, &kept, &set_back);
    Figure {
        what: "kinds of damage that verifying by hand shows, each at its step",
        test: "verifying_by_hand_names_the_step_of_every_damage",
    }
    .record(damages.len() + 1);
}

#[test]
fn restoring_by_hand_goes_on_beside_damage_and_names_what_it_cost() {
    let sample = Sample::new();
    let newest = sample.snapshots[3];
    let unlocked = sample.vault.unlocked();
    let body = unlocked.body(&unlocked.auditor().snapshot(newest).unwrap()).unwrap();
    let dump = body.database.unwrap().stream;
    let dump_pack = body.packs[dump.recipe.pieces()[0].pack as usize];
    let pack = |id: &str| sample.vault.path("store").join(format!("packs/{}/{id}", &id[..2]));

    let dump_pack = pack(&dump_pack.to_string());
    let whole = fs::read(&dump_pack).unwrap();
    fs::write(&dump_pack, &whole[..whole.len() - 1]).unwrap();
    let target = sample.vault.path("without-dump");
    let followed = restore(&sample.vault, newest, &target);
    assert_eq!(followed.right, [1, 2, 4, 5, 7, 8, 9, 10, 11], "{}", followed.said);
    assert!(followed.said.contains("db.sql: FAILED") && !target.join("db.sql").exists());
    assert_eq!(fs::read(target.join("uploads/3/5.jpg")).unwrap(), noise(35, 30_000));
    fs::write(&dump_pack, whole).unwrap();

    let list = fs::read_to_string(sample.vault.path(&format!("store/snapshots/{newest}.sha256")));
    let list = list.unwrap();
    let ids = list.lines().filter_map(|line| Some(line.split_once("  packs/")?.0));
    let file_packs = ids.map(pack).filter(|path| *path != dump_pack);
    file_packs.for_each(|path| fs::remove_file(path).unwrap());
    let target = sample.vault.path("without-files");
    let followed = restore(&sample.vault, newest, &target);
    assert_eq!(followed.right, [1, 2, 4, 5, 6, 7, 9, 10, 11], "{}", followed.said);
    assert!(followed.said.contains("WRONG: /3/5.jpg"), "{}", followed.said);
    assert!(!target.join("uploads/3/5.jpg").exists(), "what is not whole is not restored");
    let dump = fs::read(target.join("db.sql")).unwrap();
    assert_eq!(dump, fs::read(sample.vault.path("db.sql")).unwrap());
}
