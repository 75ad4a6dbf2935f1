//! The command line, as clap reads it: what can be said, and every help text with an example. What
//! is done with it is in `cli::commands`, one file a command.

mod apply;
mod archive;
mod audit;
mod change;
mod check;
mod diff;
mod drill;
pub mod escrow;
pub mod evidence;
mod global;
mod hold;
mod keys;
mod ledger;
mod mirror;
mod nights;
mod part;
mod prune;
mod read;
mod report;
pub mod retain;
pub mod selection;
mod shred;
mod stack;
mod state;
mod thaw;
mod usage;

use clap::{Parser, Subcommand};

pub use apply::ApplyArgs;
pub use archive::{InitArgs, SnapshotArgs};
pub use audit::AuditArgs;
pub use change::{
    GenerationArgs, GenerationCommand, RecipientsArgs, RecipientsCommand, SignerArgs, SignerCommand,
};
pub use check::{LevelArg, VerifyArgs};
pub use diff::DiffArgs;
pub use drill::DrillArgs;
pub use escrow::EscrowArgs;
pub use global::GlobalArgs;
pub use hold::{HoldArgs, HoldCommand};
pub use keys::{CompletionsArgs, DemoArgs, KeygenArgs};
pub use ledger::{LedgerArgs, LedgerCommand, LogArgs};
pub use mirror::{DepthArg, RepairArgs, ReplicateArgs, StoreArgs, StoreCommand};
pub use nights::{
    ScheduleArgs, ScheduleCommand, ScheduleInstallArgs, ScheduleRootArgs, SchedulerArg, StatusArgs,
};
pub use part::PartArgs;
pub use prune::PruneArgs;
pub use read::{CatArgs, CatWhat, PartArg, RestoreArgs, ShowArgs, SnapshotsArgs};
pub use report::{ReportArgs, ReportCommand, VouchArgs};
pub use retain::{ForgetArgs, PolicyArgs, PolicyCommand, RetainArgs};
pub use shred::ShredArgs;
pub use stack::StackArgs;
pub use state::{ManifestArgs, ManifestCommand};
pub use thaw::{ThawArgs, ThawingArgs, TierArg};
pub use usage::UsageError;

