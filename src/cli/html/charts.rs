//! Lines over time. What is drawn stretches with the page; what is read is text beside it.

use std::fmt::Write;

use jiff::Timestamp;
use maud::{Markup, html};

use super::parts::day;
use crate::cli::report::words;

/// Width and height of the plane on which lines are drawn; its picture is stretched.
const PLANE: (u64, u64) = (1000, 300);
/// Five level lines on it.
const GRID: &str = "M0 0H1000M0 75H1000M0 150H1000M0 225H1000M0 300H1000";

/// A value at a time.
pub type Point = (Timestamp, u64);

/// Returns a span of time that holds all points, or none if there are none.
pub fn span(points: impl Iterator<Item = Timestamp> + Clone) -> Option<(Timestamp, Timestamp)> {
    Some((points.clone().min()?, points.max()?))
}

/// Returns how far a time is into a span, of [`PLANE`]'s width.
fn across(time: Timestamp, (from, to): (Timestamp, Timestamp)) -> u64 {
    let seconds = |a: Timestamp, b: Timestamp| {
        u64::try_from(b.as_second().saturating_sub(a.as_second())).unwrap_or(0)
    };
    let whole = seconds(from, to).max(1);
    let part = u128::from(seconds(from, time)) * u128::from(PLANE.0) / u128::from(whole);
    u64::try_from(part).unwrap_or(PLANE.0).min(PLANE.0)
}

fn down(value: u64, top: u64) -> u64 {
    let up = u128::from(value) * u128::from(PLANE.1) / u128::from(top.max(1));
    PLANE.1 - u64::try_from(up).unwrap_or(PLANE.1).min(PLANE.1)
}

/// Returns steps through points: of several at one place the last. Values hold until the next.
fn steps(points: &[Point], span: (Timestamp, Timestamp), top: u64) -> String {
    let mut places: Vec<(u64, u64)> = Vec::new();
    for (time, value) in points {
        let place = (across(*time, span), down(*value, top));
        match places.last_mut() {
            Some(last) if last.0 == place.0 => last.1 = place.1,
            _ => places.push(place),
        }
    }
    let mut path = String::new();
    for (at, (x, y)) in places.iter().enumerate() {
        let step = if at == 0 { format!("M{x} {y}") } else { format!("H{x}V{y}") };
        path.push_str(&step);
    }
    write!(path, "H{}", PLANE.0).expect("writing to a string does not fail");
    path
}

/// Returns the next length above this that reads well: a power of two, times one to seven.
fn above(len: u64) -> u64 {
    let unit = 1u64 << (63 - len.max(8).leading_zeros()).saturating_sub(2);
    len.max(8).div_ceil(unit).saturating_mul(unit)
}

/// Two lines of bytes over time.
pub struct Growth<'a> {
    /// The name of the picture within the page.
    pub id: &'a str,
    /// What it shows, in a sentence or two.
    pub told: String,
    /// Bytes that were ever written: an area.
    pub written: &'a [Point],
    /// Bytes that each snapshot needs: a line.
    pub needed: &'a [Point],
}

impl Growth<'_> {
    /// Returns the picture; nothing without points.
    pub fn picture(&self) -> Option<Markup> {
        let all = || self.written.iter().chain(self.needed);
        let span = span(all().map(|(time, _)| *time))?;
        let top = above(all().map(|(_, len)| *len).max()?);
        let area = steps(self.written, span, top);
        let (width, height) = PLANE;
        let ticks = [top, top / 4 * 3, top / 2, top / 4, 0];
        Some(html! {
            div class="chart" {
                div class="scale" aria-hidden="true" {
                    @for tick in ticks { span { (words::bytes(tick)) } }
                }
                svg class="plane" viewBox={ "0 0 " (width) " " (height) } role="img"
                    preserveAspectRatio="none" aria-labelledby={ (self.id) "-t " (self.id) "-d" } {
                    title id={ (self.id) "-t" } { "Bytes written and bytes needed over time" }
                    desc id={ (self.id) "-d" } { (self.told) }
                    path class="grid" d=(GRID) {}
                    path class="area" d={ (area) "V" (height) "H0z" } {}
                    path class="line written" d=(area) {}
                    path class="line needed" d=(steps(self.needed, span, top)) {}
                }
                div class="dates" aria-hidden="true" {
                    span { (day(span.0)) }
                    span { (day(span.1)) }
                }
            }
        })
    }
}

/// Returns one row of a picture of things that passed or failed: above the line, or below it.
pub fn marks(
    id: &str,
    name: &str,
    told: &str,
    marks: &[(Timestamp, bool)],
    span: (Timestamp, Timestamp),
) -> Markup {
    let path = |wanted: bool| -> String {
        let (from, to) = if wanted { (4, 18) } else { (22, 36) };
        let chosen = marks.iter().filter(|(_, passed)| *passed == wanted);
        let mut places: Vec<u64> = chosen.map(|(time, _)| across(*time, span)).collect();
        places.sort_unstable();
        places.dedup();
        places.iter().map(|x| format!("M{x} {from}V{to}")).collect()
    };
    html! {
        div class="row" {
            span class="name" aria-hidden="true" { (name) }
            svg class="marks" viewBox="-4 0 1008 40" preserveAspectRatio="none" role="img"
                aria-labelledby={ (id) "-t " (id) "-d" } {
                title id={ (id) "-t" } { "Verifications at level " (name) }
                desc id={ (id) "-d" } { (told) }
                path class="grid" d="M-4 20H1004" {}
                path class="passed" d=(path(true)) {}
                path class="failed" d=(path(false)) {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn scales_end_above_the_greatest_value_and_read_well() {
        for (len, text) in [(0, "8 B"), (9, "10 B"), (1_000_000, "1.0 MiB"), (5 << 30, "5.0 GiB")] {
            let top = above(len);
            assert!(top >= len, "{len}");
            assert_eq!(words::bytes(top), text);
        }
        assert!(above(u64::MAX) == u64::MAX);
    }

    #[test]
    fn many_points_take_no_more_room_than_the_plane_is_wide() {
        let points: Vec<Point> = (0..100_000).map(|n| (at(n), u64::try_from(n).unwrap())).collect();
        let path = steps(&points, (at(0), at(99_999)), 100_000);
        assert!(path.len() < 12_000, "{}", path.len());
        assert!(path.starts_with("M0 ") && path.ends_with("H1000"), "{path}");
    }

    #[test]
    fn a_single_point_and_times_before_the_span_are_drawn_at_its_edge() {
        assert_eq!(steps(&[(at(5), 3)], (at(5), at(5)), 4), "M0 75H1000");
        assert_eq!(across(at(1), (at(5), at(9))), 0);
        assert_eq!(across(at(99), (at(5), at(9))), 1000);
    }
}
