//! Every limit of the format and the program, with its reason. Spec: the limits table (§13).

/// Bytes in one age STREAM piece (C2SP age: 64 KiB).
pub const SEALED_PIECE_LEN: usize = 64 * 1024;
/// Bytes of a Poly1305 tag after each piece.
pub const SEALED_TAG_LEN: usize = 16;
/// Bytes of an age header with one X25519 stanza plus the payload nonce.
pub const SEALED_HEADER_LEN: usize = 184;

/// Smallest padded plaintext of a sealed object: hides the size of small ones.
pub const PADDED_LEN_MIN: u64 = 64 * 1024;

/// Raw bytes of consecutive new chunks that are compressed as one block.
pub const BLOCK_LEN: usize = 1024 * 1024;
/// Largest raw length of a block that a reader accepts: a bomb ends here.
pub const BLOCK_LEN_MAX: usize = 4 * 1024 * 1024;
/// Largest chunk of any profile; a block always has room for one.
pub const CHUNK_LEN_MAX: usize = 1024 * 1024;
/// Smallest chunk of any profile (fastcdc's own bound).
pub const CHUNK_LEN_MIN: usize = 64;

/// Stored bytes at which a pack is closed, unless configured.
pub const PACK_LEN_DEFAULT: u64 = 32 * 1024 * 1024;
/// Least configurable pack length.
pub const PACK_LEN_MIN: u64 = 4 * 1024 * 1024;
/// Greatest configurable pack length: one single PUT everywhere.
pub const PACK_LEN_MAX: u64 = 512 * 1024 * 1024;
/// Largest pack object that a reader accepts: a full pack, its last block and its directory.
pub const PACK_STORED_LEN_MAX: u64 = 1024 * 1024 * 1024;
/// Largest number of chunks in one pack; its directory then stays under 75 MiB.
pub const PACK_CHUNK_COUNT_MAX: u32 = 2 * 1024 * 1024;

/// Largest note text (C2SP signed-note implementations stop at 1,000,000 bytes).
pub const NOTE_LEN_MAX: u64 = 1_000_000;
/// Largest ledger event.
pub const LEDGER_EVENT_LEN_MAX: u64 = 256 * 1024;
/// Largest sealed generation file.
pub const GENERATION_FILE_LEN_MAX: u64 = 1024 * 1024;
/// Largest identity file that is read.
pub const IDENTITY_FILE_LEN_MAX: u64 = 1024 * 1024;
/// Largest config file that is read.
pub const CONFIG_LEN_MAX: u64 = 1024 * 1024;
/// Largest file of the installation that is sealed to the escrow store.
pub const ESCROW_FILE_LEN_MAX: u64 = 4 * 1024 * 1024;
/// Greatest number of files of the installation in one bundle.
pub const ESCROW_FILE_COUNT_MAX: usize = 256;
/// Largest plaintext of an escrow object.
pub const ESCROW_PLAIN_LEN_MAX: u64 = 32 * 1024 * 1024;
/// Largest escrow object that is read: its plaintext, its tags and a stanza for each recipient.
pub const ESCROW_OBJECT_LEN_MAX: u64 = 40 * 1024 * 1024;
/// Largest snapshot body, stored and decompressed: some twelve million extents.
pub const BODY_LEN_MAX: u64 = 512 * 1024 * 1024;
/// Largest list of a snapshot: some three million packs.
pub const LIST_LEN_MAX: u64 = 512 * 1024 * 1024;
/// Largest record of a segment: tags as long as a command line, and counts.
pub const SEGMENT_RECORD_LEN_MAX: u64 = 16 * 1024 * 1024;
/// Largest line of a tree: a file of many terabytes after much churn.
pub const TREE_LINE_LEN_MAX: usize = 64 * 1024 * 1024;
/// Largest integer in JSON: beyond it, JSON readers lose digits.
pub const JSON_INTEGER_MAX: u64 = 1 << 53;

