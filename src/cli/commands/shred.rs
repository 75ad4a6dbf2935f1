//! `shred`: destroying the key of a generation.

use serde_json::{Value, json};

use crate::base::GenerationId;
use crate::cli::args::{ShredArgs, UsageError};
use crate::cli::report::{Ending, Failure, words};
use crate::cli::retention::{Open, Site, site};
use crate::cli::session::Session;
use crate::format::event::EventKind;
use crate::ops::retain::Scribe;
use crate::ops::shred::{
    self, FOREIGN_LEFT, NOT_COVERED, STORES_UNSEEN, ShredPlan, Shredded, StoreShredded,
    VERSIONS_UNSEEN,
};
use crate::policy::Acceptance;

/// Plans, and with `--apply` does it.
///
/// # Errors
/// If something of it must stay, a store does not answer, or the signer may not do it; then nothing
/// was destroyed.
pub fn run(args: &ShredArgs, session: &Session) -> Result<Ending, Failure> {
    let site = site(session, &args.site)?;
    let mut open = opened(&site, args, session)?;
    if open.scribe.is_some() {
        // What an interrupted run of the same signer had begun was completed: it may be a hold.
        open.survey = site.survey(session)?;
    }
    let now = session.clock.now();
    let plan = shred::plan(&open.survey, &args.generation, now)?;
    if let Some(state) = site.host() {
        shred::check_host(state, plan.generation())?;
    }
    let accepted: &[Acceptance] = if args.accept_clock { &[Acceptance::Clock] } else { &[] };
    let done = match &mut open.scribe {
        Some(Scribe::Own(recorder)) => {
            let anomaly = shred::check_clock(&open.survey, accepted, now)?;
            let observer = session.progress.as_ref();
            let again = || site.survey(session);
            Some(shred::apply(&open.survey, &plan, anomaly, recorder, &again, observer)?)
        }
        _ => None,
    };
    let vault = open.survey.note().name.clone();
    let object = object_of(&vault, &plan, done.as_ref());
    let warnings = session.progress.warnings();
    let words = || text_of(&vault, &plan, done.as_ref());
    match done {
        Some(_) => session.report.deed(object, &warnings, Ending::Done, words),
        None => session.report.result(object, &warnings, words).map(|()| Ending::Done),
    }
}

fn opened(site: &Site, args: &ShredArgs, session: &Session) -> Result<Open, Failure> {
    if !args.apply {
        return site.look(session);
    }
    if args.site.signer.is_empty() && args.site.kit.is_none() {
        let reason = "no signer is given: the operator's is in --kit, a janitor's in --signer";
        return Err(UsageError::new("sign generation.shredded", reason).into());
    }
    site.open(&args.site, EventKind::GenerationShredded, session)
}

fn object_of(vault: &str, plan: &ShredPlan, done: Option<&Shredded>) -> Value {
    json!({
        "vault": vault,
        "generation": plan.generation(),
        "revs": plan.revs(),
        "snapshot_count": plan.snapshot_count(),
        "segment_count": plan.segment_count(),
        "unclear_count": plan.unclear_count(),
        "unseen": plan.unseen(),
        "recorded_before": plan.is_recorded(),
        "certified_before": plan.is_certified(),
        "stores": done.map(|done| done.stores.iter().map(store_object).collect::<Vec<_>>()),
        "certificate": done.and_then(|done| done.certificate.as_ref()),
    })
}

fn store_object(store: &StoreShredded) -> Value {
    json!({
        "store": store.store,
        "sight": store.sight,
        "erased_count": store.erased_count,
        "foreign": store.foreign,
        "left": store.left.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "segment_count": store.segment_count,
        "segments_left": store.segments_left,
    })
}

fn text_of(vault: &str, plan: &ShredPlan, done: Option<&Shredded>) -> String {
    let wide = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let mut text = format!(
        "vault {vault}: generation {}: {}, {}, {}, all forgotten\n",
        plan.generation(),
        words::count(wide(plan.revs().len()), "key file"),
        words::count(wide(plan.segment_count()), "segment"),
        words::count(plan.snapshot_count(), "snapshot"),
    );
    if plan.unclear_count() > 0 {
        let segments = words::count(plan.unclear_count(), "segment");
        text.push_str(&format!("{segments} may be of it or of another, and stay\n"));
    }
    for store in plan.unseen() {
        let store = words::printable(store);
        text.push_str(&format!("NOT GIVEN: store {store}, which a ledger names; it keeps all\n"));
    }
    let Some(done) = done else {
        text.push_str("nothing was changed; with --apply it can never be opened again\n");
        return text;
    };
    for store in &done.stores {
        text.push_str(&store_line(store));
    }
    match &done.certificate {
        Some(certificate) => {
            text.push_str(&certified(plan.generation()));
            let all = [VERSIONS_UNSEEN, FOREIGN_LEFT, STORES_UNSEEN];
            let all = NOT_COVERED.into_iter().chain(all);
            let covers = |word: &str| certificate.not_covered.iter().all(|other| other != word);
            let open = all.filter(|(word, _)| !covers(word));
            open.for_each(|(_, said)| text.push_str(&format!("  not covered: {said}\n")));
        }
        None => text.push_str("NOT CERTIFIED: run it again once every store has let go\n"),
    }
    text
}

fn store_line(store: &StoreShredded) -> String {
    let erased = words::count(store.erased_count, "version");
    let state = match (store.is_empty(), store.left.len()) {
        (true, _) => "no key file is left".to_owned(),
        (false, 0) => "IT DID NOT ANSWER".to_owned(),
        (false, _) => {
            let names: Vec<String> = store.left.iter().map(ToString::to_string).collect();
            format!("LEFT: {}", names.join(", "))
        }
    };
    let segments = match store.segments_left {
        0 => String::new(),
        left => format!("; {} that nothing opens stay", words::count(left, "segment")),
    };
    format!("store {}: erased {erased}, {state}{segments}\n", store.store)
}

fn certified(generation: GenerationId) -> String {
    format!("the certificate is recorded in every store: nothing there opens {generation}\n")
}