/// Encrypted, deduplicating archives of a self-hosted Idswyft installation.
#[derive(Debug, Parser)]
#[command(
    name = "idswyft-vault",
    version,
    about,
    long_about = "Encrypted, deduplicating archives of a self-hosted Idswyft installation: the \
                  PostgreSQL database and the uploaded documents, taken together, sealed so that \
                  the machine which makes the backup cannot read it back.",
    after_help = EXAMPLES,
    max_term_width = 100,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = false,
)]
pub struct CommandLine {
    /// What every command takes.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Exit codes:
  0 done  1 failed  2 usage  3 verify found damage  4 done with warnings
  5 locked by another run  6 no matching identity  7 format too new  8 waiting for thaw

Example:
  idswyft-vault demo                                # see it work, in a temporary directory
  idswyft-vault keygen -o operator.key              # on the operator's machine
  idswyft-vault init --kit /media/usb/kit           # on the host, with a config
  idswyft-vault snapshot                            # every night
  idswyft-vault restore latest --target /srv/out --identity operator.key";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create the vaults of a config, or write a first config
    ///
    /// With a config, creates every vault that it describes: the root key, which is written sealed
    /// to the recovery kit and then forgotten, the host's own signing key, the first generation and
    /// the first note. A vault that exists is left as it is.
    ///
    /// Without a config, writes one from --store, --uploads, and --database-url or a dump command,
    /// and goes on with it. With recipients given nothing is asked.
    Init(InitArgs),
    /// Make an identity that opens archives, and print its recipient
    ///
    /// The identity is written to a new file that only you can read, protected by a passphrase:
    /// typed twice, or taken from IDSWYFT_VAULT_PASSPHRASE. Standard output gets the recipient,
    /// age1…, which goes into the config. Keep the identity away from the host that makes the
    /// backups, and keep a copy: without it nothing can ever be restored.
    Keygen(KeygenArgs),
    /// Take a snapshot: database and uploads, into every vault that is due
    ///
    /// Reads the sources once: first the database, then the uploads, so that every file which a row
    /// names is there. It needs no identity, asks nothing, and is safe to kill: what was stored is
    /// reused by the next run. A dump that fails or is cut off never becomes a snapshot.
    Snapshot(SnapshotArgs),
    /// List snapshots
    ///
    /// Needs no identity. The host that took them lists what it has recorded, tags included, also
    /// what a janitor forgot since, of which it is not told; with --store or --vault-key the signed
    /// notes of that store are listed, which do not tell tags.
    Snapshots(SnapshotsArgs),
    /// Show what is in a snapshot
    ///
    /// Without an identity, what its signed note says: time, generation, signer and sizes. With
    /// one, the sources, the rows of each table, facts about the installation, and with --files
    /// every file.
    Show(ShowArgs),
    /// Compare two snapshots
    ///
    /// Without an identity by packs and bytes; with one by files and tables.
    Diff(DiffArgs),
    /// Restore a snapshot into a new directory
    ///
    /// Writes db.sql, uploads/… and facts.json below the target. Every file is checked against its
    /// digest before the command succeeds; the archive is only read. Load db.sql into an empty
    /// database, in one transaction, with a psql as new as the pg_dump that wrote it.
    ///
    /// With --apply the snapshot takes the place of what the running stack serves: staged and
    /// proven beside it, then exchanged in one go. What served before stays until --drop-previous,
    /// and --undo brings it back; killed at any moment, the same command goes on.
    Restore(RestoreArgs),
    /// Rehearse a restore, and measure it
    ///
    /// Restores a snapshot into a scratch directory and a private PostgreSQL server, compares rows,
    /// files and constraints with what was archived, and tells how long a restore takes from each
    /// store. Everything it restored is removed afterwards. It belongs on a machine where the
    /// operator's identity may be, not on the host that makes the backups.
    Drill(DrillArgs),
    /// Write the dump or one file of a snapshot to standard output
    ///
    /// `db` is the dump, anything else the path of a file below uploads/ (a file that is really
    /// called db is written ./db). Bytes are written as soon as they are checked: if the command
    /// fails, discard what it wrote.
    Cat(CatArgs),
    /// Plan, and ask for, the thaw of archived packs
    ///
    /// Tells which packs of a snapshot, or of a part of it, are in an archive class, what thawing
    /// them costs at each tier, and how long it takes. Nothing is asked for without --thaw. What
    /// was asked for is remembered, and what the store thaws already is never asked for twice: run
    /// it again, on any machine, until it ends with 0, then restore.
    Thaw(ThawArgs),
    /// Check that snapshots are there, unaltered and readable
    ///
    /// Each level includes those before it. Damage is collected, not stopped at: the report names
    /// every damaged object, and what was not covered as clearly as what was. Exit 3 means damage.
    Verify(VerifyArgs),
    /// Work with the saved reports of verifications
    ///
    /// A report is the JSON that `verify --report` writes; a person is shown what is made of it.
    Report(ReportArgs),
    /// Copy to one store of a vault what another has
    ///
    /// Objects go over in the order in which they were written, and only what is proven: packs by
    /// their names, everything else by what signs it. It adds a new mirror to a vault, and lets one
    /// that was away catch up. What must be thawed first is left out, with the snapshots that need
    /// it; run it again then.
    Replicate(ReplicateArgs),
    /// Find what is missing or damaged in a store, and heal it from the others
    ///
    /// Nothing is overwritten: a damaged file is set aside in its directory, and in a bucket it
    /// stays unless --replace is given. What cannot be healed is named with the snapshots that it
    /// touches, and with --identity also with the files. Exit 3 means that something stays damaged.
    Repair(RepairArgs),
    /// List the stores, or find out what they really do
    Store(StoreArgs),
    /// Show the signed record of what happened
    ///
    /// Every signer of a vault has a log of its own, in which nothing can be changed or left out
    /// without it showing.
    Ledger(LedgerArgs),
    /// Rebuild what the host keeps of a vault
    ///
    /// The manifest is the host's index of what it stored. It is a cache: losing it loses no
    /// snapshot.
    Manifest(ManifestArgs),
    /// Show or change who can open the vault
    ///
    /// A change is signed with the root key, which --identity opens in the recovery kit. It needs a
    /// config and the stores and runs on any machine: a host takes it up with its next snapshot.
    Recipients(RecipientsArgs),
    /// Show or change who signs for the vault
    ///
    /// Hosts, janitors and auditors sign with keys to which the root key delegates. A change is
    /// signed as one of recipients is.
    Signer(SignerArgs),
    /// Show generations, open a new one, or hand out the identity of one
    ///
    /// A generation is a period with keys of its own: it opens, goes and is destroyed as a whole.
    Generation(GenerationArgs),
    /// Show or sign the retention policy
    ///
    /// The policy in force is the one in the newest signed vault note. What a config says counts
    /// once `policy set` has signed it.
    Policy(PolicyArgs),
    /// Plan which snapshots stay and which go, and let them go
    ///
    /// Prints every snapshot with the reasons for which it stays, or the rule under which it goes.
    /// Nothing is changed without --apply. With it, every deletion is recorded in every store
    /// before it happens; it needs a signer to which that is delegated and no identity.
    Retain(RetainArgs),
    /// Let single snapshots go
    ///
    /// No rule keeps what is named, but a hold, a floor and a lock do, and the guards are those of
    /// `retain`. It is recorded in every store before anything is deleted.
    Forget(ForgetArgs),
    /// Delete packs that no snapshot needs any more
    ///
    /// Without --apply it tells what would go, and why the rest stays. Needs no identity, and never
    /// deletes what a snapshot that stands needs, in any store, or what a host may still lean on:
    /// so a host that may only put need not be told. What goes is in the ledger of every store
    /// before anything is deleted. Safe beside a running snapshot; an interrupted run goes on.
    Prune(PruneArgs),
    /// Place, release, settle or list legal holds
    ///
    /// A snapshot under a hold stays, whatever policy or flag says otherwise.
    Hold(HoldArgs),
    /// Destroy the key of a generation, for good
    ///
    /// Every copy and version of its key files in every store, once all of its snapshots are
    /// forgotten. It is recorded before it is done, and a signed certificate says afterwards what
    /// was seen and what it does not cover. Nothing is changed without --apply.
    Shred(ShredArgs),
    /// Run the nights: install, show or remove the schedule
    ///
    /// What is scheduled needs no identity: it takes a snapshot and verifies keylessly.
    Schedule(ScheduleArgs),
    /// Tell whether the nights do what they should
    ///
    /// The newest snapshot against the age it may have (`rpo`), what waits for each store, how the
    /// last run went, the schedule, the places of the stores, and the newest checkpoint of the
    /// ledger. Only reads, needs no identity, and runs beside a snapshot.
    Status(StatusArgs),
    /// Seal, list, open or check the secrets of the stack
    ///
    /// .env, the override and the certificates, and each ENCRYPTION_KEY by itself, sealed to
    /// custodians in a store that is not the archive's: without them a restored database and
    /// restored uploads stay encrypted.
    Escrow(EscrowArgs),
    /// Try everything on a small made-up installation
    ///
    /// Makes a few hundred uploads and a private PostgreSQL (a generated dump where no server is
    /// installed), takes two snapshots with a day of changes between them, verifies both, restores
    /// the newer and compares every byte. It touches nothing outside its directory and needs no
    /// config.
    Demo(DemoArgs),
    /// Print completions for a shell
    Completions(CompletionsArgs),
}

