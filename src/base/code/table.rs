//! Every code. Spec: `codes.md`.

use crate::base::Family;

codes! {
    /// An object that must exist does not.
    ObjectMissing = "object-missing", Damaged, 1,
        "restore the object from a mirror; other snapshots are not affected unless named";
    /// An object is shorter than what was signed.
    ObjectTruncated = "object-truncated", Damaged, 1, "restore the object from a mirror";
    /// An object's bytes do not have the signed SHA-256.
    ObjectAltered = "object-altered", Damaged, 1, "restore it from a mirror; find out who wrote it";
    /// A sealed object's authentication failed, or the store reads others and not this one.
    ObjectUnreadable = "object-unreadable", Damaged, 1,
        "restore the object from a mirror; `verify --level bytes` tells whether it was altered";
    /// An object belongs to another vault, generation or snapshot.
    ObjectForeign = "object-foreign", Damaged, 1, "moved or planted; restore it from a mirror";
    /// An object that nothing names.
    ObjectUnreferenced = "object-unreferenced", Damaged, 4,
        "left by an interrupted run; nothing needs it, and the next snapshot may reuse it";
    /// Something was put over an object.
    ObjectOverwritten = "object-overwritten", Damaged, 1,
        "find out what wrote to the store, and forbid it; the oldest sound version is what is read";
    /// A delete marker hides an object.
    ObjectHidden = "object-hidden", Damaged, 1,
        "remove the delete marker, and find out who put it; what it hides is read all the same";
    /// The newest snapshot or event lacks the record that follows it.
    RecordPending = "record-pending", Damaged, 4,
        "usual after an interrupted run: the next snapshot adds it; else ask who removed it";
    /// A record is dated before what it must follow.
    RecordBackdated = "record-backdated", Damaged, 4, "a clock went wrong; else ask its signer";
    /// A snapshot was forgotten before its floor or under a hold.
    ForgottenEarly = "forgotten-early", Damaged, 1, "retire its signer; `repair` from a mirror";
    /// What a ledger says was deleted is needed.
    NeededDeleted = "needed-deleted", Damaged, 1, "retire its signer; `repair` from a mirror";
    /// An object is in another storage class than it must be.
    ClassWrong = "class-wrong", Damaged, 4, "nothing is lost; look at the bucket's lifecycle rules";
    /// An object's lock ends before its snapshot may go.
    LockCut = "lock-cut", Damaged, 1, "`retain --apply` locks it anew; find out who cut it";
    /// A snapshot stands past its ceiling.
    OverAge = "over-age", Damaged, 1, "run `retain --apply`, and see why it did not run";
    /// A night has no snapshot.
    NightMissing = "night-missing", Damaged, 4, "nothing stored is lost by it; ask its host";
    /// Receipts are not those that the ledger covers.
    ReceiptMismatch = "receipt-mismatch", Damaged, 1, "ask the host for its receipts once more";
    /// A report is not what was signed, or the ledgers were rewritten since.
    ReportMismatch = "report-mismatch", Damaged, 1, "believe only what verifies";
    /// A report has no signature beside it.
    ReportUnsigned = "report-unsigned", Refused, 1, "ask who made it for the .sig beside it";
    /// A structure does not parse.
    FormatInvalid = "format-invalid", Damaged, 1, "damaged or not ours; restore it from a mirror";
    /// A structure needs a newer program.
    FormatTooNew = "format-too-new", Unsupported, 7, "nothing was changed; use a newer version";
    /// A structure is larger than the format allows.
    LimitExceeded = "limit-exceeded", Damaged, 1, "damaged or hostile; restore it from a mirror";
    /// A chunk, stream or file does not have its digest.
    ContentsAltered = "contents-altered", Damaged, 1,
        "the archive is sealed correctly but its contents differ; keep it and report this";
    /// A signature does not verify with the vault's keys.
    SignatureInvalid = "signature-invalid", Damaged, 1,
        "check the verification key (`ledger key`); then restore the note from a mirror";
    /// A signer was not allowed to sign what it signed.
    SignerNotDelegated = "signer-not-delegated", Damaged, 1,
        "find out who holds that key; a retired host gets a new one by `init --rejoin`";
    /// The signer of this host is not delegated yet.
    SignerPending = "signer-pending", Refused, 4,
        "have the operator run `signer add` with the key that `init --rejoin` printed";
    /// A ledger has a gap, a fork or a rewritten event.
    LedgerBroken = "ledger-broken", Damaged, 1,
        "compare with a mirror and with checkpoints you kept; do not prune before that";
    /// A checkpoint that was given is not one of this vault's.
    CheckpointInvalid = "checkpoint-invalid", Misuse, 2,
        "give a checkpoint that `ledger checkpoint` or a status line printed; nothing was changed";
    /// A note says one thing and its objects another.
    NoteMismatch = "note-mismatch", Damaged, 1, "compare the note and its objects with a mirror";
    /// No data identity was given.
    IdentityMissing = "identity-missing", Refused, 6,
        "give --identity FILE or set IDSWYFT_VAULT_IDENTITY; nothing was read or changed";
    /// None of the given identities opens the generation.
    IdentityWrong = "identity-wrong", Refused, 6,
        "use an identity that the vault was sealed to; nothing was read or changed";
    /// The identity file's passphrase is wrong or missing.
    PassphraseWrong = "passphrase-wrong", Refused, 6,
        "try again, or set IDSWYFT_VAULT_PASSPHRASE; nothing was read or changed";
    /// An identity file does not parse.
    IdentityInvalid = "identity-invalid", Misuse, 2,
        "the file must be an age identity file, plain or passphrase-protected";
    /// A recipient does not parse.
    RecipientInvalid = "recipient-invalid", Misuse, 2, "they look like age1…; `keygen` makes one";
    /// A recipient's plugin is missing or failed.
    PluginFailed = "plugin-failed", Unavailable, 1, "nothing was changed; put the plugin on PATH";
    /// The source command or file could not be read.
    SourceFailed = "source-failed", Unavailable, 1,
        "no snapshot was made and the earlier ones are safe; mend the source and run again";
    /// The dump is empty.
    DumpEmpty = "dump-empty", Refused, 1,
        "no snapshot was made and the earlier ones are safe; check what the dump command prints";
    /// The dump does not begin like one.
    DumpHeaderMissing = "dump-header-missing", Refused, 1,
        "no snapshot was made; the source must print a plain-format pg_dump";
    /// The dump does not end like one.
    DumpTrailerMissing = "dump-trailer-missing", Refused, 1,
        "no snapshot was made; the dump was cut off, look at the database server's log";
    /// The dump holds commands that psql would carry out.
    DumpCommands = "dump-commands", Refused, 1,
        "nothing was loaded; find out who can sign snapshots and writes such dumps";
    /// A file vanished while the tree was walked.
    FileVanished = "file-vanished", Unavailable, 4,
        "usual when the stack deletes expired files; the snapshot holds all others";
    /// A file kept changing while it was read.
    FileChanged = "file-changed", Unavailable, 4,
        "the snapshot holds what was read last; the next snapshot reads it again";
    /// A file could not be read.
    FileUnreadable = "file-unreadable", Unavailable, 4,
        "the snapshot holds all others; run as a user who can read the uploads";
    /// A row names a file that the uploads do not have.
    FileMissing = "file-missing", Damaged, 4,
        "the snapshot holds all others; look for the file in earlier ones, then for who removed it";
    /// A row names a file that was erased between the dump and the walk.
    FileErased = "file-erased", Unavailable, 4,
        "usual when the stack deletes expired files; the next dump does not name it any more";
    /// A file does not have the size that its row says.
    FileSizeDiffers = "file-size-differs", Damaged, 4,
        "the snapshot holds it as it was; look for a whole one in earlier snapshots";
    /// Rows name files that are kept outside the uploads.
    FilesElsewhere = "files-elsewhere", Unavailable, 4,
        "these files are not in the snapshot: archive the bucket by its own means";
    /// A dump does not say which columns the rows of a table have.
    ColumnsUnknown = "columns-unknown", Unavailable, 4,
        "the snapshot is whole; dump without --inserts, or with --column-inserts, to check rows";
    /// The restored dump holds people who were erased since.
    ErasedSince = "erased-since", Refused, 4, "erase them again before the database serves anybody";
    /// The engine that runs the stack cannot be used.
    DockerUnavailable = "docker-unavailable", Unavailable, 1,
        "nothing was changed; see that `docker info` answers for this user";
    /// The engine refused or failed what it was asked for.
    DockerFailed = "docker-failed", Unavailable, 1, "what it said is above; snapshots are safe";
    /// No compose project is the one that is meant.
    StackMissing = "stack-missing", Misuse, 1,
        "name its directory or project; a stack that is down has no containers to be found by";
    /// Several compose projects may be meant.
    StackAmbiguous = "stack-ambiguous", Misuse, 2,
        "nothing was changed; name one with `project` in the config, or --project";
    /// A service of the stack does not run, or is not what it should be.
    ServiceUnusable = "service-unusable", Unavailable, 1,
        "earlier snapshots are safe; bring the service up and run again";
    /// The database role does not see every row.
    RoleBlind = "role-blind", Refused, 1, "no snapshot made; dump as superuser, or grant BYPASSRLS";
    /// The stack stores its files where this vault does not read them.
    UploadsElsewhere = "uploads-elsewhere", Refused, 4,
        "the files of the stack are not archived by this; version and copy their bucket";
    /// The uploads are empty although rows name files.
    UploadsEmpty = "uploads-empty", Damaged, 4,
        "the database is archived, its files are not: check which volume the api mounts";
    /// A snapshot began while the stack changes its data.
    StackHours = "stack-hours", Unavailable, 4,
        "the snapshot is whole, but rows may name files that were just deleted; start it later";
    /// The store cannot be reached, read or written.
    StoreUnavailable = "store-unavailable", Unavailable, 1,
        "what was durable stays and is reused; mend the store and run again";
    /// The store or the state directory is full.
    StoreFull = "store-full", Unavailable, 1, "make room, run again; what is durable is reused";
    /// An object with that name exists with other bytes.
    ObjectExists = "object-exists", Refused, 1, "nothing was overwritten; see `verify`";
    /// A mirror lags behind.
    MirrorLagging = "mirror-lagging", Unavailable, 4,
        "the primary store has everything; the mirror catches up at the next run";
    /// A name is taken, and the credentials may not look whether by the right object.
    DeliveryUnproven = "delivery-unproven", Unavailable, 4,
        "taken as delivered; run `store check` or `verify` with credentials that may read";
    /// A mirror waits for objects of which the host keeps no copy.
    SpoolFull = "spool-full", Unavailable, 4,
        "the primary store has everything; run `replicate` with credentials that may read";
    /// The state directory cannot be read or written, or is damaged.
    StateUnavailable = "state-unavailable", Unavailable, 1,
        "the archive itself is not affected; mend or restore the state directory";
    /// The manifest is missing or damaged.
    ManifestDamaged = "manifest-damaged", Unavailable, 1,
        "the archive itself is not affected; run `manifest rebuild`, which reads the store";
    /// Objects still wait for a store.
    DeliveryPending = "delivery-pending", Refused, 1, "the next snapshot delivers what waits";
    /// Another run holds the lock.
    Locked = "locked", Unavailable, 5, "wait for the other run to end; nothing was changed";
    /// The vault has no state here yet.
    VaultMissing = "vault-missing", Misuse, 1,
        "run `init` first, or check --config and --vault; if the state was lost, `init --rejoin`";
    /// The vault exists already.
    VaultExists = "vault-exists", Refused, 1, "a new vault needs another name and store";
    /// An object is in a storage class that cannot be read before it is thawed.
    ObjectArchived = "object-archived", Unavailable, 8,
        "nothing is lost: ask for a plan with `thaw`, then thaw it with --thaw TIER";
    /// What is needed is being thawed.
    ThawWaiting = "thaw-waiting", Unavailable, 8,
        "nothing needs to be asked for again; run the same command later, or add --wait";
    /// A store has no room for thaws of a tier now.
    TierUnavailable = "tier-unavailable", Unavailable, 8,
        "nothing is lost, and what was asked for stands; choose another tier, or try again later";
    /// A store refuses a call that the credentials do not allow.
    StoreDenied = "store-denied", Refused, 1,
        "nothing was changed; compare the credentials with spec/policies, or run without put_only";
    /// There are no credentials for a store.
    CredentialsMissing = "credentials-missing", Refused, 1,
        "nothing was changed; set credentials_file, a profile or AWS_ACCESS_KEY_ID";
    /// A server does not accept the credentials.
    CredentialsRefused = "credentials-refused", Refused, 1,
        "nothing was changed; check key id and secret, and that they are this endpoint's";
    /// A bucket does not exist.
    BucketMissing = "bucket-missing", Unavailable, 1,
        "nothing was changed; make the bucket first, or mend its url, endpoint or region";
    /// A bucket is in another region.
    RegionWrong = "region-wrong", Unavailable, 1, "set the store's `region` to the bucket's own";
    /// The clocks of this host and of a server differ.
    ClockSkewed = "clock-skewed", Unavailable, 1,
        "nothing was changed; set the clock of this host, best by NTP, and run again";
    /// Something else than a store answers.
    EndpointForeign = "endpoint-foreign", Unavailable, 1,
        "nothing is taken as stored; check `endpoint`, and what proxy or login page stands between";
    /// An endpoint cannot prove who it is.
    EndpointUntrusted = "endpoint-untrusted", Refused, 1,
        "nothing was sent; name the certificates of its authority with ca_file, if it is yours";
    /// A bucket cannot lock what it was asked to lock.
    LockUnavailable = "lock-unavailable", Refused, 1,
        "nothing was stored; make a bucket with Object Lock, or remove object_lock from the config";
    /// An endpoint refuses the header with the checksum.
    ChecksumRefused = "checksum-refused", Unsupported, 1,
        "nothing was stored; run `store check`, which takes note of it, and run again";
    /// A store asks for fewer requests.
    StoreBusy = "store-busy", Unavailable, 1,
        "what was durable stays and is reused; run again later, or lower requests_in_flight";
    /// The key that a bucket encrypts with cannot be used.
    EncryptionKeyUnusable = "encryption-key-unusable", Refused, 1,
        "nothing was changed; check sse_kms_key, and that the credentials may use it";
    /// A store does not do what the config wants of it.
    StoreUnfit = "store-unfit", Refused, 1,
        "nothing was put but the probe; `store check` tells what the endpoint does and what to do";
    /// What a store really does could not be found out.
    StoreUnprobed = "store-unprobed", Unavailable, 4,
        "run `store check` from a config with the operator's credentials and without put_only";
    /// A store does not keep a promise, or keeps it another way.
    StoreLacking = "store-lacking", Refused, 4,
        "everything works, and less is promised; the line above says what to change";
    /// A vault's store holds another vault.
    StoreForeign = "store-foreign", Refused, 1, "nothing was changed; give each vault its own path";
    /// The target directory has something in it.
    TargetNotEmpty = "target-not-empty", Refused, 1, "choose a new directory, or add --overwrite";
    /// The target cannot be written.
    TargetUnavailable = "target-unavailable", Unavailable, 1,
        "make room or choose another --target; the archive is not affected";
    /// Some metadata could not be restored.
    MetadataNotRestored = "metadata-not-restored", Unavailable, 4,
        "contents are complete; run as root to restore owners and attributes";
    /// A file that would be written is there already.
    FileExists = "file-exists", Refused, 1, "nothing was overwritten; name another file";
    /// A snapshot is on its way into service, or what was there before is kept.
    ApplyUnderWay = "apply-under-way", Refused, 1,
        "both states are there: go on with --apply, back with --undo, or end with --drop-previous";
    /// The journal of a restore into service is not one.
    JournalUnusable = "journal-unusable", Unavailable, 1,
        "nothing was changed; both states are still there, in the database server and the volume";
    /// What the stack serves is in no snapshot before something else takes its place.
    PreRestoreMissing = "pre-restore-missing", Refused, 4,
        "what served before stays in the engine until --drop-previous";
    /// What is restored is older than what the stack keeps.
    RetentionPassed = "retention-passed", Refused, 4,
        "set DATA_RETENTION_DAYS for the api before 02:00 UTC if the old data must stay";
    /// There is too little room for a second copy.
    RoomMissing = "room-missing", Unavailable, 1, "nothing was changed; make room and run again";
    /// Files were given to another owner than the snapshot's.
    OwnerChanged = "owner-changed", Refused, 4, "usual if the image changed; the api can use them";
    /// The api does not become healthy.
    ApiNotHealthy = "api-not-healthy", Unavailable, 1,
        "all data is in place; see `docker logs`, then run the same command again, or --undo";
    /// The recovery kit may not be written there.
    KitPlaceRefused = "kit-place-refused", Refused, 2, "name removable media with --kit";
    /// The stack's secrets have no escrow store.
    EscrowMissing = "escrow-missing", Refused, 4,
        "the snapshot stands, but without its keys a restore is half one: add [escrow]";
    /// The escrow store may not be there.
    EscrowPlaceRefused = "escrow-place-refused", Refused, 2,
        "name a place that does not hold the archive and is not lost together with it";
    /// The stack's secrets could not be sealed now.
    EscrowStale = "escrow-stale", Unavailable, 4,
        "the snapshot names what was sealed last; mend the escrow store and run `escrow seal`";
    /// A part of the stack's secrets could not be read.
    EscrowIncomplete = "escrow-incomplete", Unavailable, 4,
        "what could be read is sealed; mend the named part and run `escrow seal`";
    /// The stack runs with another key than its files say.
    EscrowKeysDiffer = "escrow-keys-differ", Refused, 4,
        "both are sealed; find out which one is meant before the api starts anew";
    /// A snapshot or a bundle names no such sealed secret.
    EscrowUnknown = "escrow-unknown", Misuse, 1, "list what is sealed with `escrow list`";
    /// Nothing in a snapshot shows whether a key fits.
    KeyUnproven = "key-unproven", Unavailable, 4,
        "nothing says that the key is wrong; a later snapshot may hold something to prove it with";
    /// A key does not open what was archived with it.
    KeyDoesNotFit = "key-does-not-fit", Damaged, 3,
        "do not start the api with this key; look for an older one with `escrow list`";
    /// The config does not parse or has an unknown key.
    ConfigInvalid = "config-invalid", Misuse, 2, "nothing was changed; mend the named line";
    /// There is no config in any of its places.
    ConfigMissing = "config-missing", Misuse, 2, "name one with --config, or `init` writes one";
    /// The retention policy contradicts itself.
    PolicyContradiction = "policy-contradiction", Misuse, 2, "change one of the two named lines";
    /// The config and the signed policy differ.
    PolicyDiffers = "policy-differs", Refused, 4,
        "set the config back, or use `policy set`, `recipients`; what `init` fixed stays as it is";
    /// Forgetting stops before something that looks wrong.
    RetentionGuarded = "retention-guarded", Refused, 1,
        "nothing was changed; look at `retain`, and if it is right give the flag that is named";
    /// A snapshot stays by a hold, a floor or a lock.
    SnapshotPromised = "snapshot-promised", Refused, 1,
        "nothing of it was deleted; a floor or a lock passes by itself, an operator ends a hold";
    /// A snapshot was forgotten while a hold was placed on it.
    HoldLate = "hold-late", Refused, 1, "the hold keeps what is left: stop who forgets, `verify`";
    /// Something that is forgotten is not deleted yet.
    ForgetWaiting = "forget-waiting", Unavailable, 4,
        "what was recorded stays so, and nothing is lost; the next `retain --apply` goes on";
    /// A snapshot reached its store so late that what it leans on may be pruned.
    DeliveryLate = "delivery-late", Unavailable, 4,
        "the next snapshots lean on nothing older; `verify` tells whether that one is whole";
    /// Something that may be pruned is not deleted yet.
    PruneWaiting = "prune-waiting", Unavailable, 4,
        "what was recorded stays so, and nothing is lost; the next `prune --apply` goes on";
    /// Nobody here may forget what goes.
    RetentionElsewhere = "retention-elsewhere", Misuse, 2,
        "nothing was changed; run `retain --apply --signer FILE` where the janitor's key is";
    /// A generation is open, or something of it must stay readable.
    GenerationNeeded = "generation-needed", Refused, 1,
        "nothing was changed; `generation roll`, or retiring a lost host, closes it; then `forget`";
    /// Something that opens a shredded generation may be left.
    ShredWaiting = "shred-waiting", Unavailable, 4,
        "what was erased stays so; run `shred` again once the store lets the rest go";
    /// What is needed is not locked or held as it must be.
    LockShort = "lock-short", Unavailable, 4,
        "nothing was deleted; allow what is denied, and run the same again, or `hold settle`";
    /// The recipients cannot be changed so.
    RecipientsRefused = "recipients-refused", Misuse, 2, "nothing was changed: `recipients list`";
    /// The signers cannot be changed so.
    SignerRefused = "signer-refused", Misuse, 2, "nothing was changed; see `signer list`";
    /// No generation has that id.
    GenerationUnknown = "generation-unknown", Misuse, 2, "list ids with `generation list`";
    /// The directory given is not the vault's recovery kit, or cannot be written.
    KitUnusable = "kit-unusable", Misuse, 2,
        "give --kit a writable directory with this vault's root.age, as `init` wrote it";
    /// Another operator changed the vault at the same time.
    ChangedMeanwhile = "changed-meanwhile", Unavailable, 1,
        "nothing of the other change is lost; run the same command again";
    /// An argument is wrong.
    UsageInvalid = "usage-invalid", Misuse, 2, "see --help";
    /// An id does not parse.
    IdInvalid = "id-invalid", Misuse, 2, "list ids: `snapshots`, `signer list`, `generation list`";
    /// No snapshot matches.
    SnapshotUnknown = "snapshot-unknown", Misuse, 1, "list ids with `snapshots`";
    /// Several snapshots match.
    SnapshotAmbiguous = "snapshot-ambiguous", Misuse, 2, "give more digits of the id";
    /// No file of the snapshot matches.
    PathUnknown = "path-unknown", Misuse, 1, "list paths with `show <id> --files`";
    /// A run took longer than the grace period.
    RunTooLong = "run-too-long", Refused, 1, "no snapshot was made: its packs may go; run again";
    /// The clock went back.
    ClockAnomaly = "clock-anomaly", Refused, 4, "set the clock and run again";
    /// The newest good snapshot is older than it may be.
    SnapshotStale = "snapshot-stale", Unavailable, 1,
        "earlier snapshots are safe; run `snapshot`, then find out why the nights failed";
    /// The last run of the host failed or was cut off.
    RunFailed = "run-failed", Unavailable, 4, "snapshots are safe; see what `snapshot` says";
    /// No schedule is installed.
    ScheduleMissing = "schedule-missing", Refused, 4,
        "install one with `schedule install`, or ignore this if something else runs the nights";
    /// A schedule cannot be as it was asked for.
    ScheduleRefused = "schedule-refused", Refused, 2, "nothing was changed; see the reason above";
    /// The host's systemd or cron cannot be used.
    ScheduleUnavailable = "schedule-unavailable", Unavailable, 1,
        "no night is lost by this; see `schedule show` for what is installed";
    /// The watchdog was not told.
    PingFailed = "ping-failed", Unavailable, 4,
        "the run itself is not affected; check `ping` in the config, and the network";
    /// Every copy of a vault is on the disk of what it archives.
    StoreSharesDisk = "store-shares-disk", Refused, 4,
        "add a store on another disk or machine, and move no store while a run writes to it";
    /// A store is inside the installation that it archives.
    StoreInInstall = "store-in-install", Refused, 4,
        "nothing is lost yet; move the store out before the installation is removed";
    /// A store is inside a git work tree.
    StoreInWorkTree = "store-in-work-tree", Refused, 4,
        "nothing is lost yet; move the store out, for git may remove or publish it";
    /// What was restored in a drill is not what was archived.
    DrillMismatch = "drill-mismatch", Damaged, 3,
        "the archive is only read: drill another snapshot or store, and run `verify`";
    /// The dump of a snapshot does not load in a drill.
    DrillLoadFailed = "drill-load-failed", Damaged, 3,
        "the archive is only read: restore it and look at the named statement of db.sql";
    /// A drill has no database server to load into.
    ScratchUnavailable = "scratch-unavailable", Unavailable, 1,
        "nothing was changed; install a PostgreSQL server that is as new as the one dumped";
    /// A restore from a store takes longer than allowed.
    RtoExceeded = "rto-exceeded", Refused, 4, "nothing is lost; add a faster store, or raise `rto`";
    /// An error of the operating system that fits nothing else.
    SystemFailed = "system-failed", Unavailable, 1, "see the cause above";
}
