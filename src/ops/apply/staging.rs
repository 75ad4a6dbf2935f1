//! Everything that is done before anything is stopped. Spec: `apply.md` §1.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::database::DatabaseSwap;
use super::journal::{DatabaseNames, Journal, Phase, UploadsPlaces, Way, remove_tree};
use super::room::Room;
use super::services;
use super::uploads::VolumeSwap;
use super::{Application, ApplyError, ApplyReport, ApplyRequest, Erased, POSTGRES};
use crate::base::{Code, Event, SnapshotId, entropy};
use crate::format::TreeEntry;
use crate::format::body::Body;
use crate::ops::Error;
use crate::ops::loading::check_commands;
use crate::ops::read;
use crate::ops::restore::{self, Existing, Part, RestoreRequest};
use crate::ops::rows;
use crate::source::docker::psql::Psql;
use crate::source::docker::{
    API_SERVICE, ComposeProgram, Container, ReadMode, ReadWay, Stack, UploadsVolume,
};
use crate::store::STAGING_PREFIX;
use crate::vault::Unlocked;

/// Days that the stack keeps verifications unless it is told otherwise.
const RETENTION_DAYS_DEFAULT: i64 = 90;
/// What a restore calls the dump.
const DUMP_NAME: &str = "db.sql";
/// Where the official image keeps its databases, unless `PGDATA` says otherwise.
const PGDATA_DEFAULT: &str = "/var/lib/postgresql/data";

