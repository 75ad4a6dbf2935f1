//! What `retain` and `forget` begin with: the stores of a vault, its key, and whoever may record
//! there what goes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::access;
use super::args::UsageError;
use super::args::retain::SiteArgs;
use super::config::{Config, VaultConfig};
use super::report::table::{Side, Table};
use super::report::{Failure, words};
use super::session::Session;
use crate::base::{Code, Event, Observer, SnapshotId};
use crate::crypto::recipient::DataRecipients;
use crate::crypto::signing::{KeyUse, SigningKey, VerificationKey};
use crate::format::event::EventKind;
use crate::ops::kit::OpenKit;
use crate::ops::recorder::{Kept, KeptFile, Recorder, check_delegated};
use crate::ops::retain::{self, Applied, Scribe, Survey};
use crate::policy::{Guard, RetentionPlan, Verdict};
use crate::store::{self, Store};
use crate::vault::state::{StateDir, StateLock};
use crate::vault::{Auditor, Writer};

/// A vault of which something may be forgotten.
pub struct Site {
    name: Option<String>,
    stores: Vec<Arc<dyn Store>>,
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
            let name = if number == 1 { "given".to_owned() } else { format!("given-{number}") };
            stores.push(store::open_with(url, &name, None)?);
        }
        let (key, state_dir) = (access::read_key(key)?, own_state()?);
        let (name, host, recipients) = (None, None, Vec::new());
        return Ok(vec![Site { name, stores, key, state_dir, host, recipients }]);
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

