//! Opening what was sealed: the files with what was cut out of them put back, and the keys. Spec:
//! `escrow.md`.
//!
//! With an identity that opens only a part, that part is given, and what it lacks is said.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use zeroize::Zeroizing;

use super::{Error, EscrowError, listing};
use crate::base::limits::ESCROW_OBJECT_LEN_MAX;
use crate::base::{EscrowId, SnapshotId};
use crate::crypto;
use crate::crypto::digest::sha256;
use crate::crypto::identity::DataIdentities;
use crate::format::ObjectKey;
use crate::format::body::Body;
use crate::format::envelope;
use crate::format::escrow::bundle::{self, Bundle, BundleFile, INDEX_NAME, Index, IndexKey};
use crate::format::escrow::{EscrowKind, EscrowObject, KEY_PREFIX, KeyLabel, KeySource, cuts};
use crate::store::Store;

/// The directory of the keys, beside the files.
const KEYS_DIR: &str = "keys";

type Plain = Zeroizing<Vec<u8>>;

/// What is to be opened.
#[derive(Debug, Clone, Copy)]
pub enum Version<'a> {
    /// What was sealed last. Whoever can write to the store decides what that is.
    Latest,
    /// The bundle of that id.
    Bundle(EscrowId),
    /// What a snapshot names; nothing else can stand in for it.
    Named(&'a [EscrowObject]),
}

/// A key that was opened.
pub struct OpenedKey {
    /// The object that held it.
    pub object: ObjectKey,
    /// The variable; as the object's name spells it, where no index and no snapshot tells it.
    pub variable: String,
    /// Where it was found when it was sealed.
    pub from: Vec<KeySource>,
    /// The value.
    pub value: Plain,
}

/// What was opened.
pub struct OpenedSecrets {
    /// The object of the bundle, if it was opened.
    pub bundle: Option<ObjectKey>,
    /// What it says of itself.
    pub index: Option<Index>,
    /// Its files, whole where what was cut out of them was opened too.
    pub files: Vec<BundleFile>,
    /// The keys.
    pub keys: Vec<OpenedKey>,
    /// What could not be opened or is not whole, each in words.
    pub lacking: Vec<String>,
}

impl OpenedSecrets {
    /// Returns the bytes of a file, if it was opened.
    pub fn file(&self, name: &str) -> Option<&[u8]> {
        self.files.iter().find(|file| file.name == name).map(|file| file.bytes.as_slice())
    }
}

/// Returns the objects that a snapshot names.
///
/// # Errors
/// If it names none, or what it names does not parse.
pub fn named(body: &Body) -> Result<Vec<EscrowObject>, EscrowError> {
    let snapshot: SnapshotId = body.snapshot;
    let fact = body.facts.get("escrow").cloned().ok_or(EscrowError::NoneNamed { snapshot })?;
    let named: Vec<EscrowObject> = serde_json::from_value(fact)
        .map_err(|error| EscrowError::Named { snapshot, reason: error.to_string() })?;
    if named.is_empty() {
        return Err(EscrowError::NoneNamed { snapshot });
    }
    Ok(named)
}

/// Opens a version of the secrets.
///
/// # Errors
/// If there is none, an object is missing or damaged, or no identity opens anything of it.
pub fn open(
    store: &dyn Store,
    identities: &DataIdentities,
    version: Version<'_>,
) -> Result<OpenedSecrets, Error> {
    let named = match version {
        Version::Named(named) => named,
        _ => &[],
    };
    let mut run = Run { store, identities, named, refused: None, lacking: Vec::new() };
    let listed = match version {
        Version::Named(_) => Vec::new(),
        _ => listing::list(store)?.objects.into_keys().collect(),
    };
    let opened = run.any(&bundles(version, &listed, store)?)?;
    let (bundle, contents) = match opened {
        Some((object, plain)) => (Some(object), Some(bundle::parse(&plain)?)),
        None => (None, None),
    };
    let keys = run.keys(contents.as_ref().map(|bundle| &bundle.index), &listed)?;
    let (index, files) = match contents {
        Some(contents) => run.whole(contents).map(|(index, files)| (Some(index), files))?,
        None => {
            run.lacking.push("the files: no identity given opens the bundle".to_owned());
            (None, Vec::new())
        }
    };
    match (bundle, keys.is_empty(), run.refused.take()) {
        (None, true, Some(error)) => Err(error.into()),
        _ => Ok(OpenedSecrets { bundle, index, files, keys, lacking: run.lacking }),
    }
}

