//! A mark for every day of a year: a row a month, a column a day.
//!
//! The marks differ in form, not in colour alone. All days of one kind are one path, so that ten
//! years take little room.

use std::collections::BTreeMap;
use std::fmt::Write;

use jiff::civil::Date;
use maud::{Markup, html};

use crate::cli::report::words;

/// What is said of a day; of several things the last one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// Every snapshot of it was forgotten.
    Gone,
    /// A snapshot of it stands.
    Standing,
    /// It had to have a snapshot and has none.
    Gap,
    /// There are findings on a snapshot of it.
    Found,
    /// A snapshot of it is missing.
    Missing,
}

impl Mark {
    /// Every mark.
    pub const ALL: [Self; 5] = [Self::Standing, Self::Gone, Self::Gap, Self::Found, Self::Missing];

    /// Returns what it means.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Standing => "a snapshot stands",
            Self::Gone => "taken, and forgotten since",
            Self::Gap => "no snapshot, though one was due",
            Self::Found => "a snapshot with findings",
            Self::Missing => "a snapshot is missing",
        }
    }

    const fn class(self) -> &'static str {
        match self {
            Self::Standing => "standing",
            Self::Gone => "gone",
            Self::Gap => "gap",
            Self::Found => "found",
            Self::Missing => "missing",
        }
    }

    /// Returns its form within 10 by 10, from its upper left corner on.
    const fn path(self) -> &'static str {
        match self {
            Self::Standing => "m1 1h8v8h-8z",
            Self::Gone => "m3.5 3.5h3v3h-3z",
            Self::Gap => "m1.5 5h7",
            Self::Found => "m5 .5l4.5 8.5h-9z",
            Self::Missing => "m1.5 1.5l7 7m0 -7l-7 7",
        }
    }
}

/// Columns left of the first day, for the month's name.
const LEFT: u32 = 26;
/// Width and height of a day.
const SIDE: u32 = 10;

/// Returns what the marks mean.
pub fn legend() -> Markup {
    html! {
        ul class="legend" aria-label="Marks" {
            @for mark in Mark::ALL {
                li {
                    svg class="day" viewBox="0 0 10 10" aria-hidden="true" {
                        path class=(mark.class()) d={ "M0 0" (mark.path()) } {}
                    }
                    (mark.meaning())
                }
            }
        }
    }
}

/// Returns the days of one year. `id` names the picture within the page.
pub fn year(id: &str, year: i16, days: &BTreeMap<Date, Mark>) -> Markup {
    let mut paths: BTreeMap<Mark, String> = BTreeMap::new();
    let mut counts: BTreeMap<Mark, u64> = BTreeMap::new();
    let first = Date::new(year, 1, 1).expect("a day of that year was given");
    let last = Date::new(year, 12, 31).expect("a day of that year was given");
    for (date, mark) in days.range(first..=last) {
        let (x, y) = place(*date);
        let path = paths.entry(*mark).or_default();
        write!(path, "M{x} {y}{}", mark.path()).expect("writing to a string does not fail");
        *counts.entry(*mark).or_default() += 1;
    }
    let told = |(mark, count): (&Mark, &u64)| {
        format!("{}: {}", words::count(*count, "day"), mark.meaning())
    };
    let told: Vec<String> = counts.iter().map(told).collect();
    let (width, height) = (LEFT + 31 * SIDE, 12 * SIDE);
    html! {
        figure class="year" {
            figcaption { (year) }
            svg class="calendar" viewBox={ "0 0 " (width) " " (height) } role="img"
                aria-labelledby={ (id) "-title " (id) "-desc" } {
                title id={ (id) "-title" } { "Snapshots of the year " (year) }
                desc id={ (id) "-desc" } { (told.join("; ")) "." }
                (grid())
                @for (mark, path) in &paths { path class=(mark.class()) d=(path) {} }
            }
        }
    }
}

/// Returns the upper left corner of a day.
fn place(date: Date) -> (u32, u32) {
    let number = |value: i8| u32::try_from(value).unwrap_or(1) - 1;
    (LEFT + number(date.day()) * SIDE, number(date.month()) * SIDE)
}

/// Returns the months' names, and a dot for every tenth day.
fn grid() -> Markup {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let lines: String =
        (0..12).map(|row| format!("M{LEFT} {}h310", row * SIDE + SIDE / 2)).collect();
    html! {
        path class="grid" d=(lines) {}
        g aria-hidden="true" {
            @for (row, month) in (0u32..).zip(MONTHS) {
                text class="month" x="0" y=(row * SIDE + 8) { (month) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_ten_years_takes_little_room_and_has_a_place_of_its_own() {
        let first = Date::new(2016, 1, 1).unwrap();
        let dates = first.series(jiff::Span::new().days(1)).take(3650);
        let days: BTreeMap<Date, Mark> = dates.map(|date| (date, Mark::Standing)).collect();
        let pages: String = (2016..2026).map(|one| year("x", one, &days).into_string()).collect();
        assert!(pages.len() < 120_000, "{}", pages.len());
        assert_eq!(pages.matches("m1 1h8v8h-8z").count(), 3650);
        let text = year("x", 2016, &days).into_string();
        assert!(text.contains("366 days: a snapshot stands."), "{text}");
        let leap = place(Date::new(2016, 2, 29).unwrap());
        assert_eq!(leap, (LEFT + 280, SIDE));
    }
}
