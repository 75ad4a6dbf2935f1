//! What a verification comes to, in words that need no explanation.

use maud::{Markup, html};

use super::parts::Foreign;
use crate::cli::report::words;
use crate::ops::report::{Level, Report, Verdict, VerifyReport};

/// Returns the class that gives a verdict its colours.
pub const fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Sound => "sound",
        Verdict::Remarks => "remarks",
        Verdict::Unread => "unread",
        Verdict::Damaged => "damaged",
    }
}

/// Returns the verdict in a word or two.
pub const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Sound => "sound",
        Verdict::Remarks => "sound, with remarks",
        Verdict::Unread => "not all of it could be read",
        Verdict::Damaged => "damaged",
    }
}

/// Returns a sign that is told apart by its form; the words say the same.
pub fn mark(verdict: Verdict) -> Markup {
    let path = match verdict {
        Verdict::Sound => "M5 12.5l4.5 4.5L19 7.5",
        Verdict::Remarks => "M12 6v8M12 17.5v.5",
        Verdict::Unread => "M8.5 9a3.5 3.5 0 1 1 5 3.2c-1 .5-1.5 1-1.5 2M12 17.5v.5",
        Verdict::Damaged => "M7 7l10 10M17 7L7 17",
    };
    html! {
        svg class="mark" viewBox="0 0 24 24" aria-hidden="true" {
            circle cx="12" cy="12" r="11" {}
            path d=(path) {}
        }
    }
}

/// Returns the verdict on everything that was looked at, as a headline.
pub fn headline(report: &Report) -> &'static str {
    match report.verdict() {
        Verdict::Sound => "Everything that was checked is as it was recorded",
        Verdict::Remarks => "Nothing is damaged, and something is to be looked at",
        Verdict::Unread => "Not everything could be read",
        Verdict::Damaged => "Damage was found",
    }
}

/// Returns the verdict as one sentence that stands by itself.
pub fn sentence(report: &Report) -> Markup {
    let counts = report.vaults.iter().map(|vault| vault.snapshot_count);
    let snapshots = counts.fold(0, u64::saturating_add);
    let on = report.ended.strftime("%-d %B %Y").to_string();
    html! {
        @match &report.vaults[..] {
            [one] => {
                "On " (on) ", " (checked(one)) (sampled(one)) ", and " (found(0, one)) "."
            }
            all => {
                "On " (on) ", " (words::count(snapshots, "snapshot")) " of "
                (words::count(all.len() as u64, "archive")) " were checked. The verdict is that of \
                the archive that is worst off; each has a chapter of its own below."
            }
        }
    }
}

/// Returns what was checked of one archive.
pub fn checked(report: &VerifyReport) -> Markup {
    let store = html! { "store " q { (Foreign(&report.store)) } };
    let named = if report.is_of_named() { "named " } else { "" };
    html! {
        @match report.snapshot_count {
            0 => {
                "the records of the archive in " (store) ", which has no snapshot, were checked"
            }
            1 => { "1 " (named) "snapshot of the archive in " (store) " was checked" }
            count => {
                (words::number(count)) " " (named) "snapshots of the archive in " (store)
                " were checked"
            }
        }
    }
}

/// Returns what was found of an archive, the `at`-th of the report, to complete a sentence.
pub fn found(at: usize, report: &VerifyReport) -> Markup {
    let compared = report.files_compared();
    let compared = compared.as_deref().unwrap_or("every file and database");
    let sound = html! {
        @match report.level {
            Level::Ledger => {
                "the records were found complete, unaltered, and signed by those entitled to sign"
            }
            Level::Stored => "everything that the records name was found in its place",
            Level::Bytes => "what is stored was found to be, bit for bit, what was recorded",
            Level::Contents => {
                "what is stored was found to open, and " (compared) " came out as archived"
            }
        }
    };
    let count = report.findings.len() as u64;
    let link = |thing: &str| {
        html! { a href={ "#vault-" (at + 1) "-findings" } { (words::count(count, thing)) } }
    };
    html! {
        @match report.verdict {
            Verdict::Sound => (sound),
            Verdict::Remarks => {
                (sound) "; " (link("remark")) " below " (if count == 1 { "is" } else { "are" })
                " to be looked at"
            }
            Verdict::Unread => {
                "a part of it can be read by a newer program only, so that nothing is said of it ("
                (link("finding")) ")"
            }
            Verdict::Damaged => {
                "something is missing, altered, or was not done as it had to be: "
                (link("finding")) " below " (if count == 1 { "says" } else { "say" })
                " what, and what to do"
            }
        }
    }
}

/// Returns how much was not covered of an archive, and the way to it.
pub fn gaps(at: usize, report: &VerifyReport) -> Markup {
    let text = match report.not_covered.len() as u64 {
        1 => "1 thing was not covered".to_owned(),
        more => format!("{} were not covered", words::count(more, "thing")),
    };
    html! { a href={ "#vault-" (at + 1) "-gaps" } { (text) } }
}

/// Returns that only a part of the packs was looked at, if it was so.
pub fn sampled(report: &VerifyReport) -> String {
    let looked = report.looked_at().filter(|_| report.sample_percent() < 100);
    looked.map_or_else(String::new, |(looked, all)| {
        format!(", by {} of {}", words::number(looked), words::count(all, "pack"))
    })
}
