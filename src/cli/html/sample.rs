//! Which part of the packs was looked at, who chose it, and when the others were.

use maud::{Markup, html};

use super::parts::{Foreign, day_or, sentence};
use crate::cli::report::words;
use crate::ops::report::{CoverageReport, FileCounts, SampleReport, ShardReport, VerifyReport};

/// Returns what is said of a part; nothing of a verification that looked at everything.
pub fn section(vault: &VerifyReport) -> Markup {
    let is_part = vault.sample.is_some() || vault.shard.is_some() || vault.joined.is_some();
    html! {
        @if is_part || vault.files.is_some() || vault.coverage.is_some() {
            section {
                h3 { "How much of it was looked at" }
                @if let Some(sample) = &vault.sample {
                    p { (Foreign(&sample.says)) }
                    @if !sample.not_said.is_empty() {
                        p {
                            strong { "Not covered by it: " }
                            (Foreign(&sentence(&sample.not_said)))
                        }
                    }
                }
                dl class="facts" {
                    @if let (Some(sample), Some((_, whose))) = (&vault.sample, vault.chosen_by()) {
                        (of_sample(sample, whose))
                    }
                    @if let Some(shard) = &vault.shard { (of_shard(shard)) }
                    @if let Some(count) = vault.joined {
                        div { dt { "Joined of" } dd { (words::count(u64::from(count), "part")) } }
                    }
                    @if let Some(files) = &vault.files { (of_files(files)) }
                    @if let Some(coverage) = &vault.coverage { (of_coverage(coverage)) }
                }
            }
        }
    }
}

fn of_sample(sample: &SampleReport, whose: &str) -> Markup {
    html! {
        div {
            dt { "Packs of the sample" }
            dd { (words::number(sample.sample_count)) " of " (words::number(sample.pack_count)) }
        }
        div {
            dt { "Bytes of the sample" }
            dd { (words::bytes(sample.sample_len)) " of " (words::bytes(sample.pack_len)) }
        }
        div {
            dt { "Public value, from which the choice follows" }
            dd { code { (Foreign(&sample.public)) } ", " (whose) }
        }
        div { dt { "Seed that follows from it" } dd { code { (sample.seed) } } }
    }
}

fn of_shard(shard: &ShardReport) -> Markup {
    html! {
        div { dt { "Part" } dd { (shard.index) " of " (shard.count) } }
        div {
            dt { "Packs of this part" }
            dd { (words::number(shard.pack_count)) " of " (words::number(shard.all_pack_count)) }
        }
    }
}

fn of_files(files: &FileCounts) -> Markup {
    let FileCounts { file_count, checked_file_count, dump_count, checked_dump_count } = *files;
    html! {
        div {
            dt { "Files compared" }
            dd { (words::number(checked_file_count)) " of " (words::number(file_count)) }
        }
        div {
            dt { "Database dumps compared" }
            dd { (words::number(checked_dump_count)) " of " (words::number(dump_count)) }
        }
    }
}

fn of_coverage(coverage: &CoverageReport) -> Markup {
    let number = |count: u64| html! { (words::number(count)) };
    html! {
        div { dt { "Packs that there are" } dd { (number(coverage.pack_count)) } }
        div {
            dt { "Found sound, at level " (coverage.level.name()) }
            dd {
                (number(coverage.month_count)) " within a month, "
                (number(coverage.quarter_count)) " within three, "
                (number(coverage.year_count)) " within a year"
            }
        }
        div { dt { "Never looked at" } dd { strong { (number(coverage.never_count)) } } }
        div { dt { "The longest ago" } dd { (day_or(coverage.oldest, "none was")) } }
    }
}