/// Bytes that the reader hands on at once; a file up to this length is one piece of work.
pub const WINDOW_LEN: usize = 2 * 1024 * 1024;
/// Windows in flight at most, whatever the number of cores: bounds memory.
pub const WINDOWS_IN_FLIGHT_MAX: usize = 12;
/// Threads that compress, seal and hash at most: the one reader is slower before that, and what
/// each thread keeps of freed memory counts.
pub const THREADS_MAX: usize = 8;
/// Packs that are read at a time at most, whatever the number of cores: bounds memory.
pub const READERS_MAX: usize = 4;
/// Versions of one object that a reader tries, the oldest first: whoever plants more gains nothing.
pub const VERSIONS_READ_MAX: usize = 32;
/// Findings that a report names; how many more there are is counted.
pub const FINDINGS_MAX: usize = 10_000;
/// Parts of one verification at most.
pub const SHARD_COUNT_MAX: u32 = 1000;
/// Longest report of a verification, as JSON, that is read: an hourly snapshot for ten years.
pub const REPORT_LEN_MAX: u64 = 128 * 1024 * 1024;
/// Longest file of what was kept of ledgers: checkpoints, or the report of a verification.
pub const KEPT_LEN_MAX: u64 = REPORT_LEN_MAX;
/// Largest object that a reader keeps in its cache.
pub const CACHED_LEN_MAX: u64 = 64 * 1024 * 1024;
/// Bytes that the cache of one vault may hold.
pub const CACHE_LEN_MAX: u64 = 512 * 1024 * 1024;

/// Seconds by which the clocks of this host and of a server may differ.
pub const CLOCK_SKEW_SECONDS_MAX: i64 = 60;
/// Calls of a store that are made at a time at most, whatever the store would take.
pub const STORE_CALLS_MAX: usize = 64;
/// Names that a report lists of one kind at most; more are counted.
pub const LISTED_COUNT_MAX: usize = 1000;

/// Days for which a writer deduplicates against what its own notes name (I9).
pub const REUSE_DAYS_DEFAULT: u32 = 30;
/// The same in a vault that takes one snapshot a month: more than the longest month.
pub const REUSE_DAYS_MONTHLY_DEFAULT: u32 = 45;
/// Days beyond `reuse` for which prune keeps any named pack; longer than any thaw (I9).
pub const GRACE_DAYS_DEFAULT: u32 = 14;
/// Percent of a pack that the newest snapshot must use for it to be deduplicated against.
pub const RETIRE_BELOW_PERCENT_DEFAULT: u8 = 25;
/// Days after which a generation closes.
pub const GENERATION_MAX_AGE_DAYS_DEFAULT: u32 = 365;
/// The same in a vault that keeps everything, where each generation is one more copy of it all.
pub const GENERATION_MAX_AGE_DAYS_KEPT_DEFAULT: u32 = 1825;

/// Seconds for which a mirror may hold up a run in all, unless configured.
pub const MIRROR_PATIENCE_S_DEFAULT: u64 = 600;
/// Bytes that wait in the spools of a host for mirrors at most, unless configured.
pub const SPOOL_LEN_MAX_DEFAULT: u64 = 10 * 1024 * 1024 * 1024;

/// Work factor (log2 N) of passphrase-protected files that a reader accepts.
pub const SCRYPT_WORK_FACTOR_MAX: u8 = 22;

const _: () = {
    assert!(CHUNK_LEN_MIN < CHUNK_LEN_MAX);
    assert!(CHUNK_LEN_MAX <= BLOCK_LEN && BLOCK_LEN < BLOCK_LEN_MAX);
    assert!(PACK_LEN_MIN < PACK_LEN_DEFAULT && PACK_LEN_DEFAULT < PACK_LEN_MAX);
    assert!(PACK_LEN_MAX < PACK_STORED_LEN_MAX && PACK_STORED_LEN_MAX < JSON_INTEGER_MAX);
    assert!(CHUNK_LEN_MAX < WINDOW_LEN);
    assert!(ESCROW_FILE_LEN_MAX < ESCROW_PLAIN_LEN_MAX);
    assert!(ESCROW_PLAIN_LEN_MAX < ESCROW_OBJECT_LEN_MAX);
    assert!(NOTE_LEN_MAX < CACHED_LEN_MAX && CACHED_LEN_MAX < CACHE_LEN_MAX);
    assert!(PADDED_LEN_MIN == SEALED_PIECE_LEN as u64);
    assert!(PACK_STORED_LEN_MAX < SPOOL_LEN_MAX_DEFAULT);
};
