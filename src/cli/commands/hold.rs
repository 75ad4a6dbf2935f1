//! `hold`: legal holds on snapshots.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::base::{Code, Coded, Event, Observer, SnapshotId};
use crate::cli::args::retain::SiteArgs;
use crate::cli::args::selection::{Selector, parse_time};
use crate::cli::args::{HoldArgs, HoldCommand, UsageError};
use crate::cli::report::table::{Side, Table};
use crate::cli::report::{Ending, Failure, words};
use crate::cli::retention::{Open, Site, site, sites};
use crate::cli::session::Session;
use crate::crypto::identity::DataIdentities;
use crate::crypto::recipient::DataRecipients;
use crate::format::event::EventKind;
use crate::ops::legal_holds::{self, StoreHeld};
use crate::ops::recorder::Recorder;
use crate::ops::retain::holds::{self, HoldRow, Reason};
use crate::ops::retain::{Scribe, Survey};

/// Places, releases or lists holds.
///
/// # Errors
/// If a store does not answer, or the signer may not do it.
pub fn run(args: &HoldArgs, session: &Session) -> Result<Ending, Failure> {
    match &args.command {
        HoldCommand::Add { ids, before, reason, until, site } => {
            let until = until.as_deref().map(time_of).transpose()?;
            let before = before.as_deref().map(time_of).transpose()?;
            add(session, site, &Wanted { ids, before, until }, reason)
        }
        HoldCommand::Release { ids, reason, site } => release(session, site, ids, reason),
        HoldCommand::Settle { site } => settle(session, site),
        HoldCommand::List { site } => list(session, site),
    }
}

/// What a new hold is to cover, and for how long.
struct Wanted<'a> {
    ids: &'a [String],
    before: Option<Timestamp>,
    until: Option<Timestamp>,
}

fn time_of(text: &str) -> Result<Timestamp, Failure> {
    Ok(parse_time(text, &TimeZone::system())?)
}

fn add(
    session: &Session,
    args: &SiteArgs,
    wanted: &Wanted<'_>,
    reason: &str,
) -> Result<Ending, Failure> {
    let place = site(session, args)?;
    let (mut open, recipients) = signed(session, &place, args, EventKind::HoldPlaced)?;
    let standing: Vec<SnapshotId> = open.survey.candidates.iter().map(|one| one.id).collect();
    let snapshots = match wanted.before {
        Some(before) => {
            let older = open.survey.candidates.iter().filter(|one| one.time <= before);
            older.map(|one| one.id).collect()
        }
        None => chosen(wanted.ids, &standing)?,
    };
    if snapshots.is_empty() {
        let reason = "no snapshot is that old";
        return Err(UsageError::new("place a hold", reason).into());
    }
    let reason = reason_of(session, &recipients, reason);
    let recorder = recorder_of(&mut open.scribe)?;
    let again = || place.survey_anew();
    let placed = holds::place(&open.survey, recorder, &snapshots, wanted.until, &reason, &again);
    let is_late = placed.as_ref().is_err_and(|error| error.code() == Code::HoldLate);
    // One that came late keeps what is left all the same.
    let stores =
        if placed.is_ok() || is_late { fenced(&place, &open, session) } else { Vec::new() };
    placed?;
    let until = wanted.until.map(|until| until.to_string());
    let name = &open.survey.note().name;
    let object = json!({ "vault": name, "held": snapshots, "until": until, "stores": stores });
    session.report.deed(object, &session.progress.warnings(), Ending::Done, || {
        let end = until.map_or("released".to_owned(), |until| format!("{until}, or released"));
        let lines = snapshots.iter().map(|id| format!("held {id} until {end}\n"));
        lines.chain(stores.iter().map(line_of)).collect()
    })
}

/// Brings the legal holds of stores where the ledgers' holds are now.
fn settled(site: &Site, session: &Session) -> Result<Vec<StoreHeld>, Failure> {
    let survey = site.survey(session)?;
    Ok(legal_holds::settle(&survey, session.clock.now(), session.progress.as_ref())?)
}

/// Does that after what was recorded, which stands: what stops it is a warning.
fn fenced(site: &Site, open: &Open, session: &Session) -> Vec<StoreHeld> {
    let now = session.clock.now();
    if open.survey.stores().iter().all(|store| store.locking(now).is_none()) {
        return Vec::new();
    }
    settled(site, session).unwrap_or_else(|failure| {
        let why = failure.chain().join(": ");
        let detail = format!("vault {}: legal holds are not settled: failed to {why}", site.name());
        session.progress.observe(Event::Warning { code: Code::LockShort, detail });
        Vec::new()
    })
}

fn settle(session: &Session, args: &SiteArgs) -> Result<Ending, Failure> {
    let mut stores = Vec::new();
    for site in sites(session, args)? {
        stores.extend(settled(&site, session)?);
    }
    let object = json!({ "stores": stores });
    session.report.deed(object, &session.progress.warnings(), Ending::Done, || match stores[..] {
        [] => "no store here is configured to lock, so there is nothing to settle\n".to_owned(),
        _ => stores.iter().map(line_of).collect(),
    })
}

fn line_of(store: &StoreHeld) -> String {
    let (held, released) = (store.held_count, store.released_count);
    format!("store {}: {held} legal holds put, {released} taken off\n", store.store)
}

