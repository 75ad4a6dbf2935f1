//! Tables and curves of many nights.

use std::fmt::Write as _;

use super::run::Night;

/// Width of the drawing.
const WIDTH: u64 = 960;
/// Height of the drawing.
const HEIGHT: u64 = 480;
/// Room around the curves.
const MARGIN: u64 = 48;
/// Colours of the curves, which repeat.
const COLOURS: [&str; 6] = ["#1b6ca8", "#c8553d", "#3d8361", "#7a5195", "#b8860b", "#555555"];

/// The first line of the CSV.
pub const CSV_HEAD: &str = "run,night,stored_len,needed_len,content_len,packs,objects,generations,\
                            snapshots,restore_packs,put,deleted,cost_microdollars\n";

/// Returns the nights as CSV, one line each.
pub fn csv(name: &str, nights: &[Night]) -> String {
    let mut text = String::new();
    for night in nights {
        let Night { number, stored_len, needed_len, content_len, .. } = night;
        let Night { pack_count, object_count, generation_count, snapshot_count, .. } = night;
        let Night { restore_pack_count, put_count, deleted_count, cost, .. } = night;
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "\"{name}\",{number},{stored_len},{needed_len},{content_len},{pack_count},\
             {object_count},{generation_count},{snapshot_count},{restore_pack_count},{put_count},\
             {deleted_count},{cost}"
        );
    }
    text
}

/// Draws percents by night, a curve for each run.
pub fn svg(runs: &[(&str, &[Night])], value: impl Fn(&Night) -> u64) -> String {
    let longest = runs.iter().map(|(_, nights)| nights.len()).max().unwrap_or(1).max(2);
    let last = u64::try_from(longest - 1).unwrap_or(1);
    let percents = runs.iter().flat_map(|(_, nights)| nights.iter().map(&value));
    let top = percents.max().unwrap_or(100).clamp(150, 1000).next_multiple_of(50);
    let x = |night: u64| MARGIN + night * (WIDTH - 2 * MARGIN) / last;
    let y = |percent: u64| HEIGHT - MARGIN - percent.min(top) * (HEIGHT - 2 * MARGIN) / top;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" \
         fill=\"white\"/>\n"
    );
    for percent in (0..=top).step_by(50) {
        let (y, x1, x2) = (y(percent), MARGIN, WIDTH - MARGIN);
        let _ = writeln!(
            text,
            "<path d=\"M{x1} {y}H{x2}\" stroke=\"#ddd\"/>\
             <text x=\"8\" y=\"{y}\">{percent} %</text>"
        );
    }
    for (nth, (name, nights)) in runs.iter().enumerate() {
        let colour = COLOURS[nth % COLOURS.len()];
        let points = (0_u64..)
            .zip(nights.iter())
            .map(|(at, night)| format!("{},{}", x(at), y(value(night))));
        let points: Vec<String> = points.collect();
        let line = MARGIN + 16 * u64::try_from(nth).unwrap_or(0);
        let _ = writeln!(
            text,
            "<polyline fill=\"none\" stroke=\"{colour}\" points=\"{}\"/>\
             <text x=\"{}\" y=\"{line}\" fill=\"{colour}\">{name}</text>",
            points.join(" "),
            WIDTH - 5 * MARGIN,
        );
    }
    text.push_str("</svg>\n");
    text
}

/// Returns a table of the runs at the end. Stored over needed bytes and over those of the contents,
/// and the packs of a restore, are also those at worst, at a month's end after the first year.
pub fn table(runs: &[(&str, &[Night])]) -> String {
    let mut text = format!(
        "{:32} {:>6} {:>10} {:>8} {:>8} {:>8} {:>6} {:>8} {:>7} {:>7}\n",
        "run",
        "nights",
        "stored MiB",
        "needed",
        "multiple",
        "at end",
        "packs",
        "restore",
        "objects",
        "dollars",
    );
    for (name, nights) in runs {
        let Some(last) = nights.last() else { continue };
        let settled = || nights.iter().filter(|night| night.ends_month && night.number > 365);
        let worst = settled().map(Night::percent).max().unwrap_or_else(|| last.percent());
        let most = settled().map(Night::multiple).max().unwrap_or_else(|| last.multiple());
        let read = settled().map(|night| night.restore_pack_count).max();
        let dollars = nights.iter().map(|night| night.cost).sum::<u64>() / 1_000_000;
        let _ = writeln!(
            text,
            "{name:32} {:>6} {:>10} {worst:>6} % {most:>6} % {:>6} % {:>6} {:>8} {:>7} \
             {dollars:>7}",
            nights.len(),
            last.stored_len >> 20,
            last.multiple(),
            last.pack_count,
            read.unwrap_or(last.restore_pack_count),
            last.object_count,
        );
    }
    text
}
