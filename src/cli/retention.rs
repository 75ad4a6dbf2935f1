//! What `retain` and `forget` begin with: the stores of a vault, its key, and whoever may record
//! there what goes.

mod outcome;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use outcome::Outcome;
use zeroize::Zeroizing;

use super::access;
use super::args::UsageError;
use super::args::retain::SiteArgs;
use super::config::{Config, VaultConfig};
use super::files;
use super::report::{Ending, Failure};
use super::session::Session;
use super::several::Several;
use crate::base::limits::IDENTITY_FILE_LEN_MAX;
use crate::base::{Code, Event, Observer, Silent, VaultId};
use crate::crypto::recipient::DataRecipients;
use crate::crypto::signing::{KeyUse, SigningKey, VerificationKey};
use crate::format::event::EventKind;
use crate::ops;
use crate::ops::kit::OpenKit;
use crate::ops::recorder::{Kept, KeptFile, Recorder, check_delegated};
use crate::ops::retain::{Scribe, Survey};
use crate::policy::Guard;
use crate::store::{self, Store};
use crate::vault::state::{StateDir, StateLock};
use crate::vault::{Auditor, Writer};

/// A signer's key, and where it keeps what must outlive a crash.
pub type Signer = (SigningKey, Box<dyn Kept>);

/// A vault of which something may be forgotten.
pub struct Site {
    name: Option<String>,
    stores: Vec<Arc<dyn Store>>,
    /// The same, for those who look at the vault more than once.
    seen: Vec<Arc<dyn Store>>,
    key: VerificationKey,
    state_dir: PathBuf,
    host: Option<StateDir>,
    recipients: Vec<String>,
}

/// A vault that was looked at, and whoever may record what goes.
pub struct Open {
    /// What its stores say.
    pub survey: Survey,
    /// Who records; nobody, if this machine has no signer that may.
    pub scribe: Option<Scribe>,
    _lock: Option<StateLock>,
}

/// Returns the vaults that are meant: of stores and a key, or of the config.
///
/// # Errors
/// If a store cannot be opened, or there is no key.
pub fn sites(session: &Session, args: &SiteArgs) -> Result<Vec<Site>, Failure> {
    if let (Some(key), false) = (&args.vault_key, args.store.is_empty()) {
        let mut stores = Vec::new();
        for (number, url) in (1..).zip(&args.store) {
            let name = match number {
                1 => store::GIVEN.to_owned(),
                _ => format!("{}-{number}", store::GIVEN),
            };
            stores.push(store::open_with(url, &name, None)?);
        }
        let (key, state_dir) = (access::read_key(key)?, own_state()?);
        let (name, host, recipients) = (None, None, Vec::new());
        let seen = access::remembering(&stores);
        return Ok(vec![Site { name, stores, seen, key, state_dir, host, recipients }]);
    }
    let config = session.config()?;
    let vaults = config.select(session.global.vault.as_deref())?;
    vaults.into_iter().map(|vault| site_of(&config, vault, args)).collect()
}

/// Returns the one vault that is meant.
///
/// # Errors
/// As [`sites`], and if the config has several vaults and none is named.
pub fn site(session: &Session, args: &SiteArgs) -> Result<Site, Failure> {
    let mut all = sites(session, args)?;
    match all.len() {
        1 => Ok(all.remove(0)),
        count => {
            let reason = format!("the config has {count} vaults: name one with --vault");
            Err(UsageError::new("choose a vault", reason).into())
        }
    }
}

/// Returns a vault of a config.
///
/// # Errors
/// If a store cannot be opened, or neither the state nor `args` has the vault's key.
pub fn site_of(config: &Config, vault: &VaultConfig, args: &SiteArgs) -> Result<Site, Failure> {
    let key = match &args.vault_key {
        Some(key) => access::read_key(key)?,
        None => access::anchor(config, vault)?.root_key.parse()?,
    };
    let state = StateDir::new(&config.state_dir, &vault.name);
    let stores = access::stores(vault)?;
    Ok(Site {
        name: Some(vault.name.clone()),
        seen: access::remembering(&stores),
        stores,
        key,
        state_dir: config.state_dir.clone(),
        host: Some(state).filter(StateDir::exists),
        recipients: vault.recipients.clone(),
    })
}

/// Returns where a signer without a config keeps what must outlive a crash, by the rules of XDG.
fn own_state() -> Result<PathBuf, Failure> {
    let named = |variable| std::env::var_os(variable).map(PathBuf::from);
    let is_absolute = |path: &PathBuf| path.is_absolute();
    let own = || named("HOME").filter(is_absolute).map(|home| home.join(".local/state"));
    let state = named("XDG_STATE_HOME").filter(is_absolute).or_else(own);
    state.map(|state| state.join("idswyft-vault")).ok_or_else(|| {
        let reason = "neither HOME nor XDG_STATE_HOME says where a signer's state goes";
        UsageError::new("keep the state of a signer", reason).into()
    })
}

