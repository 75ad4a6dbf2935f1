//! Layers: a module names only strictly lower ones, and never a sibling of its own layer.

use super::files::File;
use super::rust;

/// The layers from the lowest up. A new directory under `src` must find its place here.
const LAYERS: [&[&str]; 6] = [
    &["base"],
    &["crypto", "chunk", "format", "policy"],
    &["store", "source", "manifest"],
    &["vault"],
    &["ops"],
    &["cli"],
];

/// Complains of every name in a file under `src` that its layer may not know.
pub fn complaints(file: &File) -> Vec<String> {
    let code = rust::code(&file.text);
    let path = module_path(&file.path);
    let Some(own) = path.first() else {
        return Vec::new();
    };
    let Some(own_layer) = layer_of(own) else {
        return vec![format!("{}: {own} is in no layer", file.path)];
    };
    let named = references(&code, path.len());
    let wrong = named.into_iter().filter_map(|(at, target)| {
        let what = match layer_of(target) {
            _ if target == *own => return None,
            Some(layer) if layer < own_layer => return None,
            Some(layer) if layer == own_layer => "a sibling of its own layer",
            Some(_) => "a higher layer",
            None => "no layer",
        };
        let line = rust::line_at(&code, at);
        Some(format!("{}:{line}: {own} names {target}, {what}", file.path))
    });
    wrong.collect()
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// Returns the path of a file's module below the crate: `src/a/b.rs` and `src/a/b/mod.rs` are
/// both `a, b`; the crate's roots are empty.
fn module_path(path: &str) -> Vec<&str> {
    let inner = path.strip_prefix("src/").expect("only files under src have layers");
    let inner = inner.strip_suffix(".rs").expect("only Rust files have layers");
    let parts: Vec<_> = inner.split('/').filter(|part| *part != "mod").collect();
    if parts == ["lib"] || parts == ["main"] { Vec::new() } else { parts }
}

/// Returns the top-level modules that code names, with the offset of each.
fn references(code: &str, depth: usize) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for root in ["crate::", "idswyft_vault::"] {
        for (at, _) in starts_of(code, root) {
            found.extend(first_names(&code[at + root.len()..]).map(|name| (at, name)));
        }
    }
    for (at, word) in starts_of(code, "super::") {
        let rest = code[at..].trim_start_matches(word);
        let climbed = (code.len() - at - rest.len()) / word.len();
        // As many steps up as there are modules around lead to the crate's root.
        if climbed == depth + inline_modules_around(code, at) {
            found.extend(first_names(rest).map(|name| (at, name)));
        }
    }
    found
}

/// Returns where a path begins with `word`: not within a longer word or path.
fn starts_of<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    let is_inside = |c: char| rust::is_identifier(c) || c == ':';
    code.match_indices(word).filter(move |(at, _)| !code[..*at].ends_with(is_inside))
}

/// Returns the first name of a path, or those of every path in a group `{a::b, c}`.
fn first_names(rest: &str) -> impl Iterator<Item = &str> {
    let mut names = Vec::new();
    if !rest.starts_with('{') {
        names.push(rust::identifier(rest));
        return names.into_iter();
    }
    let mut depth = 0;
    for (at, c) in rest.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if depth == 1 && matches!(c, '{' | ',') {
            names.push(rust::identifier(rest[at + 1..].trim_start()));
        }
    }
    names.retain(|name| !name.is_empty());
    names.into_iter()
}

/// Counts the `mod name { … }` around an offset.
fn inline_modules_around(code: &str, at: usize) -> usize {
    let mut open = Vec::new();
    for (brace, c) in code[..at].char_indices() {
        match c {
            '{' => open.push(is_module_head(&code[..brace])),
            '}' => drop(open.pop()),
            _ => {}
        }
    }
    open.into_iter().filter(|is_module| *is_module).count()
}

fn is_module_head(before: &str) -> bool {
    let before = before.trim_end();
    let head = before.trim_end_matches(rust::is_identifier);
    head.len() < before.len() && head.split_whitespace().next_back() == Some("mod")
}

fn complaints_about(path: &str, text: &str) -> Vec<String> {
    complaints(&File::of(path, text))
}

#[test]
fn a_lower_layer_and_the_own_module_may_be_named() {
    let text = "use crate::base::{Code, PackId};\nuse crate::{base::Digest, format::ObjectKey};\n\
                use super::reader;\nmod tests {\n    use super::super::cut;\n}\n// crate::cli\n";
    assert_eq!(complaints_about("src/format/pack.rs", text), [""; 0]);
    assert_eq!(complaints_about("src/lib.rs", "pub mod cli;\nuse crate::cli::run;"), [""; 0]);
}

#[test]
fn a_higher_layer_is_found_in_plain_and_grouped_paths() {
    let found = complaints_about("src/base/id.rs", "fn a() { crate::store::open() }");
    assert_eq!(found, ["src/base/id.rs:1: base names store, a higher layer"]);
    let grouped = "use crate::{\n    base::{Code, PackId},\n    ops::{snapshot, verify},\n};";
    let found = complaints_about("src/vault/mod.rs", grouped);
    assert_eq!(found, ["src/vault/mod.rs:1: vault names ops, a higher layer"]);
    let found = complaints_about("src/ops/mod.rs", "use idswyft_vault::cli;");
    assert_eq!(found, ["src/ops/mod.rs:1: ops names cli, a higher layer"]);
}

#[test]
fn a_sibling_of_the_same_layer_is_found_through_super() {
    let found = complaints_about("src/chunk/cut.rs", "use super::super::crypto::seal;");
    assert_eq!(found, ["src/chunk/cut.rs:1: chunk names crypto, a sibling of its own layer"]);
    let inline = "mod tests {\n    use super::super::{base::Code, policy::Plan};\n}";
    let found = complaints_about("src/chunk/mod.rs", inline);
    assert_eq!(found, ["src/chunk/mod.rs:2: chunk names policy, a sibling of its own layer"]);
}

#[test]
fn a_directory_outside_the_layers_is_found() {
    let found = complaints_about("src/extra/mod.rs", "");
    assert_eq!(found, ["src/extra/mod.rs: extra is in no layer"]);
    let found = complaints_about("src/cli/mod.rs", "use crate::extra::x;");
    assert_eq!(found, ["src/cli/mod.rs:1: cli names extra, no layer"]);
}
