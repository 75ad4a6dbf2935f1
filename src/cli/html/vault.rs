//! The chapter of one vault.

use maud::{Markup, html};

use super::parts::{Column, Foreign, Narrow, Table, code, id, sentence, stamp};
use super::{findings, growth, history, retention, sample, since, verdict};
use crate::cli::report::words;
use crate::ops::report::{Level, Report, StoredCounts, Verdict, VerifyReport};
use crate::store::LockMode;

/// Returns the chapter of a vault, the `at`-th of the report.
pub fn section(at: usize, vault: &VerifyReport, report: &Report) -> Markup {
    let name = format!("vault-{}", at + 1);
    html! {
        section class="vault" id=(name) aria-labelledby={ (name) "-title" } {
            h2 id={ (name) "-title" } {
                "Vault " code { (Foreign(&vault.vault)) } " in store " (Foreign(&vault.store))
            }
            @if report.vaults.len() > 1 {
                p class={ "lead verdict " (verdict::class(vault.verdict)) } {
                    strong { "Verdict: " (verdict::word(vault.verdict)) ": " }
                    (verdict::checked(vault)) (verdict::sampled(vault)) ", and "
                    (verdict::found(at, vault)) "."
                }
            }
            (scope(&name, vault))
            (facts(vault, report))
            (sample::section(vault))
            (findings::section(&name, vault))
            (history::snapshots(&name, vault, report.ended))
            (growth::section(&name, vault))
            (retention::section(vault))
            (history::verifications(&name, vault, report))
            (history::drills(vault))
            (since::section(vault))
            (heads(vault))
        }
    }
}

/// Returns what was proven and what was not covered, side by side and of one size.
fn scope(name: &str, vault: &VerifyReport) -> Markup {
    let heading = match vault.verdict {
        Verdict::Damaged => "What was put to the test",
        _ => "What was proven",
    };
    html! {
        div class="scope" {
            section class="proven" {
                h3 { (heading) }
                p class="note" { (proven(vault)) }
                ul { @for text in &vault.proves { li { (Foreign(text)) } } }
            }
            section class="gaps" id={ (name) "-gaps" } {
                h3 { "What was not covered" }
                p class="note" { "Of this the report says nothing, neither good nor bad:" }
                ul { @for text in &vault.not_covered { li { (Foreign(&sentence(text))) } } }
            }
        }
    }
}

/// Returns what is to be thought of the statements that a verification puts to the test.
fn proven(vault: &VerifyReport) -> Markup {
    html! {
        @match vault.verdict {
            Verdict::Sound => "Of everything that was looked at:",
            Verdict::Remarks => "Of everything that was looked at; the findings below are remarks:",
            Verdict::Unread => "Of everything that was looked at and could be read:",
            Verdict::Damaged => {
                strong { "Not all of this is so." }
                " The findings below say of what it does not hold:"
            }
        }
    }
}

fn facts(vault: &VerifyReport, report: &Report) -> Markup {
    let level = Level::ALL.iter().position(|one| *one == vault.level).unwrap_or(0) + 1;
    html! {
        section {
            h3 { "What was looked at" }
            dl class="facts" {
                div { dt { "Store" } dd { (Foreign(&vault.store)) } }
                @if let Some(location) = &vault.location {
                    div { dt { "Where it is" } dd { code { (Foreign(location)) } } }
                }
                div {
                    dt { "Level" }
                    dd { (vault.level_text()) ", " (level) " of " (Level::ALL.len()) }
                }
                div { dt { "Snapshots" } dd { (words::number(vault.snapshot_count)) } }
                div { dt { "Objects" } dd { (words::number(vault.object_count)) } }
                div { dt { "Read to the end" } dd { (words::bytes(vault.read_len)) } }
                div { dt { "Begun" } dd { (stamp(report.began)) } }
                div { dt { "Ended" } dd { (stamp(report.ended)) } }
                div { dt { "Program" } dd { (Foreign(&report.program)) } }
                @if let Some(counts) = &vault.stored { (stored(counts)) }
            }
        }
    }
}