/// Does something with each vault, and returns what came of them: what stops one is no reason to
/// leave the others.
///
/// # Errors
/// The first of any vault. What was done in the others is told then, for nobody else will.
pub fn each_site<T>(
    sites: &[Site],
    session: &Session,
    work: impl Fn(&Site) -> Result<T, Failure>,
    words: impl Fn(&T) -> String,
) -> Result<Vec<T>, Failure> {
    let mut several = Several::new(sites.len(), session);
    let each = sites.iter().filter_map(|site| several.take(&site.name(), work(site)));
    let outcomes: Vec<T> = each.collect();
    several.end(Ending::Done, || outcomes.iter().map(words).collect())?;
    Ok(outcomes)
}

impl Site {
    /// Returns the vault's name in the config, else its id.
    pub fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.key.vault().to_string())
    }

    /// Returns the vault.
    pub const fn vault(&self) -> VaultId {
        self.key.vault()
    }

    /// Returns the auditor's side of its first store.
    ///
    /// # Errors
    /// If the store does not answer.
    pub fn auditor(&self) -> Result<Auditor, Failure> {
        Ok(Auditor::open(Arc::clone(&self.seen[0]), self.key.clone())?)
    }

    /// Returns its stores, the primary first.
    pub fn stores(&self) -> &[Arc<dyn Store>] {
        &self.stores
    }

    /// Returns to whom the vault is sealed, as the config says it.
    ///
    /// # Errors
    /// If there is no config: a store has their digests only.
    pub fn recipients(&self) -> Result<DataRecipients, Failure> {
        if self.recipients.is_empty() {
            let reason = "a store has their digests only, and --config the recipients";
            return Err(UsageError::new("seal to the recipients", reason).into());
        }
        Ok(DataRecipients::parse(&self.recipients)?)
    }

    /// Returns the state of the vault's host, if this machine has it.
    pub const fn host(&self) -> Option<&StateDir> {
        self.host.as_ref()
    }

    /// Looks at the vault, and changes nothing.
    ///
    /// # Errors
    /// If a store does not answer.
    pub fn look(&self, session: &Session) -> Result<Open, Failure> {
        let survey = self.survey(session)?;
        Ok(Open { survey, scribe: None, _lock: None })
    }

    /// Looks at the vault, with whoever may record such an event; its log is brought up to date.
    ///
    /// # Errors
    /// If a store does not answer, or a signer that is given may not say that.
    pub fn open(
        &self,
        args: &SiteArgs,
        kind: EventKind,
        session: &Session,
    ) -> Result<Open, Failure> {
        if let Some((key, kept)) = self.signer(args, session)? {
            let mut survey = self.survey(session)?;
            let (note, now) = (survey.note(), session.clock.now());
            check_delegated(note, key.signer_id(), kind)?;
            let (stores, until) = (self.stores.clone(), survey.event_locked_until(now)?);
            let outside = session.outside();
            let (recorder, completed) =
                Recorder::open(key, stores, &survey.logs, until, kept, &outside)?;
            if completed.is_some() || survey.is_uneven(recorder.signer()) {
                // It may be a hold, and what it keeps is to be known; or a store lacked an event.
                survey = self.survey(session)?;
            }
            return Ok(Open { survey, scribe: Some(Scribe::Own(Box::new(recorder))), _lock: None });
        }
        let state_dir = self.host.as_ref().and_then(|state| state.path().parent());
        let lock = state_dir.map(StateLock::take).transpose()?;
        match self.open_host(kind, lock, session)? {
            Some(open) => Ok(open),
            None => self.look(session),
        }
    }

    /// Looks at the vault as its host, if this machine is it and may record such an event; nothing,
    /// if not.
    ///
    /// The caller holds the lock of the state, or hands it over.
    ///
    /// # Errors
    /// If a store does not answer, or the state is damaged.
    pub fn open_host(
        &self,
        kind: EventKind,
        lock: Option<StateLock>,
        session: &Session,
    ) -> Result<Option<Open>, Failure> {
        let Some(state) = self.host.clone() else { return Ok(None) };
        let mut writer = Writer::open(state, self.stores.clone(), session.outside())?;
        writer.adopt_notes(session.progress.as_ref())?;
        let signer = writer.key().signer_id();
        if check_delegated(writer.note(), signer, kind).is_err() {
            return Ok(None);
        }
        // What its log says must be in the stores before anything is concluded from them.
        writer.deliver(session.progress.as_ref())?;
        let survey = self.survey(session)?;
        Ok(Some(Open { survey, scribe: Some(Scribe::Host(Box::new(writer))), _lock: lock }))
    }

    /// Looks again, as the same signer, if it may record events of another kind as well.
    ///
    /// # Errors
    /// If a store does not answer.
    pub fn again(
        &self,
        open: Open,
        kind: EventKind,
        session: &Session,
    ) -> Result<Option<Open>, Failure> {
        let Some(scribe) = open.scribe else { return Ok(None) };
        if check_delegated(open.survey.note(), scribe.signer(), kind).is_err() {
            return Ok(None);
        }
        let survey = self.survey(session)?;
        Ok(Some(Open { survey, scribe: Some(scribe), _lock: open._lock }))
    }

    /// Reads what all stores of the vault say now.
    ///
    /// # Errors
    /// If a store does not answer.
    pub fn survey(&self, session: &Session) -> Result<Survey, ops::Error> {
        self.survey_told(session.progress.as_ref())
    }

    /// Reads it once more, to compare: what is to be told of it was told.
    ///
    /// # Errors
    /// As [`Self::survey`].
    pub fn survey_anew(&self) -> Result<Survey, ops::Error> {
        self.survey_told(&Silent)
    }

    fn survey_told(&self, observer: &dyn Observer) -> Result<Survey, ops::Error> {
        let open = |store: &Arc<dyn Store>| Auditor::open(Arc::clone(store), self.key.clone());
        let auditors = self.seen.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        Survey::read(auditors, observer)
    }

    /// Returns the signer that is given for this vault, and where it keeps what must last.
    ///
    /// # Errors
    /// If it cannot be read or opened, or is that of another vault.
    pub fn signer(&self, args: &SiteArgs, session: &Session) -> Result<Option<Signer>, Failure> {
        if let Some(dir) = &args.kit {
            let identities = session.identities("sign as the operator")?;
            let kit = OpenKit::find(dir, self.name.as_deref().unwrap_or_default())?;
            let root = kit.root(&identities)?;
            if root.verification_key() != &self.key {
                let found = root.verification_key().to_string();
                let reason = format!("its root key is {found}, that of the vault is another");
                return Err(kit.unusable(reason).into());
            }
            return Ok(Some((root.operator_signer(), Box::new(kit))));
        }
        let mut found = None;
        for path in &args.signer {
            let key = read_signer(path)?;
            if key.verification_key().vault() == self.key.vault() {
                found = Some(key);
            }
        }
        match found {
            Some(key) => {
                let kept = KeptFile::take(&self.state_dir, key.signer_id())?;
                Ok(Some((key, Box::new(kept))))
            }
            None if args.signer.is_empty() => Ok(None),
            None => {
                let vault = self.key.vault();
                let reason = format!("none of them is a key of a signer of vault {vault}");
                Err(UsageError::new("use --signer", reason).into())
            }
        }
    }
}

