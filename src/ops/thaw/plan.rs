//! What is to be thawed, what that costs and how long it takes. Spec: `thaw.md` §1, §2.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::prices::{Micros, PriceTable, tiers_of};
use super::standing::{Pack, State};
use crate::format::ObjectKey;
use crate::store::{StorageClass, ThawTier};

/// Some packs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Amount {
    /// How many.
    pub pack_count: u64,
    /// Their stored bytes.
    pub len: u64,
}

impl Amount {
    fn add(&mut self, pack: &Pack) {
        self.pack_count += 1;
        self.len += pack.len;
    }
}

/// The packs of one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClassPlan {
    /// The class.
    pub class: StorageClass,
    /// Those that can be read now.
    pub ready: Amount,
    /// Those that are being thawed.
    pub under_way: Amount,
    /// Those that must be thawed.
    pub frozen: Amount,
    /// What reading the ready ones costs in a class that is read at once; none without a price.
    pub read_micros: Option<Micros>,
    /// Days that are paid for, however soon a pack is deleted.
    pub days_min: Option<u32>,
    /// Those that are younger.
    pub young: Amount,
    /// What deleting those now would cost. Reading deletes nothing.
    pub young_micros: Option<Micros>,
}

/// A tier, and what it would cost to thaw everything that is frozen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TierPlan {
    /// The tier.
    pub tier: ThawTier,
    /// Minutes until the last pack is ready, at the latest.
    pub minutes: u32,
    /// The price; none where the table does not have it.
    pub price: Option<TierCost>,
}

/// What a tier costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct TierCost {
    /// For the bytes thawed.
    pub retrieval_micros: Micros,
    /// For the requests.
    pub requests_micros: Micros,
    /// For the copies.
    pub copies_micros: Micros,
    /// For moving every byte needed out of the provider's network.
    pub egress_micros: Micros,
    /// All of it.
    pub total_micros: Micros,
}

/// A pack of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedPack {
    /// Its name.
    pub key: String,
    /// Its class.
    pub class: StorageClass,
    /// Its stored bytes.
    pub len: u64,
    /// `ready`, `under_way`, `frozen` or `missing`.
    pub state: &'static str,
}

/// The plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ThawPlan {
    /// The store's name.
    pub store: String,
    /// All that is needed.
    pub needed: Amount,
    /// Of it, what can be read now.
    pub ready: Amount,
    /// What is being thawed.
    pub under_way: Amount,
    /// What must be thawed.
    pub frozen: Amount,
    /// Packs that are not there.
    pub missing_count: u64,
    /// The packs by class.
    pub classes: Vec<ClassPlan>,
    /// What there is to choose from, the cheapest first; empty if nothing is frozen.
    pub tiers: Vec<TierPlan>,
    /// Days for which copies are kept.
    pub days: u32,
    /// The currency.
    pub currency: String,
    /// From where and when the prices are.
    pub prices: String,
    /// Every pack, by name.
    pub packs: Vec<PlannedPack>,
}

/// Makes the plan of packs as they stand.
pub fn plan(
    store: &str,
    packs: &[Pack],
    days: u32,
    prices: &PriceTable,
    now: Timestamp,
) -> ThawPlan {
    let mut by_class: BTreeMap<StorageClass, Vec<&Pack>> = BTreeMap::new();
    for pack in packs.iter().filter(|pack| pack.state != State::Missing) {
        by_class.entry(pack.class).or_default().push(pack);
    }
    let amount = |is_meant: fn(&Pack) -> bool| {
        let mut amount = Amount::default();
        packs.iter().filter(|pack| is_meant(pack)).for_each(|pack| amount.add(pack));
        amount
    };
    let needed = amount(|_| true);
    ThawPlan {
        store: store.to_owned(),
        needed,
        ready: amount(|pack| matches!(pack.state, State::Ready(_))),
        under_way: amount(|pack| pack.state == State::UnderWay),
        frozen: amount(|pack| pack.state == State::Frozen),
        missing_count: amount(|pack| pack.state == State::Missing).pack_count,
        classes: by_class
            .iter()
            .map(|(class, packs)| class_plan(*class, packs, prices, now))
            .collect(),
        tiers: tiers(&by_class, needed.len, days, prices),
        days,
        currency: prices.currency.clone(),
        prices: prices.source.clone(),
        packs: packs.iter().map(planned).collect(),
    }
}

