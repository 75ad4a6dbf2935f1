//! A writer, a janitor, two restores and a verification at once on one store: processes that know
//! nothing of one another.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, SystemTime};

use idswyft_vault::format::event::EventKind;
use serde_json::Value;

use crate::prune::orphan;
use crate::retention::{install, janitor, let_the_host, with};
use crate::support::assurance::Figure;
use crate::support::{Install, Outcome, is_long, noise, tree_of};

/// Rounds of the usual run, and at length.
const ROUNDS: [u64; 2] = [12, 500];
/// Of so many rounds one closes the generation beside the janitor.
const ROLL_EVERY: u64 = 6;
/// Content comes back after so many rounds, of which two snapshots are left.
const COMES_BACK: u64 = 5;

/// What was started in a round, in the words of the command line.
struct Running(BTreeMap<&'static str, Child>);

impl Running {
    /// Starts all, each time beginning with another.
    fn start(install: &Install, number: u64, mut words: Vec<(&'static str, Vec<&str>)>) -> Self {
        let first = usize::try_from(number).unwrap() % words.len();
        words.rotate_left(first);
        let start = |(name, words): (&'static str, Vec<&str>)| {
            let mut command = install.command(words);
            command.env("IDSWYFT_VAULT_IDENTITY", "operator.key");
            (name, command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
        };
        Self(words.into_iter().map(start).collect())
    }

    /// Waits for all.
    fn outcomes(self) -> BTreeMap<&'static str, Outcome> {
        let outcome =
            |(name, child): (_, Child)| (name, Outcome::of(child.wait_with_output().unwrap()));
        self.0.into_iter().map(outcome).collect()
    }
}

/// One store, and what came of those who work on it.
struct Together {
    install: Install,
    janitor: Vec<String>,
    /// Every snapshot that was ever taken, in order.
    taken: Vec<String>,
    restored_count: usize,
    refused_count: usize,
    deleted_count: u64,
}

impl Together {
    fn new() -> Self {
        let (install, taken) = install("keep_last = 2", 2);
        let janitor = janitor(&install);
        let_the_host(&install, &[EventKind::SnapshotForgotten, EventKind::PacksDeleted]);
        let (restored_count, refused_count, deleted_count) = (0, 0, 0);
        Self { install, janitor, taken, restored_count, refused_count, deleted_count }
    }

    /// Lets all work at once, and looks at what each said.
    fn round(&mut self, number: u64) {
        let content = noise(1000 + number % COMES_BACK, 60_000);
        self.install.write("uploads/turn.jpg", &content);
        self.install.write(&format!("uploads/{}.jpg", number % 3), &noise(number, 9_000));
        let crashed = orphan(&self.install, 60 + number);
        let before = self.install.objects("packs");
        let standing = self.standing();
        let [oldest, newest] = [standing.first(), standing.last()].map(|id| id.unwrap().clone());
        let rolls = number % ROLL_EVERY == ROLL_EVERY - 1;
        let write = match (rolls, number % 2) {
            (true, _) => vec!["generation", "roll", "--json"],
            // Every other night it leaves all to the janitor.
            (false, 0) => vec!["snapshot", "--json", "--no-retain"],
            (false, _) => vec!["snapshot", "--json"],
        };
        let away = &self.janitor[..4];
        let running = Running::start(
            &self.install,
            number,
            vec![
                ("write", write),
                ("tidy", with(&["retain", "--apply", "--json", "--accept-many"], &self.janitor)),
                ("old", with(&["restore", &oldest, "--target", "old", "--json"], away)),
                ("new", with(&["restore", &newest, "--target", "new", "--json"], away)),
                ("verify", with(&["verify", "--level", "contents", "--json"], away)),
            ],
        );
        let mut outcomes = running.outcomes();
        let mut outcome = |name| outcomes.remove(name).unwrap();
        let written = outcome("write").json(0);
        if !rolls {
            let id = written["snapshots"][0]["id"].as_str().unwrap().to_owned();
            self.install.keep(&id);
            self.taken.push(id);
        }
        self.judge_janitor(&outcome("tidy"));
        assert!(!crashed.exists(), "round {number}: what a run left long ago is gone");
        self.judge_restore(&oldest, "old", &outcome("old"));
        self.judge_restore(&newest, "new", &outcome("new"));
        self.judge_verification(&outcome("verify"));
        if rolls {
            before.iter().for_each(|name| age(&self.install.path("store").join(name)));
        }
    }

    /// Returns the snapshots that stand, the oldest first.
    fn standing(&self) -> Vec<String> {
        let there =
            |id: &&String| self.install.path(&format!("store/snapshots/{id}.note")).exists();
        self.taken.iter().filter(there).cloned().collect()
    }

    fn judge_janitor(&mut self, outcome: &Outcome) {
        assert_eq!(outcome.exit, 0, "{outcome}");
        let told: Value = serde_json::from_str(&outcome.out).unwrap();
        let swept = told["vaults"][0]["pruned"]["applied"]["stores"].as_array().unwrap();
        let deleted = swept.iter().map(|one| one["deleted"]["object_count"].as_u64().unwrap());
        self.deleted_count += deleted.sum::<u64>();
    }

    /// A restore is complete, or says why it is not; and then nobody has that snapshot any more.
    fn judge_restore(&mut self, id: &str, target: &str, outcome: &Outcome) {
        let place = self.install.path(target);
        let mut restored = if place.exists() { tree_of(&place) } else { BTreeMap::new() };
        restored.remove("facts.json");
        let expected = tree_of(&self.install.path("kept").join(id));
        if outcome.exit == 0 {
            assert!(restored == expected, "{id}: {outcome}");
            self.restored_count += 1;
        } else {
            assert!(!self.standing().iter().any(|one| one == id), "{id} stands: {outcome}");
            let told: Value = serde_json::from_str(&outcome.out).unwrap();
            let losses = told["losses"].as_array().cloned().unwrap_or_default();
            let codes = losses.iter().map(|loss| &loss["code"]).chain(told["error"].get("code"));
            let codes: BTreeSet<&str> = codes.map(|code| code.as_str().unwrap()).collect();
            let known = ["object-missing", "snapshot-unknown"];
            assert!(
                !codes.is_empty() && codes.iter().all(|code| known.contains(code)),
                "{outcome}"
            );
            assert!(restored.iter().all(|(name, bytes)| expected.get(name) == Some(bytes)), "{id}");
            self.refused_count += 1;
        }
        drop(fs::remove_dir_all(place));
    }

    /// A verification finds nothing of what stands: only what went meanwhile, or is on its way.
    fn judge_verification(&self, outcome: &Outcome) {
        assert!([0, 3, 4].contains(&outcome.exit), "{outcome}");
        let standing = self.standing();
        let lists = standing.iter().map(|id| {
            fs::read_to_string(self.install.path(&format!("store/snapshots/{id}.sha256"))).unwrap()
        });
        let lists: String = lists.collect();
        let told: Value = serde_json::from_str(&outcome.out).unwrap();
        for finding in told["vaults"][0]["findings"].as_array().unwrap() {
            let [code, object] = ["code", "object"].map(|name| finding[name].as_str().unwrap());
            let is_known = match code {
                "object-unreferenced" => object == "packs and trees",
                // What is on its way: an event before its checkpoint, a note before its event.
                "record-pending" => {
                    object.starts_with("ledger/") || object.starts_with("snapshots/")
                }
                "object-missing" => {
                    !standing.iter().any(|id| object.contains(id.as_str()))
                        && !lists.contains(object)
                }
                _ => false,
            };
            assert!(is_known, "{finding}: {outcome}");
        }
    }

    /// Asserts that nothing was lost.
    fn end(&self) {
        let all = with(&["retain", "--apply", "--accept-many"], &self.janitor);
        self.install.run(all).exits(0);
        self.install.unlock(["verify", "--level", "bytes"]).exits(0);
        self.install.unlock(["verify", "--level", "contents"]).exits(0);
        let standing = self.standing();
        assert_eq!(standing.len(), 2);
        for id in &standing {
            self.install.assert_restores(id);
        }
    }
}

/// Makes a file of three days ago, as if its generation had been closed for as long.
fn age(path: &Path) {
    let then = SystemTime::now() - Duration::from_secs(3 * 24 * 3600);
    if let Ok(file) = File::options().write(true).open(path) {
        file.set_modified(then).unwrap();
    }
}

/// I6 I9
#[test]
fn a_writer_a_janitor_restores_and_a_verification_at_once_lose_nothing() {
    let mut together = Together::new();
    let rounds = ROUNDS[usize::from(is_long())];
    for number in 0..rounds {
        together.round(number);
    }
    together.end();
    let Together { restored_count, refused_count, deleted_count, .. } = together;
    let told = format!("{restored_count} restored, {refused_count} refused, {deleted_count} gone");
    assert!(restored_count > 0 && deleted_count > rounds, "{told}");
    println!("{told}");
    Figure {
        what: "rounds of a writer, a janitor, two restores and a verification at once",
        test: "a_writer_a_janitor_restores_and_a_verification",
    }
    .record(usize::try_from(rounds).unwrap());
}
