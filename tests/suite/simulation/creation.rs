//! A world from its seed: what is archived, how, and where to.

use std::path::Path;
use std::sync::Arc;

use idswyft_vault::base::{ChunkParameters, Code, Coded, Profile};
use idswyft_vault::crypto::identity::{GenerationIdentity, NoPassphrase};
use idswyft_vault::format::parameters::{ParameterFields, Parameters};
use idswyft_vault::ops;
use idswyft_vault::ops::init::{self, InitReport, Kit, NewVault};
use idswyft_vault::policy::{Policy, PolicyFields};
use idswyft_vault::store::StorageClass;

use super::dump::Database;
use super::faults::{Crash, Faults, Scope};
use super::place::Place;
use super::uploads::Uploads;
use super::world::{Archive, Met, Vault, World};
use crate::support::bucket::Rights;
use crate::support::vault::{Events, FixedClock};
use crate::support::{Random, SeededEntropy};

/// Classes that the packs of a vault's buckets may have.
const CLASSES: [StorageClass; 4] = [
    StorageClass::Standard,
    StorageClass::Standard,
    StorageClass::Glacier,
    StorageClass::DeepArchive,
];

impl World {
    /// Makes the world of a seed in an empty directory.
    pub fn create(seed: u64, root: &Path) -> Self {
        let mut random = Random::from_seed(seed);
        let faults = Faults::draw(&mut random);
        // Uploads only, a database only, and mostly both.
        let kind = random.below(8);
        let clock = FixedClock::new();
        let mut world = Self {
            seed,
            root: root.to_owned(),
            events: Arc::new(Events::default()),
            faults,
            uploads: (kind != 0).then(|| Uploads::new(root.join("uploads"), (1_700_000_000, 5))),
            database: (kind != 1).then(Database::default),
            vaults: draw_vaults(root, &clock, &mut random),
            step_count: 0,
            operator: GenerationIdentity::generate(&SeededEntropy::new(random.next())),
            clock,
            random,
        };
        (0..world.vaults.len()).for_each(|vault| world.init(vault));
        world
    }

    /// Creates a vault; an attempt that dies is followed by one that does not.
    fn init(&mut self, vault: usize) {
        let parameters = draw_parameters(&mut self.random);
        let crash = Crash::draw(self.faults.init_percent, &mut self.random);
        let attempt = self.attempt(crash, Scope::Every);
        let met = self.meet(vault, &attempt);
        let mut created = self.try_init(vault, &met, &parameters);
        if attempt.is_dead() || created.is_err() {
            assert!(met.fault_count() > 0, "init failed by itself: {created:?}");
            self.step_count += 1;
            let again = self.attempt(None, Scope::Every);
            let faults = std::mem::replace(&mut self.faults, Faults::none());
            created = self.try_init(vault, &self.meet(vault, &again), &parameters);
            self.faults = faults;
        }
        let root_key = match created {
            Ok(report) => report.root_key,
            // It died after the primary store had everything: the next run serves the mirror.
            Err(error) => {
                assert_eq!(error.code(), Code::VaultExists, "{error}");
                self.state(vault).anchor().unwrap().root_key
            }
        };
        self.vaults[vault].root_key = root_key;
        self.step_count += 1;
        self.events.warnings();
    }

    fn try_init(
        &self,
        vault: usize,
        met: &Met,
        parameters: &Parameters,
    ) -> Result<InitReport, ops::Error> {
        let recipients = self.recipients();
        let Vault { name, every, .. } = &self.vaults[vault];
        let every = every.map(str::to_owned);
        let new = NewVault {
            name,
            policy: &Policy::new(PolicyFields { every, ..PolicyFields::default() }).unwrap(),
            parameters: parameters.clone(),
            recipients: &recipients,
            stores: met.stores(),
        };
        let state = self.root.join("state");
        let kit = Kit {
            dir: &self.root.join("kit"),
            forbidden: vec![state.clone()],
            identities: Vec::new(),
            config: None,
        };
        let outside = self.outside(vault, &met.disk);
        init::create(new, &state, &kit, &NoPassphrase, &outside, self.events.as_ref())
    }
}

fn draw_vaults(root: &Path, clock: &Arc<FixedClock>, random: &mut Random) -> Vec<Vault> {
    let has_monthly = random.below(3) == 0;
    let nightly_every = *random.pick(&[None, None, Some("hour"), Some("day")]);
    let mut vaults = vec![draw_vault(root, clock, "nightly", nightly_every, random)];
    if has_monthly {
        vaults.push(draw_vault(root, clock, "monthly", Some("month"), random));
    }
    vaults
}

fn draw_vault(
    root: &Path,
    clock: &Arc<FixedClock>,
    name: &'static str,
    every: Option<&'static str>,
    random: &mut Random,
) -> Vault {
    let dir = |store: &str| root.join(format!("store-{name}-{store}"));
    let class = *random.pick(&CLASSES);
    let local = |store| Place::directory_in(store, dir(store));
    let bucket = |store, rights| Place::bucket_in(store, dir(store), rights, (clock, class));
    let (all, put) = (Rights::ALL, Rights::PUT_ONLY);
    let places = match random.below(12) {
        0 => vec![bucket("local", put)],
        1 => {
            let mirrors = ["mirror", "third"].map(|store| bucket(store, put).mirror());
            [bucket("local", put)].into_iter().chain(mirrors).collect()
        }
        2 => vec![bucket("local", all), bucket("mirror", put).mirror()],
        3 => vec![local("local"), bucket("mirror", put).mirror()],
        4 => vec![local("local"), bucket("mirror", all).mirror()],
        5 | 6 => vec![local("local"), local("mirror").mirror()],
        _ => vec![local("local")],
    };
    let (root_key, archive) = (String::new(), Archive::default());
    Vault { name, every, root_key, places, archive }
}

/// Draws parameters that make much happen with few bytes.
fn draw_parameters(random: &mut Random) -> Parameters {
    let initial = Parameters::initial();
    let file = match random.below(2) {
        0 => initial.chunks(Profile::File),
        _ => ChunkParameters::default_for(Profile::Stream),
    };
    let fields = ParameterFields {
        file,
        block_len: *random.pick(&[256 * 1024, 256 * 1024, 1024 * 1024]),
        pack_len: 4 * 1024 * 1024,
        retire_below_percent: *random.pick(&[0, 25, 25, 60, 100]),
        reuse_days: *random.pick(&[1, 3, 30]),
        generation_max_age_days: *random.pick(&[None, Some(3), Some(20), Some(365)]),
        ..initial.fields().clone()
    };
    Parameters::try_from(fields).unwrap()
}
