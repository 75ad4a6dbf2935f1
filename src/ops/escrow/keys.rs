//! The keys of an installation: which there are, where each was found, and cutting them out.
//! Spec: `escrow.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use zeroize::Zeroizing;

use crate::base::{Code, Event, Observer, Secret};
use crate::format::escrow::env::{self, Assignment, Value};
use crate::format::escrow::{KEY_PREFIX, KeyLabel, KeySource, cuts};
use crate::source::install::{ENV_FILE, FileBytes, Found, InstallFile};

/// A key's value.
pub struct FoundKey {
    /// The variable.
    pub variable: String,
    /// Where it has this value.
    pub from: Vec<KeySource>,
    /// The value.
    pub value: Value,
}

/// What was cut out of a file.
pub struct CutFile {
    /// The file.
    pub name: String,
    /// Where the pieces stood in the whole file.
    pub ranges: Vec<Range<usize>>,
    /// The pieces, one behind the other.
    pub pieces: Zeroizing<Vec<u8>>,
}

fn is_key(name: &str) -> bool {
    KeyLabel::of(name).is_some()
}

/// Finds every `ENCRYPTION_KEY*` of `.env` and of the running api; where they differ, both.
pub fn find(
    files: &[InstallFile],
    effective: Option<&BTreeMap<String, Secret>>,
    observer: &dyn Observer,
) -> Vec<FoundKey> {
    let env = files.iter().find(|file| file.name == ENV_FILE).and_then(InstallFile::bytes);
    let env = env.unwrap_or_default();
    let defined = env::assignments(env, is_key).into_iter().filter(|one| one.is_definition);
    let mut names: BTreeSet<String> = defined.map(|one| one.name).collect();
    let running = effective
        .into_iter()
        .flatten()
        .filter(|(name, value)| is_key(name) && !value.expose().is_empty());
    let running: BTreeMap<&str, &[u8]> =
        running.map(|(name, value)| (name.as_str(), value.expose().as_bytes())).collect();
    names.extend(running.keys().map(|name| (*name).to_owned()));
    let mut found = Vec::new();
    for name in names {
        let readings = env::value_of(env, &name);
        found.extend(agree(&name, readings, running.get(name.as_str()).copied(), observer));
    }
    if !found.iter().any(|key: &FoundKey| key.variable == KEY_PREFIX) {
        let detail = match effective {
            Some(_) => format!("neither .env nor the running api has an {KEY_PREFIX}"),
            None => format!(".env has no {KEY_PREFIX}, and the api's own environment is not known"),
        };
        observer.observe(Event::Warning { code: Code::EscrowIncomplete, detail });
    }
    found
}

/// Compares what a file says with what runs.
fn agree(
    name: &str,
    readings: Vec<Value>,
    running: Option<&[u8]>,
    observer: &dyn Observer,
) -> Vec<FoundKey> {
    let key = |from: &[KeySource], value: Value| FoundKey {
        variable: name.to_owned(),
        from: from.to_vec(),
        value,
    };
    let copy = |value: &[u8]| Zeroizing::new(value.to_vec());
    let is_running = |value: &Value| running.is_some_and(|running| running == value.as_slice());
    let agrees = readings.iter().any(is_running);
    match (readings.into_iter().next(), running) {
        (Some(_), Some(running)) if agrees => {
            vec![key(&[KeySource::Env, KeySource::Container], copy(running))]
        }
        (Some(written), Some(running)) => {
            let detail = format!("{name} in .env is not the one that the api runs with");
            observer.observe(Event::Warning { code: Code::EscrowKeysDiffer, detail });
            vec![key(&[KeySource::Env], written), key(&[KeySource::Container], copy(running))]
        }
        (Some(written), None) => vec![key(&[KeySource::Env], written)],
        (None, Some(running)) => vec![key(&[KeySource::Container], copy(running))],
        (None, None) => Vec::new(),
    }
}