impl Command {
    /// Returns the command as it is typed.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Init(_) => "init",
            Self::Keygen(_) => "keygen",
            Self::Snapshot(_) => "snapshot",
            Self::Snapshots(_) => "snapshots",
            Self::Show(_) => "show",
            Self::Restore(_) => "restore",
            Self::Diff(_) => "diff",
            Self::Drill(_) => "drill",
            Self::Cat(_) => "cat",
            Self::Thaw(_) => "thaw",
            Self::Verify(_) => "verify",
            Self::Report(_) => "report",
            Self::Replicate(_) => "replicate",
            Self::Repair(_) => "repair",
            Self::Store(_) => "store",
            Self::Ledger(_) => "ledger",
            Self::Manifest(_) => "manifest",
            Self::Recipients(_) => "recipients",
            Self::Signer(_) => "signer",
            Self::Generation(_) => "generation",
            Self::Policy(_) => "policy",
            Self::Retain(_) => "retain",
            Self::Forget(_) => "forget",
            Self::Prune(_) => "prune",
            Self::Hold(_) => "hold",
            Self::Shred(_) => "shred",
            Self::Schedule(_) => "schedule",
            Self::Status(_) => "status",
            Self::Escrow(_) => "escrow",
            Self::Demo(_) => "demo",
            Self::Completions(_) => "completions",
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn every_help_ends_with_an_example() {
        fn check(command: &clap::Command) {
            let help = command.clone().render_long_help().to_string();
            let (_, example) = help.rsplit_once("\nExample:\n").unwrap_or_else(|| {
                panic!("the help of {} has no example", command.get_name());
            });
            assert!(example.trim_start().starts_with("idswyft-vault "), "{example}");
            command.get_subcommands().for_each(check);
        }
        check(&CommandLine::command());
    }

