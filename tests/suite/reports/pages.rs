//! The page of a report, as text.

use idswyft_vault::base::Code;
use idswyft_vault::base::limits::FINDINGS_MAX;
use idswyft_vault::cli::html::page;
use idswyft_vault::cli::report::verification::text_of;
use idswyft_vault::ops::report::{Verdict, VerifyReport};
use idswyft_vault::ops::verify::PublicValue;

use super::samples;

///
#[test]
fn a_page_is_one_file_that_loads_and_runs_nothing() {
    for vault in [samples::sound(400), samples::damaged(), samples::empty(), samples::sampled()] {
        let page = page(&samples::report(vec![vault]));
        assert!(page.contains("default-src 'none'; style-src 'sha256-"), "{}", &page[..900]);
        let forbidden = [
            "<script",
            " src=\"",
            " href=\"h",
            "url(",
            "@import",
            "<link",
            "<iframe",
            "<img",
            "style=\"",
            "http://",
        ];
        for forbidden in forbidden {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        assert!(!page.contains("https://"), "no address that a click would open");
    }
}

///
#[test]
fn text_from_outside_is_escaped_wherever_it_stands() {
    let page = page(&samples::report(vec![samples::damaged()]));
    assert!(page.contains("&lt;script&gt;alert"), "the hostile name is there");
    assert!(page.contains("glacier &lt;b&gt;"));
    let drives = |letter: char| letter != '\n' && letter.is_control() || letter == '\u{202e}';
    assert!(!page.contains(drives));
}

///
#[test]
fn what_was_not_covered_stands_beside_what_was_proven() {
    let vault = samples::sampled();
    let page = page(&samples::report(vec![vault.clone()]));
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}"));
    let (verdict, proven, gaps) =
        (at("<h1>"), at("<h3>What was proven</h3>"), at("<h3>What was not covered</h3>"));
    let findings = at("<h3>Findings</h3>");
    assert!(verdict < proven && proven < gaps && gaps < findings);
    for text in &vault.not_covered {
        assert!(page[gaps..findings].contains(&text[1..]), "{text}");
    }
    assert!(page.contains("by 1,530 of 40,000 packs"), "a part is not taken for the whole");
    let compared = "11,900 of 120,000 files and 31 of 400 database dumps came out as archived";
    assert!(page.contains(compared) && !page.contains("every file and database came out"));
}

///
#[test]
fn of_named_snapshots_the_page_says_that_they_are_not_all() {
    let mut vault = samples::sound(30);
    let shown = |vault| page(&samples::report(vec![vault]));
    assert!(shown(vault.clone()).contains(", 30 snapshots of the archive"));
    vault.not_covered.push("snapshots that were not named".to_owned());
    assert!(shown(vault).contains(", 30 named snapshots of the archive"));
}

///
#[test]
fn a_store_is_told_with_where_it_is() {
    let vault = samples::empty();
    assert!(text_of(&vault).contains("\n  location: file:///srv/copy\n"));
    let page = page(&samples::report(vec![vault]));
    assert!(page.contains("<dt>Where it is</dt><dd><code>file:///srv/copy</code></dd>"));
    assert!(page.contains("If somebody signed it, "), "who reads it does not know yet");
}

/// Y-6, Y-22
#[test]
fn a_public_value_is_called_what_it_is_and_nothing_better() {
    let mut vault = samples::sampled();
    let said = |vault: &VerifyReport, whose: &str| {
        let value = vault.sample.as_ref().unwrap().public.clone();
        let words = text_of(vault);
        assert!(words.contains(&format!("  chosen by: {value} ({whose}), seed ")), "{words}");
        let page = page(&samples::report(vec![vault.clone()]));
        assert!(page.contains(&format!("<code>{value}</code>, {whose}</dd>")), "{whose}");
        assert!(!page.contains("nobody here chose"));
    };
    said(&vault, "given");
    let sample = vault.sample.as_mut().unwrap();
    (sample.public_given, sample.public) = (false, format!("ledgers {}", "0".repeat(64)));
    said(&vault, "said to be the heads of the ledgers in an earlier run");
    let own = PublicValue::of_ledgers(&vault.ledgers).text;
    vault.sample.as_mut().unwrap().public = own;
    said(&vault, "the heads of the ledgers");
}

///
#[test]
fn every_verdict_is_said_in_words() {
    for (verdict, words) in [
        (Verdict::Sound, "Everything that was checked is as it was recorded"),
        (Verdict::Remarks, "Nothing is damaged, and something is to be looked at"),
        (Verdict::Unread, "Not everything could be read"),
        (Verdict::Damaged, "Damage was found"),
    ] {
        let mut vault = samples::empty();
        vault.verdict = verdict;
        let page = page(&samples::report(vec![samples::empty(), vault]));
        let title = page.split("<h1>").nth(1).and_then(|rest| rest.split("</h1>").next()).unwrap();
        assert!(title.contains(words), "{title}");
    }
}

///
#[test]
fn ten_years_and_ten_thousand_findings_are_a_few_megabytes() {
    let mut vault = samples::sound(3650);
    let name = |n: usize| format!("packs/{:02x}/{n:064x}", n % 256);
    vault.findings = (0..FINDINGS_MAX)
        .map(|n| samples::finding(Code::ObjectMissing, &name(n), "it is signed and not there"))
        .collect();
    vault.verdict = Verdict::Damaged;
    let page = page(&samples::report(vec![vault]));
    assert!(page.len() < 4 << 20, "{} bytes", page.len());
    assert!(page.contains("10,000 findings") && page.contains("9,000"), "what is cut is said");
}

///
#[test]
fn what_is_known_of_a_store_from_elsewhere_is_said_in_words_and_on_the_page() {
    let mut vault = samples::sound(30);
    vault.stored.as_mut().unwrap().rewritten_count = 2;
    let words = text_of(&vault);
    for line in [
        "  stored: 1203 in STANDARD, 40000 in DEEP_ARCHIVE\n",
        "  lock modes: 3 by governance, 41200 by compliance\n",
        "  versions: 2 objects with more than one, or hidden\n",
        "  by receipt only: 12 objects, acknowledged by store glacier between 2026-10-23 and \
         2026-11-21, and not looked at since\n",
        "  computed at rest by the provider: 39998 of 40000 packs, reported 2026-11-20T02:30:00Z\n",
    ] {
        assert!(words.contains(line), "{line} is not in: {words}");
    }
    let page = page(&samples::report(vec![vault]));
    for (name, value) in [
        ("Storage classes", "1,203 in STANDARD, 40,000 in DEEP_ARCHIVE"),
        ("Lock modes", "3 by governance, 41,200 by compliance"),
        ("Written more than once", "2 objects, or hidden"),
        ("By receipt only", "12 objects, acknowledged by store glacier between "),
        ("By receipt only", "not looked at since; 1 without a receipt"),
        ("Computed at rest by the provider", "39,998 of 40,000 packs, 1,203 of 1,203 others"),
    ] {
        let (_, rest) = page.split_once(&format!("<dt>{name}</dt>")).expect(name);
        let (said, _) = rest.split_once("</dd>").unwrap();
        assert!(said.contains(value), "{name}: {said}");
    }
}