/// Returns the objects that hold the bundle: several, if it was sealed to several groups.
fn bundles(
    version: Version<'_>,
    listed: &[ObjectKey],
    store: &dyn Store,
) -> Result<Vec<ObjectKey>, EscrowError> {
    let unknown = |what: String| EscrowError::Unknown { what, store: store.name().to_owned() };
    let of_kind = |kind| move |key: &&ObjectKey| EscrowKind::of(key) == Some(kind);
    let found: Vec<ObjectKey> = match version {
        Version::Named(named) => {
            let objects = named.iter().map(|one| &one.object);
            objects.filter(of_kind(EscrowKind::Bundle)).copied().collect()
        }
        Version::Bundle(id) => {
            let key = ObjectKey::EscrowBundle(id);
            if !listed.contains(&key) {
                return Err(unknown(key.to_string()));
            }
            vec![key]
        }
        Version::Latest => {
            let time = |key: &ObjectKey| match key {
                ObjectKey::EscrowBundle(id) => Some(id.time()),
                _ => None,
            };
            let latest = listed.iter().filter_map(time).max();
            listed.iter().filter(|key| latest.is_some() && time(key) == latest).copied().collect()
        }
    };
    match found.is_empty() && listed.is_empty() && !matches!(version, Version::Named(_)) {
        true => Err(unknown("anything that is sealed".to_owned())),
        false => Ok(found),
    }
}

/// One opening.
struct Run<'a> {
    store: &'a dyn Store,
    identities: &'a DataIdentities,
    named: &'a [EscrowObject],
    /// The last object that no identity matched.
    refused: Option<crypto::Error>,
    lacking: Vec<String>,
}