fn release(
    session: &Session,
    args: &SiteArgs,
    ids: &[String],
    reason: &str,
) -> Result<Ending, Failure> {
    let place = site(session, args)?;
    let (mut open, recipients) = signed(session, &place, args, EventKind::HoldReleased)?;
    let now = session.clock.now();
    let mut rows = holds::list(&open.survey);
    rows.retain(|row| row.counts(now));
    let mut held: Vec<SnapshotId> = rows.iter().map(|row| row.snapshot).collect();
    held.sort_unstable();
    held.dedup();
    let meant = chosen(ids, &held)?;
    rows.retain(|row| meant.contains(&row.snapshot));
    let reason = reason_of(session, &recipients, reason);
    let recorder = recorder_of(&mut open.scribe)?;
    holds::release(&open.survey, recorder, &rows, &reason)?;
    let stores = fenced(&place, &open, session);
    let released = rows.iter().map(|row| object_of(&open.survey, row, now, None));
    let released: Vec<Value> = released.collect();
    let name = &open.survey.note().name;
    let object = json!({ "vault": name, "released": released, "stores": stores });
    session.report.deed(object, &session.progress.warnings(), Ending::Done, || {
        let line = |row: &HoldRow| {
            format!("released {}: hold {} of {}\n", row.snapshot, row.placed_seq, row.placed_by)
        };
        rows.iter().map(line).chain(stores.iter().map(line_of)).collect()
    })
}

fn list(session: &Session, args: &SiteArgs) -> Result<Ending, Failure> {
    let open = site(session, args)?.look(session)?;
    let identities = match session.global.identity.is_empty() {
        true => None,
        false => Some(session.identities("open the reasons")?),
    };
    let now = session.clock.now();
    let rows = holds::list(&open.survey);
    let objects: Vec<Value> = rows
        .iter()
        .map(|row| {
            let reason = identities.as_ref().and_then(|all| reason_in(session, row, all));
            object_of(&open.survey, row, now, reason)
        })
        .collect();
    let object = json!({ "holds": objects });
    session.report.result(object, &session.progress.warnings(), || table(&objects))?;
    Ok(Ending::Done)
}

/// Opens a reason; one that does not open is a warning.
fn reason_in(session: &Session, row: &HoldRow, identities: &DataIdentities) -> Option<String> {
    let opened = holds::reason(row, identities);
    opened
        .map_err(|error| {
            let (code, detail) = (error.code(), error.to_string());
            session.progress.observe(Event::Warning { code, detail });
        })
        .ok()
}

/// Opens a vault for a signer that may say something about holds.
fn signed(
    session: &Session,
    site: &Site,
    args: &SiteArgs,
    kind: EventKind,
) -> Result<(Open, DataRecipients), Failure> {
    if args.signer.is_empty() && args.kit.is_none() {
        let reason = "no signer is given: the operator's is in --kit, an auditor's in --signer";
        return Err(UsageError::new(format!("sign {kind}"), reason).into());
    }
    let recipients = site.recipients()?;
    Ok((site.open(args, kind, session)?, recipients))
}

fn reason_of<'a>(
    session: &'a Session,
    recipients: &'a DataRecipients,
    text: &'a str,
) -> Reason<'a, impl crate::crypto::identity::AskPassphrase> {
    Reason { text, recipients, ask: &session.ask, entropy: session.entropy.as_ref() }
}

fn recorder_of(scribe: &mut Option<Scribe>) -> Result<&mut Recorder, Failure> {
    match scribe {
        Some(Scribe::Own(recorder)) => Ok(recorder),
        _ => Err(UsageError::new("sign", "a host cannot say that").into()),
    }
}

/// Returns the snapshots that ids or prefixes mean.
fn chosen(texts: &[String], all: &[SnapshotId]) -> Result<Vec<SnapshotId>, Failure> {
    let choose = |text: &String| Ok(Selector::parse(text)?.choose(all)?);
    texts.iter().map(choose).collect()
}

fn object_of(survey: &Survey, row: &HoldRow, now: Timestamp, reason: Option<String>) -> Value {
    json!({
        "vault": survey.note().name,
        "snapshot": row.snapshot,
        "placed_by": row.placed_by,
        "placed_seq": row.placed_seq,
        "placed": row.placed.to_string(),
        "until": row.until.map(|until| until.to_string()),
        "released": row.released.map(|(at, _)| at.to_string()),
        "released_by": row.released.map(|(_, signer)| signer),
        "counts": row.counts(now),
        "reason_digest": row.reason_digest,
        "reason": reason,
    })
}

fn table(rows: &[Value]) -> String {
    let mut table = Table::new(&[
        ("snapshot", Side::Left),
        ("hold", Side::Right),
        ("by", Side::Left),
        ("until", Side::Left),
        ("released", Side::Left),
        ("reason", Side::Left),
    ]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for row in rows {
        table.row([
            text(&row["snapshot"]),
            words::number(row["placed_seq"].as_u64().unwrap_or_default()),
            text(&row["placed_by"]),
            text(&row["until"]),
            text(&row["released"]),
            text(&row["reason"]),
        ]);
    }
    table.to_string()
}