fn site_of(config: &Config, vault: &VaultConfig, args: &SiteArgs) -> Result<Site, Failure> {
    let key = match &args.vault_key {
        Some(key) => access::read_key(key)?,
        None => access::anchor(config, vault)?.root_key.parse()?,
    };
    let state = StateDir::new(&config.state_dir, &vault.name);
    Ok(Site {
        name: Some(vault.name.clone()),
        stores: access::stores(vault)?,
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

impl Site {
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

    /// Looks at the vault, and changes nothing.
    ///
    /// # Errors
    /// If a store does not answer.
    pub fn look(self, session: &Session) -> Result<Open, Failure> {
        let survey = self.survey(session)?;
        Ok(Open { survey, scribe: None, _lock: None })
    }

    /// Looks at the vault, with whoever may record such an event; its log is brought up to date.
    ///
    /// # Errors
    /// If a store does not answer, or a signer that is given may not say that.
    pub fn open(
        self,
        args: &SiteArgs,
        kind: EventKind,
        session: &Session,
    ) -> Result<Open, Failure> {
        if let Some((key, kept)) = self.signer(args, session)? {
            let mut survey = self.survey(session)?;
            let (note, now) = (survey.note(), session.clock.now());
            check_delegated(note, key.signer_id(), kind)?;
            let (stores, until) = (survey.stores(), survey.event_locked_until(now)?);
            let outside = session.outside();
            let (recorder, completed) =
                Recorder::open(key, stores, &survey.logs, until, kept, &outside)?;
            completed.into_iter().for_each(|event| survey.add(event));
            return Ok(Open { survey, scribe: Some(Scribe::Own(Box::new(recorder))), _lock: None });
        }
        let Some(state) = self.host.clone() else { return self.look(session) };
        let lock = state.path().parent().map(StateLock::take).transpose()?;
        let mut writer = Writer::open(state, self.stores.clone(), session.outside())?;
        writer.adopt_notes(session.progress.as_ref())?;
        let signer = writer.key().signer_id();
        let may = check_delegated(writer.note(), signer, kind).is_ok();
        if !may {
            return self.look(session);
        }
        // What its log says must be in the stores before anything is concluded from them.
        writer.deliver(session.progress.as_ref())?;
        let survey = self.survey(session)?;
        Ok(Open { survey, scribe: Some(Scribe::Host(Box::new(writer))), _lock: lock })
    }

    fn survey(&self, session: &Session) -> Result<Survey, Failure> {
        let open = |store: &Arc<dyn Store>| Auditor::open(Arc::clone(store), self.key.clone());
        let auditors = self.stores.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        Ok(Survey::read(auditors, session.progress.as_ref())?)
    }

    /// Returns the signer that is given for this vault, and where it keeps what must last.
    fn signer(
        &self,
        args: &SiteArgs,
        session: &Session,
    ) -> Result<Option<(SigningKey, Box<dyn Kept>)>, Failure> {
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
                let kept = KeptFile::new(&self.state_dir, key.signer_id());
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
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    let text = text.map_err(|cause| Failure::system(format!("read {}", path.display()), cause))?;
    let key = SigningKey::from_secret_text(text.trim_end())?;
    match key.verification_key().usage() {
        KeyUse::Signer => Ok(key),
        KeyUse::Root => {
            let reason = "it is the root key, which signs vault notes";
            Err(UsageError::new(format!("use {} as a signer", path.display()), reason).into())
        }
    }
}

impl Open {
    /// Tells of guards that would stop the plan, and that there is nobody here who may apply it.
    pub fn warn(&self, guards: &[Guard], goes: bool, session: &Session) {
        for guard in guards {
            let detail = format!("{guard}; {} accepts it", guard.acceptance().flag());
            let warning = Event::Warning { code: Code::RetentionGuarded, detail };
            session.progress.observe(warning);
        }
        if goes {
            let detail = format!(
                "vault {}: snapshots go, and no signer here may record it",
                self.survey.note().name
            );
            let warning = Event::Warning { code: Code::RetentionElsewhere, detail };
            session.progress.observe(warning);
        }
    }
}

/// What came of one vault.
pub struct Outcome {
    /// The plan.
    pub plan: RetentionPlan,
    /// The vault's name.
    pub vault: String,
    /// The number of the vault note whose policy is in force.
    pub number: u32,
    /// The policy.
    pub policy: String,
    /// What is alarming about it.
    pub guards: Vec<Guard>,
    /// What earlier runs recorded and did not delete.
    pub unfinished: Vec<SnapshotId>,
    /// What was done, if anything was to be done.
    pub applied: Option<Applied>,
}

impl Outcome {
    /// Describes a plan that was made.
    ///
    /// # Errors
    /// If a store cannot be listed.
    pub fn of(survey: &Survey, plan: RetentionPlan) -> Result<Self, Failure> {
        let note = survey.note();
        Ok(Self {
            vault: note.name.clone(),
            number: note.number,
            policy: survey.history.in_force().to_string(),
            guards: retain::guards(survey, &plan)?,
            unfinished: retain::unfinished(survey)?,
            applied: None,
            plan,
        })
    }

    /// Tells whether applying it would delete anything.
    pub fn goes(&self) -> bool {
        self.plan.dropped().next().is_some() || !self.unfinished.is_empty()
    }

    /// Returns it for `--json`.
    pub fn to_json(&self) -> Value {
        let snapshots = self.plan.planned().iter().map(|one| {
            let (keep, reasons) = match &one.verdict {
                Verdict::Keep(reasons) => (
                    true,
                    reasons
                        .iter()
                        .map(|reason| json!({ "name": reason.name(), "text": reason.to_string() }))
                        .collect::<Vec<_>>(),
                ),
                Verdict::Drop(reason) => {
                    (false, vec![json!({ "name": reason.name(), "text": reason.to_string() })])
                }
            };
            let time = one.candidate.time.to_string();
            json!({ "id": one.candidate.id, "time": time, "keep": keep, "reasons": reasons })
        });
        let guards = self.guards.iter();
        let guards = guards
            .map(|guard| json!({ "flag": guard.acceptance().flag(), "text": guard.to_string() }));
        json!({
            "vault": self.vault,
            "number": self.number,
            "policy": self.policy,
            "now": self.plan.now().to_string(),
            "snapshots": snapshots.collect::<Vec<_>>(),
            "dropped_count": self.plan.dropped().count(),
            "guards": guards.collect::<Vec<_>>(),
            "unfinished": self.unfinished,
            "applied": self.applied.as_ref().map(applied_json),
        })
    }

    /// Returns it for people.
    pub fn to_text(&self) -> String {
        let mut table =
            Table::new(&[("id", Side::Left), ("verdict", Side::Left), ("why", Side::Left)]);
        for one in self.plan.planned() {
            let (verdict, why) = match &one.verdict {
                Verdict::Keep(reasons) => {
                    let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
                    ("stays", reasons.join("; "))
                }
                Verdict::Drop(reason) => ("goes", reason.to_string()),
            };
            table.row([one.candidate.id.to_string(), verdict.to_owned(), why]);
        }
        let (vault, policy, number) = (&self.vault, &self.policy, self.number);
        let head = format!("vault {vault}: {policy} (vault note {number})\n");
        format!("{}\n{table}{}", words::printable(head.trim_end()), self.end())
    }

    fn end(&self) -> String {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let total = words::count(count(self.plan.planned().len()), "snapshot");
        let Some(applied) = &self.applied else {
            let dropped = words::number(count(self.plan.dropped().count()));
            let late = match self.unfinished.len() {
                0 => String::new(),
                late => {
                    format!("; {} that went before are to be deleted", words::number(count(late)))
                }
            };
            return format!("{dropped} of {total} go{late}; nothing was changed\n");
        };
        let forgotten = words::number(count(applied.forgotten.len()));
        let mut text = format!("{forgotten} of {total} forgotten, recorded in every store\n");
        if !applied.waiting.is_empty() {
            let stores = applied.waiting.join(", ");
            text = format!(
                "{forgotten} of {total} recorded, and nothing deleted: waits for {stores}\n"
            );
        }
        for store in applied.deleted.iter().filter(|store| store.object_count > 0) {
            let objects = words::count(store.object_count, "object");
            text.push_str(&format!("deleted {objects} in store {}\n", store.store));
        }
        if applied.deleted.iter().any(|store| store.object_count > 0) {
            text.push_str("packs stay until they are pruned\n");
        }
        text
    }
}

fn applied_json(applied: &Applied) -> Value {
    let deleted = applied.deleted.iter().map(|store| {
        json!({
            "store": store.store,
            "snapshots": store.snapshots,
            "object_count": store.object_count,
        })
    });
    let refused: Vec<SnapshotId> = applied.refused.iter().map(|(id, _)| *id).collect();
    json!({
        "forgotten": applied.forgotten,
        "deleted": deleted.collect::<Vec<_>>(),
        "waiting": applied.waiting,
        "refused": refused,
    })
}
