//! `diff`: what two snapshots have in common, and what not.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::base::limits::LISTED_COUNT_MAX;
use crate::cli::access;
use crate::cli::args::selection::Selector;
use crate::cli::args::{DiffArgs, UsageError};
use crate::cli::cold::{self, Begin, Readied};
use crate::cli::commands::show::choose;
use crate::cli::report::{Ending, Failure, words};
use crate::cli::session::Session;
use crate::ops;
use crate::ops::diff::{self, Amount, Change, ChangeKind, ContentsDiff, DiffReport, Dumps};
use crate::vault::Unlocked;

/// Compares two snapshots; with an identity also what is in them.
///
/// # Errors
/// If there is no such snapshot, or one cannot be read.
pub fn run(args: &DiffArgs, session: &Session) -> Result<Ending, Failure> {
    let selectors = [Selector::parse(&args.first)?, Selector::parse(&args.second)?];
    let has_identity = !session.global.identity.is_empty();
    if args.rows && !has_identity {
        let reason = "--rows reads the dumps, and needs an --identity that opens them";
        return Err(UsageError::new("compare rows", reason).into());
    }
    if !has_identity {
        let auditor = access::auditor(session, &args.access)?;
        let first = choose(&auditor, &selectors[0], session)?;
        let second = choose(&auditor, &selectors[1], session)?;
        let report = diff::compare(&auditor, first, second)?;
        return tell(session, &report, &BTreeMap::new());
    }
    let mut unlocked = access::unlocked(session, &args.access, "compare what is in the snapshots")?;
    let first = choose(unlocked.auditor(), &selectors[0], session)?;
    let second = choose(unlocked.auditor(), &selectors[1], session)?;
    let dumps = if args.rows { Dumps::Read } else { Dumps::Counted };
    let need = || diff::need(&unlocked, [first, second], dumps);
    match cold::ready(session, &args.thawing, unlocked.auditor(), Begin::WithAll, need)? {
        Readied::Own => {}
        Readied::Through(store) => {
            let auditor = access::auditor(session, &args.access)?.through(store);
            let identities = session.identities("compare what is in the snapshots")?;
            unlocked = Unlocked::new(auditor, identities)?;
        }
        Readied::Ended(ending) => return Ok(ending),
    }
    let mut listed: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    let report = diff::compare_contents(&unlocked, first, second, dumps, &mut |change| {
        if session.report.is_json() {
            let names = listed.entry(name_of(change.kind)).or_default();
            if names.len() < LISTED_COUNT_MAX {
                names.push(String::from_utf8_lossy(&change.path).into_owned());
            }
            return Ok(());
        }
        let written = session.report.data(line_of(change).as_bytes());
        written.map_err(|_| ops::Error::Output(std::io::ErrorKind::BrokenPipe.into()))
    })?;
    tell(session, &report, &listed)
}

const fn name_of(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Added => "added",
        ChangeKind::Removed => "removed",
        ChangeKind::Changed => "changed",
        ChangeKind::Touched => "touched",
    }
}

fn line_of(change: &Change) -> String {
    let sign = match change.kind {
        ChangeKind::Added => '+',
        ChangeKind::Removed => '-',
        ChangeKind::Changed => 'M',
        ChangeKind::Touched => 'm',
    };
    let path = words::printable(&String::from_utf8_lossy(&change.path));
    format!("{sign} uploads/{path}\n")
}

fn tell(
    session: &Session,
    report: &DiffReport,
    listed: &BTreeMap<&'static str, Vec<String>>,
) -> Result<Ending, Failure> {
    let mut object = json!(report);
    if let (Value::Object(object), false) = (&mut object, listed.is_empty()) {
        object.insert("paths".to_owned(), json!(listed));
    }
    session.report.result(&object, &session.progress.warnings(), || text_of(report))?;
    Ok(Ending::Done)
}

fn text_of(report: &DiffReport) -> String {
    let amount = |amount: Amount, what: &str| {
        format!("{}, {}", words::count(amount.count, what), words::bytes(amount.len))
    };
    let packs = &report.packs;
    let mut text = String::new();
    if let Some(contents) = &report.contents {
        text.push_str(&contents_text(contents));
    }
    text.push_str(&format!(
        "packs: {} in both; only in {}: {}; only in {}: {}\n",
        amount(packs.shared, "pack"),
        report.first,
        amount(packs.only_first, "pack"),
        report.second,
        amount(packs.only_second, "pack"),
    ));
    text
}

fn contents_text(contents: &ContentsDiff) -> String {
    let mut text = String::new();
    let rows = |rows: Option<u64>| rows.map_or_else(|| "none".to_owned(), words::number);
    for table in contents.tables.iter().filter(|table| table.differs()) {
        let name = words::printable(&table.table);
        let (first, second) = (rows(table.first_rows), rows(table.second_rows));
        text.push_str(&match first == second {
            true => format!("table {name}: {first} rows in both, and others\n"),
            false => format!("table {name}: {first} rows, then {second}\n"),
        });
    }
    text.push_str(match contents.same_dump {
        Some(true) => "dump: the same, byte for byte\n",
        Some(false) => "dump: another\n",
        None => "dump: one of them has none\n",
    });
    let is_counted = contents.tables.iter().any(|table| table.same_rows.is_none());
    if contents.same_dump == Some(false) && is_counted {
        text.push_str("  only rows were counted: with --rows the rows themselves are compared\n");
    }
    let files = &contents.files;
    text.push_str(&format!(
        "files: {} added, {} removed, {} changed, {} with other metadata, {} alike\n",
        words::number(files.added.count),
        words::number(files.removed.count),
        words::number(files.changed.count),
        words::number(files.touched.count),
        words::number(files.alike.count),
    ));
    text
}