    #[test]
    fn names_are_what_clap_knows() {
        let parse = |words: &[&str]| {
            CommandLine::try_parse_from(["idswyft-vault"].iter().chain(words)).unwrap().command
        };
        for words in [
            &["init"][..],
            &["keygen"],
            &["snapshot", "--tag", "a", "--tag", "b", "--no-retain"],
            &["snapshots", "--json", "--quiet"],
            &["show", "latest", "--files"],
            &["restore", "--at", "2026-03-01", "--target", "x", "--only", "uploads", "--path", "a"],
            &["cat", "latest", "db"],
            &["thaw", "latest", "--only", "database", "--thaw", "bulk", "--days", "3", "--wait"],
            &["verify", "--level", "bytes", "--store", "local", "--report", "r.json"],
            &["report", "show", "r.json"],
            &["ledger", "show", "--signer", "0011223344556677"],
            &["ledger", "checkpoint"],
            &["ledger", "prove", "latest", "--store", "local"],
            &["ledger", "check", "--since", "a", "--since", "b"],
            &["recipients", "add", "age1", "--kit", "kit"],
            &["recipients", "remove", "3f2a", "age1", "--kit", "kit"],
            &["signer", "add", "--role", "janitor", "-o", "x", "--event", "verified", "--kit", "k"],
            &["signer", "add", "--role", "auditor", "--key", "x", "--kit", "kit"],
            &["generation", "export", "2026", "-o", "x"],
            &["escrow", "seal"],
            &["retain", "--apply", "--signer", "a", "--signer", "b", "--accept-many"],
            &["forget", "2026", "2027", "--kit", "kit", "--accept-clock"],
            &["policy", "set", "--kit", "kit"],
            &["hold", "add", "--before", "2026-03-01", "--reason", "r", "--kit", "kit"],
            &["escrow", "open", "--target", "x", "--escrow-identity", "y"],
            &["escrow", "check", "latest", "--escrow-identity", "y"],
            &["demo"],
            &["completions", "bash"],
        ] {
            assert_eq!(parse(words).name(), words[0]);
        }
    }
}