impl Application<'_> {
    /// Restores, loads, counts and compares beside what serves; returns the journal that stands.
    ///
    /// What was staged is removed again if any of it fails.
    pub(super) fn stage(
        &self,
        unlocked: &Unlocked,
        request: &ApplyRequest,
        report: &mut ApplyReport,
    ) -> Result<Journal, Error> {
        let body = unlocked.body(&unlocked.auditor().snapshot(request.snapshot)?)?;
        let stack = self.stack()?;
        let mut journal = self.plan(&stack, &body, request)?;
        self.dir.save(&journal)?;
        let began = self.outside.clock.now();
        match self.stage_all(unlocked, request, (&stack, &body), &mut journal, report) {
            Ok(()) => {
                // It is in the database now, and readable for whoever reads this disk.
                remove_tree(&self.dir.dump())?;
                report.durations.push((Phase::Staging.name(), self.since(began)));
                journal.phase = Phase::Stopping;
                self.dir.save(&journal)?;
                Ok(journal)
            }
            Err(error) => match self.discard(journal) {
                Ok(_) => Err(ApplyError::TakenBack { cause: Box::new(error) }.into()),
                Err(back) => {
                    let (cause, back) = (Box::new(error), Box::new(back));
                    Err(ApplyError::NotTakenBack { cause, back }.into())
                }
            },
        }
    }

    /// Looks at everything that is needed, and changes nothing.
    fn plan(&self, stack: &Stack, body: &Body, request: &ApplyRequest) -> Result<Journal, Error> {
        self.warn_of_age(stack, body);
        let suffix: [u8; 4] = entropy::draw(self.outside.entropy.as_ref());
        let suffix = hex::encode(suffix);
        let mut room = Room::default();
        let mut database = None;
        if let Some(stream) = &body.database {
            let postgres = stack.running(POSTGRES)?;
            let psql = Psql::of(&self.docker, postgres);
            if !psql.is_ready() {
                return Err(stack.unusable(POSTGRES, "it takes no connections").into());
            }
            let name = postgres.variable("POSTGRES_DB").map(|name| name.expose().to_owned());
            let name = name.unwrap_or_else(|| psql.user.clone());
            let there = psql.run("template1", "SELECT datname FROM pg_database;")?;
            let was_there = there.into_iter().flatten().any(|there| there == name);
            database = Some(DatabaseNames::new(&psql.user, &name, was_there, &suffix));
            room.dump(self.dir.path(), stream.stream.len)?;
            if let Some(place) = data_dir(postgres) {
                room.database(&place, stream.stream.len)?;
            }
        }
        let mut uploads = None;
        if let Some(tree) = &body.uploads {
            let places = self.places(stack, &suffix)?;
            let entry_count = tree.file_count + tree.dir_count + tree.other_count;
            room.tree(&places.root, tree.content_len, entry_count)?;
            uploads = Some(places);
        }
        room.check()?;
        Ok(Journal {
            v: 1,
            snapshot: request.snapshot,
            project: stack.project.clone(),
            install_dir: stack.dir.clone(),
            phase: Phase::Staging,
            way: Way::Forward,
            has_served: false,
            keeps_env: request.files.is_empty(),
            erased_again: request.erased == Erased::Again,
            database,
            uploads,
            files: Vec::new(),
            ran: services::that_run(stack, &services::to_stop(stack)),
            services: services::to_stop(stack),
        })
    }

    /// Finds the volume, and sees whether it can be exchanged from here.
    fn places(&self, stack: &Stack, suffix: &str) -> Result<UploadsPlaces, Error> {
        let volume = UploadsVolume::find(stack, None)?;
        let root = volume.directory.clone();
        let unusable = |reason: String| ApplyError::Volume { path: root.clone(), reason };
        if volume.way(&self.docker, stack, ReadMode::Auto)? != ReadWay::Directory(root.clone()) {
            let reason = "the engine is not on this machine, or shows other owners here".to_owned();
            return Err(unusable(reason).into());
        }
        let metadata = fs::symlink_metadata(&root).map_err(|cause| {
            unusable(format!("{cause}: it must be a directory of this machine, and readable"))
        })?;
        if !metadata.is_dir() {
            return Err(unusable("it is not a directory".to_owned()).into());
        }
        let beside = beside(&root, &metadata);
        for place in [&root, &beside] {
            // Whether it can be written is seen by writing: nothing else tells of a read-only
            // mount.
            let probe = tempfile::Builder::new().prefix(STAGING_PREFIX).tempdir_in(place);
            probe.map_err(|cause| unusable(format!("it cannot be written: {cause}")))?;
        }
        Ok(UploadsPlaces {
            root_was: (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777),
            staged: format!("{STAGING_PREFIX}restored-{suffix}"),
            previous: format!("{STAGING_PREFIX}before-{suffix}"),
            beside,
            root,
        })
    }

    /// Warns of a snapshot that is older than what the stack keeps: it deletes that by itself.
    fn warn_of_age(&self, stack: &Stack, body: &Body) {
        let api = stack.service(API_SERVICE).ok();
        let days = api.and_then(|api| api.variable("DATA_RETENTION_DAYS"));
        let days = days.and_then(|days| days.expose().trim().parse().ok());
        let days: i64 = days.unwrap_or(RETENTION_DAYS_DEFAULT);
        let age = self.outside.clock.now().duration_since(body.time).as_hours() / 24;
        if age > days {
            let detail = format!(
                "the snapshot is {age} days old and the stack keeps verifications for {days}: its \
                 job of 02:00 UTC deletes what is older, out of what is restored too"
            );
            self.observer.observe(Event::Warning { code: Code::RetentionPassed, detail });
        }
    }

    fn stage_all(
        &self,
        unlocked: &Unlocked,
        request: &ApplyRequest,
        (stack, body): (&Stack, &Body),
        journal: &mut Journal,
        report: &mut ApplyReport,
    ) -> Result<(), Error> {
        if let Some(install_dir) = journal.install_dir.as_deref() {
            journal.files = super::files::stage(&self.dir, install_dir, &request.files)?;
        }
        if !journal.files.is_empty() {
            // Without it the new files would reach no container: said while nothing is stopped.
            ComposeProgram::find(&self.docker)?;
        }
        if let (Some(names), Some(stream)) = (&journal.database, &body.database) {
            let target = self.dir.dump();
            self.restore(unlocked, request.snapshot, Part::Database, &target)?;
            let path = target.join(DUMP_NAME);
            check_commands(&path)?;
            let dump = File::open(&path).map_err(|cause| Error::file("read", &path, cause))?;
            let swap = DatabaseSwap::new(Psql::of(&self.docker, stack.running(POSTGRES)?), names);
            swap.stage(dump)?;
            swap.check_rows(&stream.rows)?;
        }
        if let Some(places) = &journal.uploads {
            let swap = VolumeSwap::new(places, std::sync::Arc::clone(self.gate()));
            self.restore(unlocked, request.snapshot, Part::Uploads, &swap.staged())?;
            if let Some([from, to]) = swap.adopt_owner()? {
                let detail = format!(
                    "the volume belongs to {}:{}, the snapshot's files to {}:{}: they were given \
                     to the volume's owner",
                    to.0, to.1, from.0, from.1
                );
                self.observer.observe(Event::Warning { code: Code::OwnerChanged, detail });
            }
        }
        self.compare(unlocked, request, (stack, body), journal, report)?;
        self.volume(journal).map_or(Ok(()), |swap| swap.sync())?;
        if journal.files.is_empty() {
            let snapshot = request.snapshot;
            report.proofs = self.check_keys(unlocked, snapshot, stack, request.other_keys)?;
        }
        Ok(())
    }

    /// Compares the staged rows with the staged files, and with who was erased since.
    fn compare(
        &self,
        unlocked: &Unlocked,
        request: &ApplyRequest,
        (stack, body): (&Stack, &Body),
        journal: &Journal,
        report: &mut ApplyReport,
    ) -> Result<(), Error> {
        let Some(names) = &journal.database else { return Ok(()) };
        let dump = self.dir.dump().join(DUMP_NAME);
        let open = || File::open(&dump).map_err(|cause| Error::file("read", &dump, cause));
        if body.uploads.is_some() {
            let tree = |visit: &mut dyn FnMut(&TreeEntry) -> Result<(), Error>| {
                read::visit_tree(unlocked, request.snapshot, |entry| visit(&entry))
            };
            let rows = rows::check(rows::all_of(open()?), tree, body, self.dir.path())?;
            if let Some(rows) = rows {
                rows.warn(|code, detail| self.observer.observe(Event::Warning { code, detail }));
                report.rows = Some(rows.counts);
            }
        }
        let psql = Psql::of(&self.docker, stack.running(POSTGRES)?);
        let uploads = self.volume(journal);
        let wanted = (request.snapshot, request.erased);
        report.erased =
            self.find_erased(unlocked, wanted, (&psql, names), &dump, uploads.as_ref())?;
        Ok(())
    }

    /// Restores a part; one that is damaged is refused.
    fn restore(
        &self,
        unlocked: &Unlocked,
        snapshot: SnapshotId,
        part: Part,
        target: &Path,
    ) -> Result<(), Error> {
        let (only, existing) = (Some(part), Existing::Refuse);
        let request = RestoreRequest { snapshot, target, only, paths: None, existing };
        let report = restore::restore(unlocked, &request, self.observer)?;
        match report.losses.first() {
            None => Ok(()),
            Some(loss) => {
                let first = format!("{}: {}", loss.what, loss.detail);
                Err(ApplyError::Damaged { count: report.losses.len(), first }.into())
            }
        }
    }
}

/// Returns the directory above a volume, where nobody but this user can move what is staged; the
/// volume itself where it is a mount of its own, or what is above it is somebody else's.
fn beside(root: &Path, metadata: &fs::Metadata) -> PathBuf {
    let is_ours = |above: &&Path| {
        fs::symlink_metadata(above).is_ok_and(|above| {
            let ours = rustix::process::geteuid().as_raw();
            above.dev() == metadata.dev() && above.uid() == ours && above.mode() & 0o022 == 0
        })
    };
    root.parent().filter(is_ours).unwrap_or(root).to_owned()
}

/// Returns where the databases of a container are on this machine, if it can be seen.
fn data_dir(postgres: &Container) -> Option<PathBuf> {
    let data = postgres.variable("PGDATA").map_or(PGDATA_DEFAULT, |dir| dir.expose());
    let above = Path::new(data).ancestors();
    let mount = above.into_iter().find_map(|place| postgres.mount_at(place))?;
    mount.source.is_dir().then(|| mount.source.clone())
}
