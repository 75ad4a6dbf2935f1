//! `init`: vaults, their recovery kits, and a config where there is none yet.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::rejoin;
use crate::base::{Code, Coded, Event, Observer, OpenGate};
use crate::cli::access;
use crate::cli::args::InitArgs;
use crate::cli::config::{CONFIG_PLACES, Config, DatabaseConfig, UploadsConfig, VaultConfig};
use crate::cli::config::{compose_config, locate};
use crate::cli::passphrase::new_passphrase;
use crate::cli::places::place_facts;
use crate::cli::report::{Ending, Failure};
use crate::cli::session::Session;
use crate::cli::stack;
use crate::crypto::identity::NewIdentity;
use crate::crypto::recipient::DataRecipients;
use crate::ops;
use crate::ops::init::{self, InitReport, Kit, KitIdentity, NewVault};
use crate::ops::probing;
use crate::store::probe::{Probe, Weight};
use crate::store::{self, STAGING_PREFIX};
use crate::vault::directories::sync_dir;
use crate::vault::state::{StateDir, StateLock};

/// Where the kit goes when no place is named.
const KIT_DIR_DEFAULT: &str = "idswyft-vault-kit";
/// The identity that is made when no recipient is given.
const IDENTITY_NAME: &str = "operator.key";

/// Creates what the config describes; without a config, writes one from the options first.
///
/// # Errors
/// If something is wrong or cannot be written. What was begun is finished by running it again.
pub fn run(args: &InitArgs, session: &Session) -> Result<Ending, Failure> {
    if let Some(vault_key) = args.vault_key.as_deref().filter(|_| args.rejoin) {
        return rejoin::run(vault_key, session);
    }
    let mut identities = Vec::new();
    let mut unwritten = None;
    let config = match locate(session.global.config.as_deref()).filter(|path| path.exists()) {
        Some(path) => Config::read(&path)?,
        None => {
            let (config, text) = first_config(args, session, &mut identities)?;
            if identities.is_empty() {
                write_config(&config, &text, session)?;
            }
            unwritten = (!identities.is_empty()).then_some(text);
            config
        }
    };
    let kit_dir = args.kit.clone().unwrap_or_else(|| PathBuf::from(KIT_DIR_DEFAULT));
    let text = match &unwritten {
        Some(text) => Ok(text.clone().into_bytes()),
        None => std::fs::read(&config.path),
    };
    let kit = Kit {
        dir: &kit_dir,
        forbidden: forbidden(&config),
        identities,
        config: Some(text.map_err(|error| Failure::system("read the config again", error))?),
    };
    let _lock = StateLock::take(&config.state_dir)?;
    let (mut reports, mut existing) = (Vec::new(), Vec::new());
    let vaults = config.select(session.global.vault.as_deref())?;
    // Before anything is made: what an endpoint cannot do is found out too late otherwise.
    let mut probes = BTreeMap::new();
    for vault in &vaults {
        if !StateDir::new(&config.state_dir, &vault.name).exists() {
            probes.insert(vault.name.as_str(), probe_stores(vault, session)?);
        }
    }
    for vault in vaults {
        let recipients = DataRecipients::parse(&vault.recipients)?;
        let new = NewVault {
            name: &vault.name,
            policy: &vault.policy,
            parameters: vault.parameters.clone(),
            recipients: &recipients,
            stores: access::stores(vault)?,
        };
        let observer = session.progress.as_ref();
        let outside = session.outside();
        match init::create(new, &config.state_dir, &kit, &session.ask, &outside, observer) {
            Ok(report) => {
                let state = StateDir::new(&config.state_dir, &vault.name);
                for (store, probe) in probes.get(vault.name.as_str()).into_iter().flatten() {
                    probing::record(&state, store, probe)?;
                }
                reports.push(report);
            }
            Err(error) if error.code() == Code::VaultExists => existing.push((vault, error)),
            Err(error) => return Err(error.into()),
        }
    }
    // A config that names a made recipient must not exist before its identity is in a kit: the next
    // run would seal to what nobody can open.
    if let Some(text) = unwritten.filter(|_| !reports.is_empty()) {
        write_config(&config, &text, session)?;
    }
    // A vault that exists is in nobody's way where another one was made.
    for (vault, error) in existing {
        if reports.is_empty() {
            return Err(error.into());
        }
        session.report.note(&format!("vault {} exists and is left as it is", vault.name));
    }
    say(session, &config, &reports)
}

/// Probes the stores of a new vault, and refuses one that cannot be used as it is configured.
fn probe_stores(vault: &VaultConfig, session: &Session) -> Result<Vec<(String, Probe)>, Failure> {
    let mut probes = Vec::new();
    for store in &vault.stores {
        let Some(settings) = &store.s3 else { continue };
        let opened = access::named_store(vault, &store.name)?;
        let pack_len = vault.parameters.fields().pack_len;
        let observer = session.progress.as_ref();
        let Some(probe) = probing::probe(opened.as_ref(), pack_len, &session.outside())? else {
            observer.observe(super::store::unprobed(&store.name));
            continue;
        };
        let shortfalls = probe.shortfalls(&probing::wanted(settings));
        probing::refuse(&store.name, &shortfalls)?;
        for short in shortfalls.iter().filter(|short| short.weight == Weight::Warning) {
            let detail = format!(
                "store {}: {}: {}; {}",
                store.name, short.capability, short.detail, short.remedy
            );
            observer.observe(Event::Warning { code: Code::StoreLacking, detail });
        }
        probes.push((store.name.clone(), probe));
    }
    Ok(probes)
}

