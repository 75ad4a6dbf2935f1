//! A report as one HTML page for people: to be read, printed and filed. Spec: `report.md` §2.
//!
//! - The page is one file. It loads nothing, runs nothing, and says so to the browser.
//! - The verdict comes first and in words; what was not covered stands beside what was proven, and
//!   is as large.
//! - Every text that comes from outside is escaped, and nothing in it turns the direction of
//!   reading.
//! - What would make it long is summed up or cut, and the page says where the rest is.

mod calendar;
mod charts;
mod findings;
mod growth;
mod history;
mod parts;
mod retention;
mod sample;
mod since;
mod vault;
mod verdict;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use self::parts::{Foreign, stamp};
use super::report::words;
use crate::crypto::digest::sha256;
use crate::ops::report::{Report, Verdict, VerifyReport};

/// How the page looks: its only style sheet.
const STYLE: &str = include_str!("style.css");

/// Returns the page of a report.
pub fn page(report: &Report) -> String {
    let title = format!("Verification report, {}", report.ended.strftime("%-d %B %Y"));
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                meta name="robots" content="noindex";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (head_of(report))
                main {
                    @if report.vaults.is_empty() {
                        p { "No vault was looked at." }
                    }
                    @for (at, vault) in report.vaults.iter().enumerate() {
                        (vault::section(at, vault, report))
                    }
                }
                (foot_of(report))
            }
        }
    };
    page.into_string()
}

/// Returns what the browser is to allow: this style sheet and nothing else.
fn policy() -> String {
    let hash = BASE64_STANDARD.encode(sha256(STYLE.as_bytes()).as_bytes());
    format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'")
}

fn head_of(report: &Report) -> Markup {
    let verdict = report.verdict();
    html! {
        header class={ "verdict " (verdict::class(verdict)) } {
            p class="kind" { "Report of a verification" }
            h1 { (verdict::mark(verdict)) span { (verdict::headline(report)) } }
            p class="lead" { (verdict::sentence(report)) }
            @if let [one] = &report.vaults[..] {
                p class="lead" {
                    (verdict::gaps(0, one)) ", and the report says nothing of "
                    @if one.not_covered.len() == 1 { "it." } @else { "them." }
                }
            }
            @if report.vaults.len() > 1 {
                nav aria-label="Vaults of this report" {
                    ul {
                        @for (at, vault) in report.vaults.iter().enumerate() {
                            li { (entry(at, vault)) }
                        }
                    }
                }
            }
        }
    }
}

fn entry(at: usize, report: &VerifyReport) -> Markup {
    html! {
        a href={ "#vault-" (at + 1) } { "Vault " code { (Foreign(&report.vault)) } }
        " in store " (Foreign(&report.store)) ": "
        strong { (verdict::word(report.verdict)) } "; " (verdict::gaps(at, report))
    }
}

fn foot_of(report: &Report) -> Markup {
    let count = report.vaults.len() as u64;
    html! {
        footer {
            h2 { "About this report" }
            p {
                "Made by " (Foreign(&report.program)) " of " (words::count(count, "vault"))
                ": begun " (stamp(report.began)) ", ended " (stamp(report.ended))
                ". Times are in UTC, by the clock of the machine that made the report; sizes \
                are in powers of two."
            }
            p {
                "This page is made of the report in JSON, which is complete where the page sums \
                up; what its fields mean is in " code { "report.schema.json" } ". If somebody \
                signed it, the signature is in a file of its own beside them, whose name ends \
                with " code { ".sig" } ". Who signed, and whether that covers this page, is told by"
            }
            pre { code { "idswyft-vault report check FILE.json --store URL --vault-key KEY" } }
            @if report.verdict() != Verdict::Sound {
                p {
                    "A verification reads and changes nothing: what it found was so before it ran."
                }
            }
        }
    }
}
