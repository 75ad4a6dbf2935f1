//! `spec/codes.md` holds a table of every code; the program says what is in it.

use std::collections::BTreeMap;

use idswyft_vault::base::Code;

const TABLE_START: &str = "<!-- table of base::Code, checked by tests -->\n";
const TABLE_END: &str = "<!-- end of table -->\n";

/// Returns what each code means: the doc comment before `Name = "text"` in the source of `Code`.
pub fn meanings(source: &str) -> BTreeMap<String, String> {
    let mut meanings = BTreeMap::new();
    let mut comment = Vec::new();
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("/// ") {
            comment.push(text);
            continue;
        }
        if let Some((_, rest)) = line.split_once(" = \"")
            && let Some((code, _)) = rest.split_once("\", ")
        {
            meanings.insert(code.to_owned(), comment.join(" "));
        }
        comment.clear();
    }
    meanings
}

/// Returns the table of every code.
pub fn table(meanings: &BTreeMap<String, String>) -> String {
    let mut table =
        String::from("| code | family | exit | meaning | what to do |\n|---|---|---|---|---|\n");
    for code in Code::ALL {
        let meaning = meanings.get(code.text()).map_or("", String::as_str);
        let family = format!("{:?}", code.family()).to_lowercase();
        table.push_str(&row(&[
            &format!("`{code}`"),
            &family,
            &code.exit().to_string(),
            meaning,
            code.hint(),
        ]));
    }
    table
}

/// Returns the document with `table` between its marks.
pub fn with_table(document: &str, table: &str) -> String {
    let (before, rest) = document.split_once(TABLE_START).expect("codes.md marks its table");
    let (_, after) = rest.split_once(TABLE_END).expect("codes.md marks the end of its table");
    [before, TABLE_START, table, TABLE_END, after].concat()
}

/// Returns a line of the table, with the column mark escaped.
fn row(cells: &[&str]) -> String {
    let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    format!("| {} |\n", cells.join(" | "))
}

#[test]
fn every_code_has_a_meaning_in_its_doc_comment() {
    let meanings = meanings(include_str!("../../../src/base/code/table.rs"));
    let silent = Code::ALL.iter().filter(|code| !meanings.contains_key(code.text()));
    assert_eq!(silent.collect::<Vec<_>>(), [] as [&Code; 0]);
}

#[test]
fn a_changed_code_changes_the_document() {
    let source = "/// It is\n/// gone.\nGone = \"object-missing\", Damaged, 1,\n    \"a = \\\"b\";";
    let meanings = meanings(source);
    assert_eq!(meanings.get("object-missing").map(String::as_str), Some("It is gone."));
    let old = format!("Prose.\n{TABLE_START}| old |\n{TABLE_END}More.\n");
    let new = with_table(&old, &table(&meanings));
    assert!(new != old && new.starts_with("Prose.\n") && new.ends_with("More.\n"));
    assert!(new.contains("| `object-missing` | damaged | 1 | It is gone. | "));
    assert_eq!(with_table(&new, &table(&meanings)), new);
}