fn planned(pack: &Pack) -> PlannedPack {
    let state = match pack.state {
        State::Ready(_) => "ready",
        State::UnderWay => "under_way",
        State::Frozen => "frozen",
        State::Missing => "missing",
    };
    let name = |key: &ObjectKey| key.to_string();
    PlannedPack { key: name(&pack.key), class: pack.class, len: pack.len, state }
}

fn class_plan(
    class: StorageClass,
    packs: &[&Pack],
    prices: &PriceTable,
    now: Timestamp,
) -> ClassPlan {
    let price = prices.classes.get(&class);
    let days_min = price.map(|price| price.days_min);
    let mut plan = ClassPlan {
        class,
        ready: Amount::default(),
        under_way: Amount::default(),
        frozen: Amount::default(),
        read_micros: None,
        days_min,
        young: Amount::default(),
        young_micros: price.map(|_| Micros::default()),
    };
    for pack in packs {
        match pack.state {
            State::Ready(_) => plan.ready.add(pack),
            State::UnderWay => plan.under_way.add(pack),
            State::Frozen => plan.frozen.add(pack),
            State::Missing => {}
        }
        let age_days = now.duration_since(pack.modified).as_hours().div_euclid(24);
        let left = i64::from(days_min.unwrap_or(0)) - age_days;
        if let (Some(price), Ok(left @ 1..)) = (price, u32::try_from(left)) {
            plan.young.add(pack);
            let fee = price.storage_gb.of_storing(pack.len, left);
            plan.young_micros = plan.young_micros.map(|sum| sum.plus(fee));
        }
    }
    plan.read_micros = price.map(|price| price.read_gb.of_bytes(plan.ready.len));
    plan
}

/// Returns the tiers that every class with frozen packs has.
fn tiers(
    by_class: &BTreeMap<StorageClass, Vec<&Pack>>,
    needed_len: u64,
    days: u32,
    prices: &PriceTable,
) -> Vec<TierPlan> {
    let mut frozen: BTreeMap<StorageClass, Amount> = BTreeMap::new();
    for pack in by_class.values().flatten().filter(|pack| pack.state == State::Frozen) {
        frozen.entry(pack.class).or_default().add(pack);
    }
    let has_tier = |tier| frozen.keys().all(|class| tiers_of(*class).contains(&tier));
    let offered = ThawTier::ALL.into_iter().filter(|tier| !frozen.is_empty() && has_tier(*tier));
    offered
        .map(|tier| {
            let minutes = frozen.keys().map(|class| prices.minutes(*class, tier)).max();
            let price = cost(&frozen, needed_len, tier, days, prices);
            TierPlan { tier, minutes: minutes.unwrap_or(0), price }
        })
        .collect()
}

fn cost(
    frozen: &BTreeMap<StorageClass, Amount>,
    needed_len: u64,
    tier: ThawTier,
    days: u32,
    prices: &PriceTable,
) -> Option<TierCost> {
    let mut cost = TierCost::default();
    for (class, amount) in frozen {
        let price = prices.tier(*class, tier)?;
        let retrieval = price.gb.of_bytes(amount.len);
        cost.retrieval_micros = cost.retrieval_micros.plus(retrieval);
        let requests = price.requests.of_requests(amount.pack_count);
        cost.requests_micros = cost.requests_micros.plus(requests);
        let copies = prices.copy_gb.of_storing(amount.len, days);
        cost.copies_micros = cost.copies_micros.plus(copies);
    }
    cost.egress_micros = prices.egress_gb.of_bytes(needed_len);
    cost.total_micros = cost.retrieval_micros.plus(cost.requests_micros);
    cost.total_micros = cost.total_micros.plus(cost.copies_micros).plus(cost.egress_micros);
    Some(cost)
}
