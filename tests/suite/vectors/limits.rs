//! The tables of §13 and §14 of the spec hold the numbers of the program.

use std::collections::BTreeMap;

use idswyft_vault::base::limits;
use idswyft_vault::base::{ChunkParameters, Code, Coded, Profile};
use idswyft_vault::format::parameters::Parameters;
use idswyft_vault::format::tree::TreeEntry;

const SPEC: &str = include_str!("../../../spec/vault-v1.md");
const SOURCE: &str = include_str!("../../../src/base/limits.rs");

macro_rules! values {
    ($($name:ident)*) => {
        BTreeMap::from([$((stringify!($name), limits::$name.to_string())),*])
    };
}

fn values() -> BTreeMap<&'static str, String> {
    values! {
        SEALED_PIECE_LEN SEALED_TAG_LEN SEALED_HEADER_LEN PADDED_LEN_MIN BLOCK_LEN BLOCK_LEN_MAX
        CHUNK_LEN_MAX CHUNK_LEN_MIN PACK_LEN_DEFAULT PACK_LEN_MIN PACK_LEN_MAX
        PACK_STORED_LEN_MAX PACK_CHUNK_COUNT_MAX NOTE_LEN_MAX LEDGER_EVENT_LEN_MAX
        GENERATION_FILE_LEN_MAX IDENTITY_FILE_LEN_MAX CONFIG_LEN_MAX BODY_LEN_MAX LIST_LEN_MAX
        TREE_LINE_LEN_MAX JSON_INTEGER_MAX WINDOW_LEN WINDOWS_IN_FLIGHT_MAX REUSE_DAYS_DEFAULT
        REUSE_DAYS_MONTHLY_DEFAULT GRACE_DAYS_DEFAULT RETIRE_BELOW_PERCENT_DEFAULT
        GENERATION_MAX_AGE_DAYS_DEFAULT GENERATION_MAX_AGE_DAYS_KEPT_DEFAULT
        SCRYPT_WORK_FACTOR_MAX THREADS_MAX READERS_MAX SEGMENT_RECORD_LEN_MAX
        STORE_CALLS_MAX LISTED_COUNT_MAX CLOCK_SKEW_SECONDS_MAX
        MIRROR_PATIENCE_S_DEFAULT SPOOL_LEN_MAX_DEFAULT
        VERSIONS_READ_MAX FINDINGS_MAX SHARD_COUNT_MAX REPORT_LEN_MAX KEPT_LEN_MAX CACHED_LEN_MAX
        CACHE_LEN_MAX
        ESCROW_FILE_LEN_MAX ESCROW_FILE_COUNT_MAX ESCROW_PLAIN_LEN_MAX ESCROW_OBJECT_LEN_MAX
    }
}

/// Returns the cells of the tables of a section: first cell to the others.
fn rows(section: &str) -> BTreeMap<String, Vec<String>> {
    let start = SPEC.find(section).expect("the spec has the section");
    let rest = &SPEC[start + section.len()..];
    let text = rest.split("\n#").next().expect("a split has a first part");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let cells = rows.map(|row| row.split(" | ").map(|cell| cell.trim_matches('`').to_owned()));
    cells.filter_map(|mut cells| Some((cells.next()?, cells.collect()))).collect()
}

/// V-156
#[test]
fn the_limits_of_the_spec_are_those_of_the_program() {
    let values = values();
    let constants = SOURCE.lines().filter_map(|line| line.strip_prefix("pub const "));
    let constants: Vec<&str> =
        constants.map(|line| line.split(':').next().expect("a name and a type")).collect();
    assert_eq!(constants.len(), values.len(), "a limit is missing from this test");
    let rows = rows("\n## 13. Limits\n");
    for name in constants {
        let row = rows.get(name).unwrap_or_else(|| panic!("§13 has no {name}"));
        assert_eq!(Some(&row[0]), values.get(name), "{name}");
    }
    assert_eq!(rows.len(), values.len() + 1, "§13 has a limit that the program has not");
}

/// V-157
#[test]
fn the_defaults_of_the_spec_are_those_of_a_new_vault() {
    let rows = rows("\n### 14.1 Defaults\n");
    for profile in Profile::ALL {
        let parameters = ChunkParameters::default_for(profile);
        let lens = [parameters.len_min(), parameters.len_avg(), parameters.len_max()];
        let mut expected: Vec<String> = lens.map(|len| len.to_string()).to_vec();
        expected.push(parameters.level().to_string());
        assert_eq!(rows[profile.name()], expected, "{profile}");
    }
    let fields = serde_json::to_value(Parameters::initial()).unwrap();
    for (name, value) in fields.as_object().unwrap().iter().filter(|(_, v)| !v.is_object()) {
        assert_eq!(rows[name.as_str()], [value.to_string()], "{name}");
    }
}

/// V-81
#[test]
fn a_tree_line_beyond_its_limit_is_refused() {
    let line = vec![b' '; limits::TREE_LINE_LEN_MAX + 1];
    assert_eq!(TreeEntry::parse_line(&line).unwrap_err().code(), Code::LimitExceeded);
}
