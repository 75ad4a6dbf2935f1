//! The schema of a report says what a report is, no more and no less.

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::{Value, json};

use super::samples;
use crate::support::vault::TestVault;
use idswyft_vault::ops::report::{Level, Report};

const SCHEMA: &str = include_str!("../../../spec/report.schema.json");

fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap()
}

/// The schema, ready to be held against reports.
struct Validator {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Validator {
    fn check(&self, report: &Value) -> Result<(), String> {
        self.schemas.validate(report, self.index).map_err(|error| format!("{error:#}"))
    }

    fn is_valid(&self, report: &Value) -> bool {
        self.check(report).is_ok()
    }
}

fn validator() -> Validator {
    let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
    compiler.enable_format_assertions();
    compiler.add_resource("report.schema.json", schema()).unwrap();
    let index = compiler.compile("report.schema.json", &mut schemas).unwrap();
    Validator { schemas, index }
}

fn full() -> Value {
    let vaults = vec![samples::sampled(), samples::damaged(), samples::empty(), samples::sound(9)];
    serde_json::to_value(samples::report(vaults)).unwrap()
}

///
#[test]
fn reports_that_the_program_makes_validate() {
    let vault = TestVault::new();
    vault.snapshot();
    let made = Level::ALL.map(|level| vault.verify(level)).to_vec();
    let real = serde_json::to_value(samples::report(made)).unwrap();
    let validator = validator();
    for report in [real, full()] {
        assert_eq!(validator.check(&report), Ok(()));
        assert!(Report::parse(report.to_string().as_bytes()).is_ok());
    }
}

/// Calls with every value of an object below a value, and where it is.
fn each_field(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                let path = format!("{at}/{name}");
                each_field(value, &path, found);
                found.push(path);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().take(3).enumerate() {
                each_field(item, &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

/// Fields that a report of an older program may lack.
const OPTIONAL: [&str; 12] = [
    "location",
    "since",
    "touched",
    "stored",
    "barred",
    "scope_sha256",
    "sample",
    "shard",
    "files",
    "coverage",
    "joined",
    "record",
];

/// The same of what the store says.
const OPTIONAL_OF_STORED: [&str; 4] = ["locks", "rewritten_count", "receipts", "provider"];

/// The same of the record.
const OPTIONAL_OF_RECORD: [&str; 2] = ["judged", "rpo"];

///
#[test]
fn a_field_that_is_missing_or_of_another_type_does_not_validate() {
    let (validator, report) = (validator(), full());
    let mut paths = Vec::new();
    each_field(&report, "", &mut paths);
    // What a policy says and which classes and modes there are is theirs to say.
    let is_open =
        |path: &String| ["/policy/", "/classes/", "/locks/"].iter().any(|name| path.contains(name));
    paths.retain(|path| !is_open(path));
    paths.retain(|path| path.starts_with("/vaults/0") || !path.starts_with("/vaults/"));
    assert!(paths.len() > 150, "{}", paths.len());
    for path in paths {
        let (parent, name) = path.rsplit_once('/').unwrap();
        let mut altered = report.clone();
        let parent = altered.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        let value = parent.remove(name).unwrap();
        let is_optional = match path.matches('/').count() {
            3 => OPTIONAL.contains(&name),
            4 if path.contains("/stored/") => OPTIONAL_OF_STORED.contains(&name),
            4 => path.contains("/record/") && OPTIONAL_OF_RECORD.contains(&name),
            _ => false,
        };
        assert_eq!(validator.is_valid(&altered), is_optional, "without {path}");
        let other = if value.is_boolean() { json!(1) } else { json!(true) };
        let (grand, last) = path.rsplit_once('/').unwrap();
        altered.pointer_mut(grand).unwrap()[last] = other;
        assert!(!validator.is_valid(&altered), "{path} of another type");
    }
}

/// Returns every object of the schema with `properties`, by where it is.
fn objects<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(map) => {
            if map.get("properties").is_some_and(Value::is_object) {
                found.push(value);
            }
            map.values().for_each(|value| objects(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| objects(value, found)),
        _ => {}
    }
}

/// Complains of fields of a value that the schema has no property for.
fn unknown(value: &Value, schema: &Value, root: &Value, at: &str, found: &mut Vec<String>) {
    let target = |schema: &Value| -> Value {
        let name = schema["$ref"].as_str().and_then(|text| text.strip_prefix("#/$defs/"));
        name.map_or_else(|| schema.clone(), |name| root["$defs"][name].clone())
    };
    let schema = target(schema);
    let either = ["anyOf", "oneOf"].iter().find_map(|name| schema[*name].as_array().cloned());
    if let Some(all) = either {
        let all: Vec<Value> = all.iter().map(target).collect();
        let has = |one: &&Value| match value {
            Value::Object(map) => map.keys().all(|key| one["properties"].get(key).is_some()),
            _ => true,
        };
        match all.iter().find(has) {
            Some(one) => unknown(value, one, root, at, found),
            None => found.push(at.to_owned()),
        }
        return;
    }
    match value {
        Value::Object(map) if schema["properties"].is_object() => {
            for (name, value) in map {
                let at = format!("{at}/{name}");
                match schema["properties"].get(name) {
                    Some(schema) => unknown(value, schema, root, &at, found),
                    None => found.push(at),
                }
            }
        }
        Value::Array(items) => {
            items.iter().for_each(|item| unknown(item, &schema["items"], root, at, found));
        }
        _ => {}
    }
}

///
#[test]
fn the_schema_has_every_field_of_a_report_and_describes_each() {
    let (schema, report) = (schema(), full());
    let mut found = Vec::new();
    unknown(&report, &schema, &schema, "", &mut found);
    assert_eq!(found, [""; 0], "the schema lacks them");
    let mut all = Vec::new();
    objects(&schema, &mut all);
    assert!(all.len() > 15);
    let mut paths = Vec::new();
    each_field(&report, "", &mut paths);
    for object in all {
        for (name, property) in object["properties"].as_object().unwrap() {
            // A reference is described where it leads.
            let is_described = property["description"].as_str().is_some_and(|text| text.len() > 2);
            let is_plain = property.get("$ref").is_some() || property.get("const").is_some();
            assert!(is_described || is_plain, "{name} has no description");
            let is_there = paths.iter().any(|path| path.ends_with(&format!("/{name}")));
            let is_of_other_kind = ["share", "parts"].contains(&name.as_str());
            assert!(is_there || is_of_other_kind, "no report has {name}");
        }
    }
}

///
#[test]
fn a_report_of_a_newer_program_is_told_apart_from_a_broken_one() {
    use idswyft_vault::base::{Code, Coded};
    let code = |text: String| Report::parse(text.as_bytes()).unwrap_err().code();
    let text = serde_json::to_string(&samples::report(vec![samples::empty()])).unwrap();
    assert_eq!(code(text.replace("\"v\":1", "\"v\":2")), Code::FormatTooNew);
    assert_eq!(code(text.replace("\"requires\":[]", "\"requires\":[\"x\"]")), Code::FormatTooNew);
    for bad in [text.replace("\"v\":1", "\"v\":0"), text[1..].to_owned(), String::new()] {
        assert_eq!(code(bad), Code::FormatInvalid);
    }
    assert_eq!(code(text.replace("\"sound\"", "\"fine\"")), Code::FormatInvalid);
    // The schema lets newer programs have codes of their own.
    let text = serde_json::to_string(&samples::report(vec![samples::damaged()])).unwrap();
    let with = |code: &str| text.replacen("\"object-missing\"", &json!(code).to_string(), 1);
    let newer = with("object-bewitched");
    assert!(validator().is_valid(&serde_json::from_str(&newer).unwrap()));
    assert_eq!(code(newer.clone()), Code::FormatTooNew);
    assert_eq!(Report::parse_heads(newer.as_bytes()), Report::parse_heads(text.as_bytes()));
    assert_eq!(Report::parse_heads(newer.as_bytes()).unwrap()[0].1.len(), 3);
    for none in ["", "Object Bewitched", "<b>"] {
        assert_eq!(code(with(none)), Code::FormatInvalid, "{none}");
    }
}
