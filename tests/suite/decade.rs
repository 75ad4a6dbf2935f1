//! Ten years of nights in short: the real planner around a model of a host and a janitor. The long
//! form is `cargo bench --bench decade`.

mod model;

use idswyft_vault::base::limits::GENERATION_MAX_AGE_DAYS_KEPT_DEFAULT;
use model::setup::{Leaning, SourceSetup};
use model::{Night, Run, Setup, draw};

use crate::support::is_long;

/// Divides the counts of the source, so that a night takes a millisecond.
fn scale() -> usize {
    if is_long() { 1 } else { 13 }
}

fn nights() -> u32 {
    if is_long() { 3650 } else { 830 }
}

/// Returns the greatest percentage of stored over needed bytes at a month's end, once settled.
fn worst(nights: &[Night]) -> u64 {
    let settled = nights.iter().filter(|night| night.ends_month && night.number > 365);
    settled.map(Night::percent).max().expect("there are months after the first year")
}

/// I6, I9: a night panics where a needed byte is gone, a floor was broken, or something stayed for
/// longer than was stated.
#[test]
fn no_needed_byte_is_ever_missing_and_nothing_stays_for_longer_than_was_stated() {
    for (seed, setup) in (1..).zip(Setup::all(scale())) {
        let crash_permille = 100;
        let mut run = Run::new(Setup { seed, crash_permille, ..setup });
        let nights = run.pass(nights());
        let last = nights.last().expect("nights passed");
        assert!(last.snapshot_count > 0 && last.needed_len > 0, "{}", run.setup.name);
        assert!(last.stored_len >= last.needed_len, "{}", run.setup.name);
    }
}

#[test]
fn where_files_live_ninety_days_half_as_much_again_as_is_needed_is_stored_at_most() {
    let by_default = |setup: &Setup| {
        let leans = setup.leaning == Leaning::UntilClosed && setup.retire_below_percent > 0;
        leans && setup.source.file_nights == Some(90) && !setup.name.contains("leans")
    };
    let setups: Vec<Setup> = Setup::all(scale()).into_iter().filter(by_default).collect();
    assert_eq!(setups.len(), 3);
    for setup in setups {
        let name = setup.name;
        let found = worst(&Run::new(setup).pass(nights()));
        assert!(found <= 150, "{name}: {found} % at worst");
    }
}

/// The default is the youngest age at which ten years of all there ever was are stored twice at
/// most; another file comes each night and none goes.
#[test]
fn where_everything_is_kept_each_generation_costs_a_copy_and_the_default_is_of_the_curve() {
    let multiples = |max_age_days| {
        let setup = Setup::everything("everything", max_age_days, 52);
        let nights = Run::new(setup).pass(3650);
        let later = nights.iter().filter(|night| night.ends_month && night.number > 365);
        (later.map(Night::multiple).max(), nights.last().map(Night::multiple))
    };
    let (yearly, usual) =
        (multiples(Some(365)), multiples(Some(GENERATION_MAX_AGE_DAYS_KEPT_DEFAULT)));
    let never = multiples(None);
    assert!(yearly.0 > Some(300), "{yearly:?}");
    assert!(usual.0 <= Some(210) && usual.1 <= Some(150), "{usual:?}");
    assert!(never.0 <= Some(110), "{never:?}");
}

/// What waits for a writer after its generation closed waits for nobody.
#[test]
fn packs_of_a_closed_generation_that_wait_for_no_writer_save_a_month_of_a_second_copy() {
    let of = |leaning| {
        let usual = SourceSetup::usual(scale());
        let setup = Setup { leaning, ..Setup::of("daily 30", "keep_daily = 30", usual) };
        let nights = Run::new(setup).pass(nights());
        nights.iter().filter(|night| night.number > 365).map(Night::percent).max()
    };
    assert!(of(Leaning::UntilClosed) < of(Leaning::AsNamed));
}

#[test]
fn what_nothing_leans_on_any_more_is_stored_anew_and_less_is_stored_in_all() {
    let of = |retire_below_percent| {
        let usual = SourceSetup::usual(scale());
        let plain = Setup::of("daily 30", "keep_daily = 30", usual);
        let nights = Run::new(Setup { retire_below_percent, ..plain }).pass(360);
        let last = *nights.last().expect("nights passed");
        (last.percent(), last.restore_pack_count)
    };
    let ((retiring, few), (keeping, many)) = (of(25), of(0));
    assert!(retiring < keeping && few < many, "{retiring} % {few}, {keeping} % {many}");
}

#[test]
fn the_same_seed_gives_the_same_nights_and_they_are_told_in_a_table_and_a_curve() {
    let pass = || {
        let usual = SourceSetup::usual(scale());
        Run::new(Setup::of("daily 30", "keep_daily = 30", usual)).pass(40)
    };
    let (nights, again) = (pass(), pass());
    assert_eq!(draw::csv("daily", &nights), draw::csv("daily", &again));
    assert_eq!(draw::csv("daily", &nights).lines().count(), 40);
    let width = |line: &str| line.split(',').count();
    let first = draw::csv("daily", &nights).lines().next().map(width);
    assert_eq!(first, Some(width(draw::CSV_HEAD)));
    let curve = draw::svg(&[("daily", &nights)], Night::percent);
    assert!(curve.starts_with("<svg") && curve.contains("polyline") && curve.contains("daily"));
    assert_eq!(draw::table(&[("daily", &nights)]).lines().count(), 2);
}
