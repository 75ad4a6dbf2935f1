//! The page of a report as those meet it who do not see it: its accessibility tree.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use idswyft_vault::cli::html::page;

use super::browser::{Browser, View};
use super::samples;

/// What an element is to assistive technology.
struct Node {
    role: String,
    name: String,
    level: u64,
    is_focusable: bool,
    /// The roles above it, the nearest last.
    above: Vec<String>,
    /// Its index, by which those below it name their table or row.
    within: BTreeMap<String, usize>,
}

/// Returns every element that is told of, in the order of reading.
fn tree(browser: &mut Browser) -> Vec<Node> {
    let answer = browser.call("Accessibility.getFullAXTree", json!({}));
    let nodes = answer["nodes"].as_array().unwrap();
    let by_id: BTreeMap<&str, &Value> =
        nodes.iter().map(|node| (node["nodeId"].as_str().unwrap(), node)).collect();
    let mut found = Vec::new();
    walk(nodes[0]["nodeId"].as_str().unwrap(), &by_id, &[], &BTreeMap::new(), &mut found);
    found
}

fn walk(
    id: &str,
    by_id: &BTreeMap<&str, &Value>,
    above: &[String],
    within: &BTreeMap<String, usize>,
    found: &mut Vec<Node>,
) {
    let Some(node) = by_id.get(id) else { return };
    let (mut above, mut within) = (above.to_vec(), within.clone());
    if node["ignored"] == false {
        let role = node["role"]["value"].as_str().unwrap_or_default().to_owned();
        let property = |name: &str| {
            let all = node["properties"].as_array().into_iter().flatten();
            all.clone().find(|one| one["name"] == name).map(|one| one["value"]["value"].clone())
        };
        within.insert(role.clone(), found.len());
        found.push(Node {
            name: node["name"]["value"].as_str().unwrap_or_default().trim().to_owned(),
            level: property("level").and_then(|level| level.as_u64()).unwrap_or(0),
            is_focusable: property("focusable") == Some(json!(true)),
            role: role.clone(),
            above: above.clone(),
            within: within.clone(),
        });
        above.push(role);
    }
    for child in node["childIds"].as_array().into_iter().flatten() {
        walk(child.as_str().unwrap(), by_id, &above, &within, found);
    }
}

///
#[test]
fn the_page_is_told_whole_to_those_who_do_not_see_it() {
    let Some(mut browser) = Browser::start() else { return };
    for vaults in [
        vec![samples::sound(40)],
        vec![samples::damaged(), samples::sampled()],
        vec![samples::empty()],
    ] {
        let count = vaults.len();
        browser.open(&page(&samples::report(vaults)));
        assert_eq!(browser.measure("badIds()"), json!([]));
        // As it opens on a desk; and unfolded on a telephone, where the cells of a row are stacked.
        for view in [View::ALL[0], View::ALL[2]] {
            browser.look(view);
            if view == View::ALL[2] {
                browser.measure("unfold()");
            }
            let nodes = tree(&mut browser);
            assert_document(&nodes, count);
            assert_headings(&nodes);
            assert_named(&nodes);
            assert_tables(&nodes);
        }
    }
    let language =
        browser.call("Runtime.evaluate", json!({"expression": "document.documentElement.lang"}));
    assert_eq!(language["result"]["value"], "en");
}

fn of_role<'a>(nodes: &'a [Node], role: &'a str) -> impl Iterator<Item = &'a Node> {
    nodes.iter().filter(move |node| node.role == role)
}

#[track_caller]
fn assert_document(nodes: &[Node], vault_count: usize) {
    assert_eq!(nodes[0].role, "RootWebArea");
    assert_eq!(nodes[0].name, "Verification report, 22 November 2026");
    for role in ["main", "banner", "contentinfo"] {
        assert_eq!(of_role(nodes, role).count(), 1, "{role}");
    }
    let mut names = BTreeSet::new();
    for region in of_role(nodes, "region") {
        assert!(names.insert(&region.name), "two regions are called {}", region.name);
    }
    assert_eq!(names.len(), vault_count, "{names:?}");
}

#[track_caller]
fn assert_headings(nodes: &[Node]) {
    let mut last = 0;
    for heading in of_role(nodes, "heading") {
        let Node { level, name, .. } = heading;
        assert!((1..=last + 1).contains(level), "{name} is of level {level}, after {last}");
        assert!(!name.is_empty() && (*level == 1) == (last == 0), "{name}: one title");
        last = *level;
    }
    assert!(last > 1);
}

/// Asserts that everything that is met has a name, and says nothing of what only decorates.
#[track_caller]
fn assert_named(nodes: &[Node]) {
    let named = ["table", "image", "img", "link", "region", "DisclosureTriangle"];
    let mut met = BTreeSet::new();
    for node in nodes {
        let has_role = named.contains(&node.role.as_str());
        let is_met = has_role || node.is_focusable;
        assert!(!is_met || !node.name.is_empty(), "{} in {:?} has no name", node.role, node.above);
        met.extend(has_role.then_some(node.role.as_str()));
        assert_ne!(node.role, "graphics-document", "a picture is one thing, with a name");
    }
    assert!(met.contains("region") && met.contains("link"), "{met:?}");
}

/// Asserts that every cell of every table can be told with its column and its row.
#[track_caller]
fn assert_tables(nodes: &[Node]) {
    for (index, table) in nodes.iter().enumerate().filter(|(_, node)| node.role == "table") {
        let name = &table.name;
        let inside: Vec<&Node> =
            nodes.iter().filter(|node| node.within.get("table") == Some(&index)).collect();
        let columns: Vec<&&Node> =
            inside.iter().filter(|node| node.role == "columnheader").collect();
        assert!(columns.iter().all(|one| !one.name.is_empty()), "a column of {name} has no name");
        let mut cells: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for node in inside
            .iter()
            .filter(|node| ["rowheader", "cell", "columnheader"].contains(&node.role.as_str()))
        {
            cells.entry(node.within["row"]).or_default().push(&node.role);
        }
        assert!(cells.len() > 1, "{name} has no rows");
        for row in cells.values().skip(1) {
            assert_eq!(row.len(), columns.len(), "{name}");
            assert_eq!(row[0], "rowheader", "{name}");
        }
    }
}