/// Returns what the store says of its objects.
fn stored(counts: &StoredCounts) -> Markup {
    let count = |text: String| html! { (text) };
    let classes =
        counts.classes.iter().map(|(class, n)| format!("{} in {class}", words::number(*n)));
    let classes: Vec<String> = classes.collect();
    let fingerprints = match (counts.attested_count, counts.not_attested_count) {
        (0, _) => "the store tells none".to_owned(),
        (some, 0) => format!("that of all {} is the signed one", words::number(some)),
        (some, none) => format!(
            "that of {} is the signed one, {} not told",
            words::number(some),
            words::number(none)
        ),
    };
    html! {
        @if !classes.is_empty() {
            div { dt { "Storage classes" } dd { (count(classes.join(", "))) } }
        }
        div { dt { "Fingerprints in the store" } dd { (count(fingerprints)) } }
        div {
            dt { "Locks" }
            dd {
                @match counts.locked_until {
                    Some(until) => {
                        (words::number(counts.locked_count)) " locked until " (stamp(until))
                        " or later, " (words::number(counts.not_locked_count)) " without a lock"
                    }
                    None => "the store tells of none",
                }
            }
        }
        (known_otherwise(counts))
    }
}

/// Returns what is known of a store beside what it says of each object.
fn known_otherwise(counts: &StoredCounts) -> Markup {
    let mode = |(mode, n): (&LockMode, &u64)| format!("{} by {}", words::number(*n), mode.name());
    let modes: Vec<String> = counts.locks.iter().map(mode).collect();
    html! {
        @if !modes.is_empty() {
            div { dt { "Lock modes" } dd { (modes.join(", ")) } }
        }
        @if counts.rewritten_count > 0 {
            div {
                dt { "Written more than once" }
                dd { (words::count(counts.rewritten_count, "object")) ", or hidden" }
            }
        }
        @if let Some(receipts) = &counts.receipts {
            div {
                dt { "By receipt only" }
                dd {
                    (words::count(receipts.object_count, "object")) ", acknowledged "
                    @if let Some(store) = &receipts.store { "by store " (Foreign(store)) " " }
                    "between " (stamp(receipts.first)) " and " (stamp(receipts.last))
                    " and not looked at since; " (words::number(receipts.without_count))
                    " without a receipt"
                }
            }
        }
        @if let Some(provider) = &counts.provider {
            div {
                dt { "Computed at rest by the provider" }
                dd {
                    (words::number(provider.computed_pack_count)) " of "
                    (words::count(provider.pack_count, "pack")) ", "
                    (words::number(provider.computed_other_count)) " of "
                    (words::number(provider.other_count)) " others"
                    @if let Some(time) = provider.reported { ", reported " (stamp(time)) }
                }
            }
        }
    }
}

/// Returns the heads of the ledgers: what proves next year that nothing was rewritten.
fn heads(vault: &VerifyReport) -> Markup {
    let rows = vault.ledgers.iter().filter(|head| head.size > 0);
    let rows = rows
        .map(|head| vec![id(&head.signer), html! { (words::number(head.size)) }, code(&head.root)]);
    let table = Table {
        caption: "Ledgers, as far as they verified".into(),
        columns: &[Column::Text("Signer"), Column::Number("Events"), Column::Text("Root")],
        rows: rows.collect(),
        narrow: Narrow::Stacks,
    };
    html! {
        section {
            h3 { "What to keep until the next verification" }
            p {
                "Every signer has a ledger to which it can only add. Keep this report away from \
                the archive: the size and the root of each ledger, below, prove next time that \
                nothing before today was changed or taken out."
            }
            @if table.rows.is_empty() { p { "No ledger verified." } } @else { (table.whole()) }
        }
    }
}
