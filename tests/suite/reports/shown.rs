//! The page of a report as a browser shows it: what is read first, what is there, what it loads.

use serde_json::Value;

use idswyft_vault::cli::html::page;
use idswyft_vault::ops::report::{Verdict, VerifyReport};

use super::browser::{Browser, View};
use super::samples;

/// Returns the page of a report about one vault.
pub fn page_of(vault: VerifyReport) -> String {
    page(&samples::report(vec![vault]))
}

///
#[test]
fn a_browser_loads_nothing_but_the_page_and_has_nothing_to_say() {
    let Some(mut browser) = Browser::start() else { return };
    for vault in [samples::sound(400), samples::damaged(), samples::empty(), samples::sampled()] {
        let address = browser.open(&page_of(vault));
        assert_eq!(browser.seen().requests, [address]);
        assert_eq!(browser.seen().said, [""; 0]);
        let foreign = "script, img, b, iframe, object, embed, form, link, [onload], [onerror]";
        assert_eq!(browser.measure(&format!("count(\"{foreign}\")")), 0);
    }
    let hostile = "<script src=\"https://x.invalid/x.js\"></script>\
                   <script>document.documentElement.lang=\"xx\"</script>\
                   <img src=\"https://x.invalid/y.png\"><p id=\"styled\" style=\"color:red\">x</p>";
    let taken_in = page_of(samples::empty()).replace("<main>", &format!("<main>{hostile}"));
    browser.open(&taken_in);
    let seen = browser.seen();
    assert_eq!(seen.requests.len(), seen.refused_count + 1, "{seen:?}");
    assert_eq!(seen.refused_count, 2, "the policy of the page is a second wall");
    assert_eq!(browser.measure("count('html[lang=en]')"), 1);
    assert_eq!(browser.measure("place('#styled')")["loud"], browser.measure("place('li')")["loud"]);
}

///
#[test]
fn the_first_screen_has_the_verdict_and_what_it_does_not_cover() {
    let Some(mut browser) = Browser::start() else { return };
    for (vault, words) in [
        (samples::sound(400), "Everything that was checked is as it was recorded"),
        (samples::damaged(), "Damage was found"),
        (samples::sampled(), "Nothing is damaged, and something is to be looked at"),
    ] {
        let (gap_count, is_proven) = (vault.not_covered.len(), vault.verdict != Verdict::Damaged);
        browser.open(&page_of(vault));
        let text = browser.measure("place('.scope > .proven')")["text"].to_string();
        assert_eq!(text.contains("What was proven"), is_proven, "{text}");
        assert_eq!(text.contains("Not all of this is so"), !is_proven, "{text}");
        for view in View::ALL {
            browser.look(view);
            let verdict = browser.measure("place('h1')");
            assert_eq!(verdict["text"], words);
            assert_first(&verdict, view, "the verdict");
            let link = browser.measure("place('header a', 'not covered')");
            assert_first(&link, view, "the way to what was not covered");
            assert!(link["text"].as_str().unwrap().contains(&gap_count.to_string()), "{link}");
            assert_alike(&mut browser, view);
        }
    }
}

#[track_caller]
fn assert_first(place: &Value, view: View, what: &str) {
    assert!(place["seen"] == true, "{what} is not seen: {place}");
    let bottom = place["bottom"].as_i64().unwrap();
    assert!(bottom <= i64::from(view.height) && bottom > 0, "{what} at {}: {place}", view.name());
}

/// Asserts that what was not covered is as loud as what was proven, and next to it.
#[track_caller]
fn assert_alike(browser: &mut Browser, view: View) {
    for selector in ["h3", "li"] {
        let proven = browser.measure(&format!("place('.scope > .proven {selector}')"));
        let gaps = browser.measure(&format!("place('.scope > .gaps {selector}')"));
        assert!(proven["seen"] == true && gaps["seen"] == true, "{gaps}");
        assert_eq!(proven["loud"], gaps["loud"]);
    }
    let proven = browser.measure("place('.scope > .proven')");
    let gaps = browser.measure("place('.scope > .gaps')");
    assert_eq!(proven["width"], gaps["width"]);
    let number = |value: &Value| value.as_i64().unwrap();
    if view.width > 600 {
        assert_eq!(proven["top"], gaps["top"], "side by side");
        assert_first(&browser.measure("place('.scope > .gaps h3')"), view, "the gaps");
    } else {
        assert!(number(&gaps["top"]) - number(&proven["bottom"]) < 40, "one below the other");
    }
}

///
#[test]
fn every_part_is_there_with_its_figures() {
    let Some(mut browser) = Browser::start() else { return };
    browser.open(&page_of(samples::damaged()));
    browser.look(View::ALL[0]);
    let text = browser.measure("seenText()").as_str().unwrap().to_owned();
    for wanted in [
        "Findings",
        "contents-altered",
        "<script>alert('x')</script>",
        "What damage touches",
        "public.users",
        "Snapshots over time",
        "no snapshot, though one was due",
        "Allowed are 1 day, 2 hours, by the config.",
        "5 days",
        "none yet",
        "Storage growth",
        "Retention",
        "keep_daily 60",
        "Verifications over time",
        "passed last on",
        "Drills: restores that were rehearsed",
        "Time to recover",
        "21 min",
        "FAILED",
        "Since the last time",
        "its first 611 events have another root",
        "What to keep until the next verification",
    ] {
        assert!(text.contains(wanted), "{wanted} is not in:\n{text}");
    }
    for mark in ["gap", "missing", "found", "standing", "gone"] {
        let drawn = browser.measure(&format!("place('.calendar path.{mark}')"));
        assert!(drawn["seen"] == true, "{mark} is not in the calendar");
    }
}