/// Composes the first config; with no recipient, an identity for the operator is made as well.
fn first_config(
    args: &InitArgs,
    session: &Session,
    identities: &mut Vec<KitIdentity>,
) -> Result<(Config, String), Failure> {
    let found = match args.store.is_some() {
        true => stack::find(args, session)?,
        false => None,
    };
    let mut flags = args.config_flags(session.global.vault.as_deref(), found)?;
    if flags.recipients.is_empty() {
        let new = NewIdentity::generate(session.clock.now());
        let bytes = new.protect(new_passphrase(IDENTITY_NAME)?)?;
        flags.recipients.push(new.recipient);
        identities.push(KitIdentity { name: IDENTITY_NAME.to_owned(), bytes });
    }
    let named = session.global.config.clone();
    let path = named.unwrap_or_else(|| PathBuf::from(CONFIG_PLACES[0]));
    let text = compose_config(&flags);
    // Checked before it is written: what stays on disk is a config that works.
    let config = Config::parse(&path, text.clone())?;
    Ok((config, text))
}

fn write_config(config: &Config, text: &str, session: &Session) -> Result<(), Failure> {
    let path = &config.path;
    let wrap = |error| Failure::system(format!("write the config {}", path.display()), error);
    // Whole or not at all: half a config would keep the next `init` from beginning anew.
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mode = std::fs::Permissions::from_mode(0o666); // less the umask, as for any new file
    let staged = tempfile::Builder::new().prefix(STAGING_PREFIX).permissions(mode).tempfile_in(dir);
    let mut staged = staged.map_err(wrap)?;
    let written = staged.write_all(text.as_bytes()).and_then(|()| staged.as_file().sync_all());
    written.map_err(wrap)?;
    staged.persist_noclobber(path).map_err(|refused| wrap(refused.error))?;
    sync_dir(dir, &OpenGate::shared()).map_err(wrap)?;
    session.report.note(&format!("wrote the config {}", path.display()));
    Ok(())
}

/// Returns where a kit would be lost together with what it is to save.
fn forbidden(config: &Config) -> Vec<PathBuf> {
    let mut places = vec![config.state_dir.clone()];
    let stores = config.vaults.iter().flat_map(|vault| &vault.stores);
    places.extend(stores.filter_map(|store| store::directory(&store.url)));
    if let Some(UploadsConfig::Path { path }) = &config.sources.uploads {
        places.push(path.clone());
    }
    // An uninstaller removes the directory of the stack with everything in it.
    places.extend(config.sources.stack().and_then(|stack| stack.dir));
    places
}

fn say(session: &Session, config: &Config, reports: &[InitReport]) -> Result<Ending, Failure> {
    let vaults: Vec<_> = reports
        .iter()
        .map(|report| {
            json!({
                "name": report.name,
                "vault": report.vault,
                "root_key": report.root_key,
                "kit": report.kit,
                "longest_readable_days": report.longest_readable_days,
            })
        })
        .collect();
    let mut object = json!({ "config": config.path, "vaults": vaults });
    let places = tell_places(session, config);
    if !places.is_empty() {
        object["places"] = places.into();
    }
    if matches!(config.sources.database, Some(DatabaseConfig::Stdin)) {
        session.report.note("the database is read from standard input: pipe the dump in");
    }
    let warnings = session.progress.warnings();
    session
        .report
        .deed(object, &warnings, Ending::Done, || reports.iter().map(words).collect::<String>())
}

/// Tells what is risky about where the archive of a stack is, while moving it costs nothing.
fn tell_places(session: &Session, config: &Config) -> Vec<Value> {
    if config.sources.install_dir().is_none() {
        return Vec::new();
    }
    let found = ops::places::warnings(&place_facts(config)).into_iter();
    let told = found.map(|(code, detail)| {
        session.report.note(&format!("beware[{code}]: {detail}; {}", code.hint()));
        json!({ "code": code.text(), "detail": detail })
    });
    told.collect()
}

fn words(report: &InitReport) -> String {
    let kept = match report.longest_readable_days {
        Some(days) => {
            format!("nothing stays readable for longer than {days} days where `retain` applies it")
        }
        None => "snapshots stay readable without a bound".to_owned(),
    };
    let kit = match &report.kit {
        Some(path) => format!(
            "recovery kit      {}\n  \
             Move it to removable media and print its README.txt: it holds the sealed root key,\n  \
             which is nowhere else.\n",
            display(path)
        ),
        None => "recovery kit      written by an earlier run\n".to_owned(),
    };
    format!(
        "created vault {}  {}\nverification key  {}\n{kit}retention         {kept}\n",
        report.name, report.vault, report.root_key
    )
}

fn display(path: &Path) -> String {
    path.display().to_string()
}
