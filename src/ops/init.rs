//! Creating vaults and their recovery kits. Spec: §5, §11.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Error;
use super::kit::root_name;
use crate::base::{Gate, Observer, Step, VaultId};
use crate::crypto::identity::AskPassphrase;
use crate::crypto::recipient::DataRecipients;
use crate::format::Folder;
use crate::format::parameters::Parameters;
use crate::manifest::Manifest;
use crate::policy::Policy;
use crate::store::{Listed, Store};
use crate::vault::directories::{make_dir, sync_dir};
use crate::vault::genesis::{Genesis, Plan};
use crate::vault::state::StateDir;
use crate::vault::{self, Outside, Writer};

/// One vault to be created.
pub struct NewVault<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its retention policy.
    pub policy: &'a Policy,
    /// How it is written.
    pub parameters: Parameters,
    /// Who can open it.
    pub recipients: &'a DataRecipients,
    /// Where its objects go, the primary first.
    pub stores: Vec<Arc<dyn Store>>,
}

/// Identities that were made for the operator, for the kit.
pub struct KitIdentity {
    /// The file's name.
    pub name: String,
    /// The file's bytes, protected with a passphrase.
    pub bytes: Vec<u8>,
}

/// Where and what the recovery kit is.
pub struct Kit<'a> {
    /// Its directory, on removable media.
    pub dir: &'a Path,
    /// Places where it must not be: state, stores, sources.
    pub forbidden: Vec<PathBuf>,
    /// Identities that were made for the operator.
    pub identities: Vec<KitIdentity>,
    /// The config as it is, for the worst day.
    pub config: Option<Vec<u8>>,
}

/// What became of one vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitReport {
    /// Its name.
    pub name: String,
    /// Its id.
    pub vault: VaultId,
    /// Its root verification key.
    pub root_key: String,
    /// Where its part of the kit is; none if an earlier run had written it.
    pub kit: Option<PathBuf>,
    /// Days for which anything stays readable at most; none if there is no bound.
    pub longest_readable_days: Option<u32>,
}

/// Creates a vault, or finishes creating it where an earlier run stopped.
///
/// # Errors
/// If it exists, a store holds another vault, or something cannot be written.
pub fn create(
    new: NewVault<'_>,
    state_dir: &Path,
    kit: &Kit<'_>,
    ask: &impl AskPassphrase,
    outside: &Outside,
    observer: &dyn Observer,
) -> Result<InitReport, Error> {
    let state = StateDir::new(state_dir, new.name).gated(Arc::clone(&outside.gate));
    let fields = new.parameters.fields().clone();
    let days = new.policy.longest_readable_days(
        fields.generation_max_age_days,
        fields.reuse_days + fields.grace_days,
    );
    // Where the credentials may only put, the first objects are all that is asked for.
    let readable = || new.stores.iter().filter(|store| store.is_readable());
    for store in readable() {
        store.prepare()?;
    }
    let mut kit_place = None;
    if !state.exists() {
        readable().try_for_each(|store| refuse_used(store.as_ref(), new.name))?;
        let plan = Plan {
            name: new.name,
            policy: new.policy.to_json(),
            parameters: new.parameters,
            recipients: new.recipients,
        };
        let genesis = Genesis::draw(plan, ask, outside)?;
        kit_place = Some(write_kit(kit, &genesis, &outside.gate)?);
        let names: Vec<String> = new.stores.iter().map(|store| store.name().to_owned()).collect();
        genesis.settle(&state, &names)?;
    } else if !is_unfinished(&state, &new.stores)? {
        let (name, path) = (new.name.to_owned(), state.path().to_owned());
        return Err(vault::Error::Exists { name, path }.into());
    }
    let mut writer = Writer::open(state, new.stores, outside.clone())?;
    writer.deliver(observer)?;
    Ok(InitReport {
        name: new.name.to_owned(),
        vault: writer.vault(),
        root_key: writer.root_key().to_owned(),
        kit: kit_place,
        longest_readable_days: days,
    })
}

/// Tells whether the first objects of a vault still wait for its primary store.
pub(super) fn is_unfinished(state: &StateDir, stores: &[Arc<dyn Store>]) -> Result<bool, Error> {
    let manifest = Manifest::open(&state.file("manifest.sqlite"), state.gate())?;
    match stores.first() {
        Some(primary) => Ok(manifest.outgoing_count(primary.name())? > 0),
        None => Ok(false),
    }
}

