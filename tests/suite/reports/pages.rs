//! The page of a report, as text.

use idswyft_vault::base::Code;
use idswyft_vault::base::limits::FINDINGS_MAX;
use idswyft_vault::cli::html::page;
use idswyft_vault::ops::report::Verdict;

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
