//! The next snapshot of a vault whose store is damaged.

use idswyft_vault::base::{Code, Coded};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::ops::verify::Level;

use super::bench::{Bench, Wrong};
use super::fixture::{files_of, shot_of};
use super::harm::{Change, Harmed};
use crate::support::is_long;

impl Bench<'_> {
    /// A host that only puts reads nothing back: whatever happened to the store, the next snapshot
    /// is taken, and is sound once the damage is mended.
    pub fn snapshot(&self) -> Wrong {
        let mut copy = self.fixture.copy();
        let (kind, key, harm) = self.cell;
        let again = Harmed::apply(self.fixture, &copy.path("store"), (kind, key), harm);
        let again = again.ok_or("it cannot be done again")?;
        let sound = copy.stores[0].clone();
        copy.stores = vec![harm.store(&copy, key)];
        copy.write("documents/next.jpg", b"of the next night");
        copy.clock.pass_hours(1);
        let taken = copy.try_snapshot(&copy.sources());
        copy.stores = vec![sound];
        if let Some((key, Change::Added)) = self.harmed.changes.first()
            && matches!(key, ObjectKey::LedgerEvent(_, 1..) | ObjectKey::LedgerCheckpoint(_, 1..))
        {
            // What stands in the next event's place is not overwritten: the host says so.
            let refused = taken.err().map(|error| (error.code(), error.to_string()));
            let says = refused.as_ref().is_some_and(|(code, text)| {
                *code == Code::ObjectExists && text.contains(&key.to_string())
            });
            return if says { Ok(()) } else { Err(format!("not refused as taken: {refused:?}")) };
        }
        let report = taken.map_err(|error| format!("refused: {error}"))?;
        again.undo();
        let rows: Vec<String> = (0..700).map(|row| format!("{row}\tx{row}")).collect();
        let shot = shot_of(&copy, report.snapshot, &rows);
        let level = if is_long() { Level::Contents } else { Level::Bytes };
        let verified = copy.verify(level);
        if !verified.findings.is_empty() || verified.snapshot_count != 4 {
            return Err(format!("not sound once mended: {:?}", verified.findings));
        }
        let target = copy.path("target");
        let restored = copy.try_restore(shot.id, &target).map_err(|error| error.to_string())?;
        let found = files_of(&target.join("uploads"));
        match restored.losses.is_empty() && found == shot.uploads {
            true => Ok(()),
            false => Err("does not restore once mended".to_owned()),
        }
    }
}