fn refuse_used(store: &dyn Store, name: &str) -> Result<(), Error> {
    for listed in store.list(Folder::Vault)? {
        if let Listed::Object(..) = listed? {
            return Err(vault::Error::StoreForeign {
                store: store.name().to_owned(),
                found: "of another init".to_owned(),
                expected: format!("the new vault {name}"),
            }
            .into());
        }
    }
    Ok(())
}

/// Writes a vault's part of the recovery kit: it must be durable before the root key is forgotten.
fn write_kit(kit: &Kit<'_>, genesis: &Genesis, gate: &Arc<dyn Gate>) -> Result<PathBuf, Error> {
    check_place(kit)?;
    let anchor = genesis.anchor();
    let short: String = anchor.vault.to_string().chars().take(8).collect();
    let dir = kit.dir.join(format!("{}-{short}", anchor.name));
    make_dir(&dir, gate).map_err(|cause| Error::file("create", &dir, cause))?;
    let write_new = |name: &str, bytes: &[u8]| write_new(&dir.join(name), bytes, gate);
    for (index, sealed) in (1..).zip(genesis.sealed_root()) {
        write_new(&root_name(index), sealed)?;
    }
    write_new("vault.key", format!("{}\n", anchor.root_key).as_bytes())?;
    write_new("checkpoint", genesis.checkpoint())?;
    for identity in &kit.identities {
        write_new(&identity.name, &identity.bytes)?;
    }
    if let Some(config) = &kit.config {
        write_new("config.toml", config)?;
    }
    let page = page(&anchor.name, &anchor.vault.to_string(), &anchor.root_key);
    write_new("README.txt", page.as_bytes())?;
    // The directory's own name must last too: the root key exists nowhere else from now on.
    for place in dir.ancestors().take(3).filter(|place| !place.as_os_str().is_empty()) {
        sync_dir(place, gate).map_err(|cause| Error::file("sync", place, cause))?;
    }
    Ok(dir)
}

fn check_place(kit: &Kit<'_>) -> Result<(), Error> {
    let place = std::path::absolute(kit.dir).map_err(|e| Error::file("find", kit.dir, e))?;
    let place = resolve(&place);
    let inside = |dir: &&PathBuf| place.starts_with(resolve(dir));
    match kit.forbidden.iter().find(inside) {
        Some(_) => Err(Error::KitPlace {
            path: kit.dir.to_owned(),
            reason: "it lies within a store, the state directory or a source, \
                     and would be lost with it",
        }),
        None => Ok(()),
    }
}

/// Resolves links in the longest part of a path that exists.
fn resolve(path: &Path) -> PathBuf {
    for ancestor in path.ancestors() {
        if let Ok(real) = fs::canonicalize(ancestor) {
            let rest = path.strip_prefix(ancestor).unwrap_or(Path::new(""));
            return real.join(rest);
        }
    }
    path.to_owned()
}

fn write_new(path: &Path, bytes: &[u8], gate: &Arc<dyn Gate>) -> Result<(), Error> {
    let create = || fs::File::options().write(true).create_new(true).mode(0o600).open(path);
    let write = || {
        let mut file = gate.pass(Step::CreateFile(path), create)?;
        file.write_all(bytes)?;
        gate.pass(Step::SyncFile(path), || file.sync_all())
    };
    write().map_err(|cause| Error::file("write", path, cause))
}

/// The page to print, for whoever restores on the worst day.
fn page(name: &str, vault: &str, root_key: &str) -> String {
    format!(
        "RECOVERY KIT OF THE IDSWYFT-VAULT {name:?}\n\
         \n\
         Vault id            {vault}\n\
         Verification key    {root_key}\n\
         \n\
         Keep this on paper and this directory on removable media, away from the host.\n\
         It holds no plain key: root.age is sealed to the vault's recipients.\n\
         \n\
         ON THE WORST DAY, on a machine that you trust:\n\
         \n\
         1. Install idswyft-vault. Bring this directory, your identity file (or token) and a copy\n\
            of the store.\n\
         2. List what there is:\n\
            idswyft-vault snapshots --store file:///path/to/store --vault-key vault.key\n\
         3. Restore the newest:\n\
            idswyft-vault restore latest --store file:///path/to/store --vault-key vault.key \\\n\
                --identity your-identity.key --target /srv/restored\n\
         4. /srv/restored/db.sql is the database (load it into an empty one), uploads/ the files\n\
            with their owners, facts.json what was recorded beside them.\n\
         \n\
         Without idswyft-vault: every object is a standard file that age and zstd open, and in\n\
         the program's repository spec/restore-by-hand.md restores with stock tools alone, step\n\
         by step, spec/verify-by-hand.md checks a store, and spec/vault-v1.md says what each\n\
         object holds. Keep copies of the three beside this page.\n"
    )
}