/// Cuts every key out of every file: each place that assigns one, also in a comment, and each
/// spelling of each value wherever else it stands.
pub fn cut_out(files: Vec<InstallFile>, keys: &[FoundKey]) -> (Vec<InstallFile>, Vec<CutFile>) {
    let assigned: Vec<Vec<Assignment>> = files
        .iter()
        .map(|file| env::assignments(file.bytes().unwrap_or_default(), is_key))
        .collect();
    let mut values: Vec<&[u8]> = keys.iter().map(|key| key.value.as_slice()).collect();
    let readings = assigned.iter().flatten().flat_map(|one| &one.readings);
    values.extend(readings.map(|value| value.as_slice()));
    values.sort_unstable();
    values.dedup();
    let mut cut_files = Vec::new();
    let mut left = Vec::new();
    for (file, assigned) in files.into_iter().zip(&assigned) {
        let InstallFile { name, found } = file;
        let Found::File(inode) = found else {
            left.push(InstallFile { name, found });
            continue;
        };
        // What names only another variable holds no value.
        let places = assigned.iter().filter(|one| !one.readings.is_empty());
        let places = places.map(|one| one.place.clone()).collect();
        let ranges = cuts::find(&inode.bytes, &values, places);
        let (bytes, pieces) = cuts::cut(&inode.bytes, &ranges);
        if !ranges.is_empty() {
            cut_files.push(CutFile { name: name.clone(), ranges, pieces });
        }
        left.push(InstallFile { name, found: Found::File(FileBytes { bytes, ..inode }) });
    }
    (left, cut_files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Silent;

    fn env(text: &[u8]) -> Vec<InstallFile> {
        let bytes = Zeroizing::new(text.to_vec());
        let found = Found::File(FileBytes { mode: 0o600, uid: 0, gid: 0, bytes });
        vec![InstallFile { name: ENV_FILE.to_owned(), found }]
    }

    fn running(pairs: &[(&str, &str)]) -> BTreeMap<String, Secret> {
        let pair =
            |(name, value): &(&str, &str)| ((*name).to_owned(), Secret::new((*value).into()));
        pairs.iter().map(pair).collect()
    }

    fn found(text: &[u8], pairs: &[(&str, &str)]) -> Vec<(String, usize, String)> {
        let keys = find(&env(text), Some(&running(pairs)), &Silent);
        let text = |key: FoundKey| {
            (key.variable, key.from.len(), String::from_utf8_lossy(&key.value).into_owned())
        };
        keys.into_iter().map(text).collect()
    }

    /// E-8
    #[test]
    fn keys_come_from_the_file_and_from_what_runs_and_both_when_they_differ() {
        let key = |name: &str, from, value: &str| (name.to_owned(), from, value.to_owned());
        let text = b"ENCRYPTION_KEY=one # x\nJWT_SECRET=no\nENCRYPTION_KEY_PREVIOUS='zero'\n";
        assert_eq!(
            found(text, &[]),
            [key("ENCRYPTION_KEY", 1, "one"), key("ENCRYPTION_KEY_PREVIOUS", 1, "zero")]
        );
        // A naive program takes the comment too: what runs decides which reading it is.
        assert_eq!(
            found(b"ENCRYPTION_KEY=a b\n", &[("ENCRYPTION_KEY", "a")]),
            [key("ENCRYPTION_KEY", 2, "a")]
        );
        assert_eq!(
            found(b"ENCRYPTION_KEY=one\n", &[("ENCRYPTION_KEY", "two")]),
            [key("ENCRYPTION_KEY", 1, "one"), key("ENCRYPTION_KEY", 1, "two")]
        );
        assert_eq!(
            found(b"", &[("ENCRYPTION_KEY_V2", "x"), ("ENCRYPTION_KEY", "")]),
            [key("ENCRYPTION_KEY_V2", 1, "x")]
        );
    }

    /// E-12
    #[test]
    fn no_key_is_left_in_any_file_not_even_an_old_one_in_a_comment() {
        let mut files =
            env(b"# ENCRYPTION_KEY=oldoldold\nENCRYPTION_KEY=\"newnewnew\" # mine\nX=y");
        files.push(InstallFile {
            name: "docker-compose.override.yml".into(),
            found: Found::File(FileBytes {
                mode: 0o644,
                uid: 0,
                gid: 0,
                bytes: Zeroizing::new(
                    b"K: ${ENCRYPTION_KEY}\nENCRYPTION_KEY_PREVIOUS: OLDOLDOLD\nZ: running99"
                        .to_vec(),
                ),
            }),
        });
        let effective = running(&[("ENCRYPTION_KEY", "running99")]);
        let keys = find(&files, Some(&effective), &Silent);
        let (left, cut) = cut_out(files, &keys);
        let texts: Vec<_> =
            left.iter().map(|file| String::from_utf8_lossy(file.bytes().unwrap())).collect();
        assert_eq!(
            texts,
            [
                "# ENCRYPTION_KEY=\nENCRYPTION_KEY=\nX=y",
                "K: ${ENCRYPTION_KEY}\nENCRYPTION_KEY_PREVIOUS: \nZ: "
            ]
        );
        assert_eq!(cut.len(), 2);
    }
}
