//! The page of a report on a desk and on a telephone, in light and dark, and on paper.

use serde_json::{Value, json};

use super::browser::{Browser, View};
use super::samples;
use super::shown::page_of;

/// WCAG 2.2 AA of text (1.4.3), and of what is drawn (1.4.11).
const TEXT_CONTRAST_MIN: f64 = 4.5;
const DRAWN_CONTRAST_MIN: f64 = 3.0;

///
#[test]
fn the_page_fits_and_reads_at_two_widths_in_light_and_dark() {
    let Some(mut browser) = Browser::start() else { return };
    for (name, vault) in [
        ("damaged", samples::damaged()),
        ("decade", samples::sound(3650)),
        ("empty", samples::empty()),
    ] {
        browser.open(&page_of(vault));
        for view in View::ALL {
            let what = format!("{name}-{}", view.name());
            browser.look(view);
            let overflow = browser.measure("overflow()");
            assert_eq!(
                overflow,
                json!({"excess": 0, "out": []}),
                "{what} is wider than its window"
            );
            assert_contrast(&mut browser, &what);
            let border = browser.measure("place('body > header')")["border"].clone();
            assert_drawn(&browser.picture(&what, &border), view, &what);
        }
    }
}

#[track_caller]
fn assert_contrast(browser: &mut Browser, what: &str) {
    let text = browser.measure("textContrast()");
    assert!(text["count"].as_u64().unwrap() > 30, "{what}: {text}");
    assert!(text["ratio"].as_f64().unwrap() >= TEXT_CONTRAST_MIN, "{what}: {text}");
    let drawn = browser.measure("drawnContrast()");
    for (kind, ratio) in drawn.as_object().unwrap() {
        assert!(ratio.as_f64().unwrap() >= DRAWN_CONTRAST_MIN, "{what}: {kind} {ratio}");
    }
}

/// Asserts that a picture is as bright as was asked, is not empty, and has the verdict's colour.
#[track_caller]
fn assert_drawn(picture: &Value, view: View, what: &str) {
    let number = |name: &str| picture[name].as_f64().unwrap();
    assert_eq!(picture["width"], view.width, "{what}");
    assert_eq!(picture["height"], view.height, "{what}");
    let (ground, ink) = if view.is_dark { ("dark", "light") } else { ("light", "dark") };
    assert_eq!(number("brightness") < 80.0, view.is_dark, "{what}: {picture}");
    assert!(number(ground) > 0.7, "{what} is mostly {ground}: {picture}");
    assert!((0.01..0.2).contains(&number(ink)), "{what} has letters: {picture}");
    assert!(number("coloured") > 0.001, "{what} shows the bar of its verdict: {picture}");
}

/// Width of the text of a sheet of A4 in the page's margins, in pixels of a style sheet.
const SHEET_WIDTH: u32 = 672;

///
#[test]
fn on_paper_nothing_is_folded_cut_or_dark() {
    let Some(mut browser) = Browser::start() else { return };
    for (name, vault, most) in [
        ("sound", samples::sound(90), 9),
        ("damaged", samples::damaged(), 14),
        ("decade", samples::sound(3650), 40),
    ] {
        browser.open(&page_of(vault));
        browser.look_as_printed(SHEET_WIDTH);
        let overflow = browser.measure("overflow()");
        assert_eq!(overflow, json!({"excess": 0, "out": []}), "{name} is wider than its sheet");
        assert_eq!(browser.measure("scrolled()"), json!([]), "{name}: nobody scrolls on paper");
        let lost = browser.measure("lost('details.screen, summary, .screen')");
        assert_eq!(lost, json!([]), "{name} does not print");
        assert_contrast(&mut browser, name);
        let ground = browser.measure("groundOf('h2')");
        assert!(ground.as_f64().unwrap() > 0.9, "{name}: ink is for letters: {ground}");
        let print = browser.print(name);
        let text = String::from_utf8_lossy(&print);
        assert!(text.starts_with("%PDF-"));
        let boxes: Vec<&str> = text.split("/MediaBox [0 0 ").skip(1).collect();
        let is_a4 = |sheet: &&&str| sheet.starts_with("594.") || sheet.starts_with("595.");
        assert_eq!(boxes.iter().filter(is_a4).count(), boxes.len(), "{name}: sheets of A4");
        assert!((1..=most).contains(&boxes.len()), "{name}: {} sheets", boxes.len());
    }
}