fn read_signer(path: &Path) -> Result<SigningKey, Failure> {
    let bytes = Zeroizing::new(files::read(path, "key of a signer", IDENTITY_FILE_LEN_MAX)?);
    let refuse =
        |reason: &str| UsageError::new(format!("use {} as a signer", path.display()), reason);
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    let key = SigningKey::from_secret_text(text.trim_end())
        .map_err(|_| refuse("it holds no signing key, as `signer add` writes one"))?;
    match key.verification_key().usage() {
        KeyUse::Signer => Ok(key),
        KeyUse::Root => Err(refuse("it is the root key, which signs vault notes").into()),
    }
}

impl Open {
    /// Tells of guards that would stop a prune, and that there is nobody here who may apply it.
    pub fn warn_of_prune(&self, guards: &[Guard], goes: bool, session: &Session) {
        self.warn_as("packs go", guards, goes, session);
    }

    /// Tells of guards that would stop the plan, and that there is nobody here who may apply it.
    pub fn warn(&self, guards: &[Guard], goes: bool, session: &Session) {
        self.warn_as("snapshots go", guards, goes, session);
    }

    fn warn_as(&self, what: &str, guards: &[Guard], goes: bool, session: &Session) {
        for guard in guards {
            let detail = format!("{guard}; {} accepts it", guard.acceptance().flag());
            let warning = Event::Warning { code: Code::RetentionGuarded, detail };
            session.progress.observe(warning);
        }
        if goes {
            let detail = format!(
                "vault {}: {what}, and no signer here may record it",
                self.survey.note().name
            );
            let warning = Event::Warning { code: Code::RetentionElsewhere, detail };
            session.progress.observe(warning);
        }
    }
}