impl Run<'_> {
    /// Opens the first of several objects that hold the same and that an identity matches.
    fn any(&mut self, objects: &[ObjectKey]) -> Result<Option<(ObjectKey, Plain)>, Error> {
        for object in objects {
            let sealed = self.store.get(object, ESCROW_OBJECT_LEN_MAX)?;
            self.check_named(object, &sealed)?;
            match self.identities.open(&object.to_string(), &sealed) {
                Ok(plain) => return Ok(Some((*object, plain))),
                Err(error @ crypto::Error::NoMatch { .. }) => self.refused = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    /// Refuses an object that is not the one that a snapshot names, before it is opened.
    fn check_named(&self, object: &ObjectKey, sealed: &[u8]) -> Result<(), EscrowError> {
        let Some(named) = self.named.iter().find(|one| one.object == *object) else {
            return Ok(());
        };
        let found = sha256(sealed);
        if found == named.sha256 {
            return Ok(());
        }
        let (found, expected) = (Box::new(found), Box::new(named.sha256));
        Err(EscrowError::Altered { object: *object, found, expected })
    }

    /// Opens the keys: those that a snapshot or the bundle names, else the newest of each name.
    fn keys(
        &mut self,
        index: Option<&Index>,
        listed: &[ObjectKey],
    ) -> Result<Vec<OpenedKey>, Error> {
        let groups: Vec<IndexKey> = match (self.named, index) {
            ([], Some(index)) => index.keys.clone(),
            ([], None) => newest_keys(listed),
            (named, _) => named_keys(named),
        };
        let mut keys = Vec::new();
        for IndexKey { variable, from, objects } in groups {
            match self.any(&objects)? {
                Some((object, value)) => keys.push(OpenedKey { object, variable, from, value }),
                None => self.lacking.push(format!("{variable}: no identity given opens it")),
            }
        }
        Ok(keys)
    }

    /// Puts back what was cut out of the files.
    fn whole(&mut self, contents: Bundle) -> Result<(Index, Vec<BundleFile>), Error> {
        let Bundle { index, mut files } = contents;
        let Some(cut) = &index.cuts else { return Ok((index, files)) };
        let Some((object, pieces)) = self.any(&cut.objects)? else {
            let mut names: Vec<&str> = cut.pieces.iter().map(|piece| piece.file.as_str()).collect();
            names.dedup();
            let names = names.join(", ");
            self.lacking
                .push(format!("the keys in {names}: no identity given opens what was cut out"));
            return Ok((index, files));
        };
        let misfit = |file: &str| EscrowError::CutsMisfit { file: file.to_owned(), object };
        let mut by_file: BTreeMap<&str, Vec<(u64, &[u8])>> = BTreeMap::new();
        let mut rest = pieces.as_slice();
        for piece in &cut.pieces {
            let len = usize::try_from(piece.len).map_err(|_| misfit(&piece.file))?;
            let (bytes, behind) = rest.split_at_checked(len).ok_or_else(|| misfit(&piece.file))?;
            by_file.entry(&piece.file).or_default().push((piece.offset, bytes));
            rest = behind;
        }
        for (name, pieces) in by_file {
            let file = files.iter_mut().find(|file| file.name == name);
            let file = file.ok_or_else(|| misfit(name))?;
            let len = index.files.iter().find(|entry| entry.name == name).map(|entry| entry.len);
            let whole = cuts::put_back(&file.bytes, &pieces).ok_or_else(|| misfit(name))?;
            if len != Some(whole.len() as u64) || !rest.is_empty() {
                return Err(misfit(name).into());
            }
            file.bytes = whole;
        }
        Ok((index, files))
    }
}

/// Groups the keys that a snapshot names: those of one variable and origin hold the same.
fn named_keys(named: &[EscrowObject]) -> Vec<IndexKey> {
    let mut groups: BTreeMap<(String, Vec<KeySource>), Vec<ObjectKey>> = BTreeMap::new();
    for one in named.iter().filter(|one| one.kind == EscrowKind::Key) {
        let variable = one.variable.clone().unwrap_or_else(|| one.object.to_string());
        groups.entry((variable, one.from.clone())).or_default().push(one.object);
    }
    let group = |((variable, from), objects)| IndexKey { variable, from, objects };
    groups.into_iter().map(group).collect()
}

/// Takes the newest key of each name, where nothing says which belong together.
fn newest_keys(listed: &[ObjectKey]) -> Vec<IndexKey> {
    let mut newest: BTreeMap<String, (EscrowId, ObjectKey)> = BTreeMap::new();
    for key in listed {
        if let ObjectKey::EscrowKey(label, id) = key {
            let place = newest.entry(variable_of(*label)).or_insert((*id, *key));
            *place = (*place).max((*id, *key));
        }
    }
    let group = |(variable, (_, key))| IndexKey { variable, from: Vec::new(), objects: vec![key] };
    newest.into_iter().map(group).collect()
}

/// Returns the variable that a label stands for, as far as it tells that.
fn variable_of(label: KeyLabel) -> String {
    format!("{KEY_PREFIX}{}", label.to_string().to_uppercase())
}

/// Writes what was opened into a new or empty directory: nobody else can enter it, and nobody else
/// can read a file. The modes and owners that the files had are in the index beside them.
///
/// # Errors
/// If the directory is not empty, or cannot be written.
pub fn write(opened: &OpenedSecrets, target: &Path) -> Result<Vec<String>, Error> {
    let wrap = |path: &Path| {
        let path = path.to_owned();
        move |cause| Error::file("write", path, cause)
    };
    let make = |dir: &Path| fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    match fs::read_dir(target).map(Iterator::count) {
        Ok(0) => {
            let closed = fs::Permissions::from_mode(0o700);
            fs::set_permissions(target, closed).map_err(wrap(target))?;
        }
        Ok(count) => {
            return Err(EscrowError::TargetNotEmpty { path: target.to_owned(), count }.into());
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            make(target).map_err(wrap(target))?;
        }
        Err(error) => return Err(Error::file("read", target, error)),
    }
    let mut written = Vec::new();
    let mut add = |name: &str, bytes: &[u8]| -> Result<(), Error> {
        let path = target.join(name);
        path.parent().map_or(Ok(()), &make).map_err(wrap(&path))?;
        let mut options = fs::File::options();
        let mut file =
            options.write(true).create_new(true).mode(0o600).open(&path).map_err(wrap(&path))?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(wrap(&path))?;
        written.push(name.to_owned());
        Ok(())
    };
    if let Some(index) = &opened.index {
        add(INDEX_NAME, (envelope::compose("index of secrets", index)? + "\n").as_bytes())?;
    }
    for file in &opened.files {
        add(&file.name, &file.bytes)?;
    }
    for key in &opened.keys {
        add(&key_name(key, &opened.keys), &key.value)?;
    }
    Ok(written)
}

/// Returns the name of a key's file; with several values of one variable, also where it was found.
fn key_name(key: &OpenedKey, all: &[OpenedKey]) -> String {
    let same = all.iter().filter(|other| other.variable == key.variable).count();
    let from = match key.from.as_slice() {
        [KeySource::Env, ..] => ".env",
        [KeySource::Container, ..] => ".container",
        [] => "",
    };
    let variable = key.variable.replace('/', "_");
    format!("{KEYS_DIR}/{variable}{}", if same > 1 { from } else { "" })
}
