//! Ten years of nights of several vaults: prints a table, and writes a CSV and a curve.
//!
//!     cargo bench --bench decade -- [DIR [NIGHTS [SCALE]]]

#[path = "../tests/suite/decade/model/mod.rs"]
mod model;

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Instant;
use std::{env, fs, io};

use model::{Night, Run, Setup, draw};

/// Ten years.
const NIGHTS: u32 = 3650;

fn main() -> io::Result<()> {
    // Cargo adds flags of its own.
    let mut words = env::args().skip(1).filter(|word| !word.starts_with('-'));
    let dir = PathBuf::from(words.next().unwrap_or_else(|| "target/bench/decade".to_owned()));
    let mut number = |usual: u32| words.next().and_then(|word| word.parse().ok()).unwrap_or(usual);
    let (nights, scale) = (number(NIGHTS), number(1).max(1));
    let scale = usize::try_from(scale).unwrap_or(1);
    fs::create_dir_all(&dir)?;
    let (mut all, mut table): (Vec<(&str, Vec<Night>)>, _) =
        (Vec::new(), draw::CSV_HEAD.to_owned());
    for setup in Setup::all(scale) {
        let (name, begun) = (setup.name, Instant::now());
        let passed = Run::new(setup).pass(nights);
        let seconds = begun.elapsed().as_secs();
        writeln!(io::stderr(), "{name}: {nights} nights in {seconds} s")?;
        table.push_str(&draw::csv(name, &passed));
        all.push((name, passed));
    }
    let runs: Vec<(&str, &[Night])> = all.iter().map(|(name, it)| (*name, &it[..])).collect();
    fs::write(dir.join("nights.csv"), table)?;
    fs::write(dir.join("needed.svg"), draw::svg(&runs, Night::percent))?;
    fs::write(dir.join("multiple.svg"), draw::svg(&runs, Night::multiple))?;
    let summary = draw::table(&runs);
    fs::write(dir.join("nights.txt"), &summary)?;
    io::stdout().write_all(summary.as_bytes())
}
