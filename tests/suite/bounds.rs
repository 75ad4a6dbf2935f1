//! Memory and time grow with nothing that a user can make larger.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use idswyft_vault::base::{Clock, SystemClock};

use crate::support::program::{DUMP_HEAD, DUMP_TAIL, Program, command_source, run_measured};

/// Greatest resident size of a snapshot, whatever it archives.
const SNAPSHOT_PEAK_KIB_MAX: u64 = 200 * 1024;
/// Greatest resident size of a restore and of a check of all contents.
const READ_PEAK_KIB_MAX: u64 = 300 * 1024;

/// Rows of a dump that compress well: about 440 MB.
const PLAIN_ROW_COUNT: u32 = 50_000_000;
/// Random bytes behind them that do not compress: 200 MB of rows, 150 MB of packs.
const NOISE_LEN: u32 = 150_000_000;
const SMALL_FILE_COUNT: u32 = 20_000;
const SPARSE_FILE_LEN: u64 = 2 << 30;

/// Makes a dump as it is read, so that none of it is ever on disk.
fn write_generator(program: &Program) {
    let script = format!(
        "#!/bin/sh\nset -e\ncat <<'EOF'\n{DUMP_HEAD}EOF\nseq 1 {PLAIN_ROW_COUNT}\n\
         head -c {NOISE_LEN} /dev/urandom | base64 -w 96\ncat <<'EOF'\n{DUMP_TAIL}EOF\n"
    );
    program.script("dump", &script);
}

fn write_small_files(program: &Program, count: u32) {
    for index in 0..count {
        program.write(&format!("{}/{index}", index / 500), format!("file {index}\n").as_bytes());
    }
}

/// The dump is three times, and the largest file ten times, the size of the bound, so that holding
/// either whole, or one byte for each two of it, would show. Three times as much showed the same
/// peak; it would only take longer.
#[test]
fn memory_stays_bounded() {
    let program = Program::new();
    write_generator(&program);
    let dump = command_source(&["sh", program.path("dump").to_str().unwrap()]);
    let sources = format!("{dump}{}", program.uploads_source());
    program.configure(&[&program.recipient], "", &sources);
    write_small_files(&program, SMALL_FILE_COUNT);
    let sparse = fs::File::create(program.path("uploads/sparse")).unwrap();
    sparse.set_len(SPARSE_FILE_LEN).unwrap();
    program.init();

    let (ran, peak) = run_measured(program.command(&["snapshot", "--json"]));
    let snapshot = &ran.expect(0)["snapshots"][0];
    assert!(snapshot["content_len"].as_u64().unwrap() > 2_700_000_000, "{snapshot}");
    assert!(peak < SNAPSHOT_PEAK_KIB_MAX, "snapshot: {peak} KiB");

    let restore = ["restore", "latest", "--json", "-i", "operator.key", "--target", "out"];
    let (ran, peak) = run_measured(program.command(&restore));
    ran.expect(0);
    assert!(peak < READ_PEAK_KIB_MAX, "restore: {peak} KiB");
    let restored = fs::metadata(program.path("out/uploads/sparse")).unwrap();
    assert_eq!(restored.size(), SPARSE_FILE_LEN);
    assert!(restored.blocks() * 512 < SPARSE_FILE_LEN / 10, "the holes came back as holes");

    let verify = ["verify", "--json", "--level", "contents", "-i", "operator.key"];
    let (ran, peak) = run_measured(program.command(&verify));
    ran.expect(0);
    assert!(peak < READ_PEAK_KIB_MAX, "verify: {peak} KiB");
}

/// Anything quadratic in the number of files would take minutes.
#[test]
fn twenty_thousand_tiny_files_take_seconds() {
    let program = Program::new();
    program.configure(&[&program.recipient], "", &program.uploads_source());
    write_small_files(&program, SMALL_FILE_COUNT);
    program.init();
    let timed = |what: &str, run: &dyn Fn()| {
        let begin = SystemClock.now();
        run();
        let took: Duration = SystemClock.now().duration_since(begin).try_into().unwrap();
        assert!(took < Duration::from_secs(20), "{what}: {took:?}");
    };
    timed("first snapshot", &|| drop(program.snapshot(0)));
    timed("unchanged snapshot", &|| assert_eq!(program.snapshot(0)["new_len"], 0));
    timed("restore", &|| drop(program.restore("latest", 0)));
    timed("verify", &|| program.assert_sound());
}
