//! Which policy was in force when. Spec: `retention.md` §1, `compliance.md` §1.

use jiff::Timestamp;

use super::period::Period;
use super::retention::Policy;

/// The policies that a vault ever had, each with the time from which it was in force.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PolicyTimes(Vec<(Timestamp, Policy)>);

impl PolicyTimes {
    /// Takes policies, the first one first.
    pub const fn new(policies: Vec<(Timestamp, Policy)>) -> Self {
        Self(policies)
    }

    /// Returns the number of the policy that was in force at a time, from 0: the first counts for
    /// all that was before it.
    pub fn index_at(&self, time: Timestamp) -> usize {
        self.0.iter().rposition(|(since, _)| *since < time).unwrap_or(0)
    }

    /// Returns the policy that was in force at a time.
    pub fn at(&self, time: Timestamp) -> Option<&Policy> {
        self.0.get(self.index_at(time)).map(|(_, policy)| policy)
    }

    /// Returns the period of which one snapshot is admitted, at a time.
    pub fn every_at(&self, time: Timestamp) -> Option<Period> {
        self.at(time).and_then(Policy::every)
    }

    /// Returns before which time what began at a time may not go, as it was at `now`. `promised` is
    /// what its note says; where that is gone, it is what the policy gave that was in force then.
    pub fn floor_of(
        &self,
        begins: Timestamp,
        promised: Option<Option<Timestamp>>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let given = || self.at(begins).and_then(|policy| policy.floor_at(begins));
        let promised = promised.unwrap_or_else(given);
        floor_among(self.at(now)?, self.0.iter().map(|(_, policy)| policy), begins, promised)
    }

    /// Returns since when what began at a time is past the ceiling of whichever policy was in
    /// force; none, if it is not by `now`.
    pub fn over_age_since(&self, begins: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let ends = self.0.iter().skip(1).map(|(since, _)| *since).chain([now]);
        let mut over = None;
        for ((since, policy), end) in self.0.iter().zip(ends) {
            let reached = policy.ceiling_at(begins).map(|ceiling| ceiling.max(*since));
            over = match (over, reached.filter(|reached| *reached < end)) {
                // It was over age already, and this policy says so from its first day on.
                (Some(known), Some(reached)) if reached == *since => Some(known),
                (_, reached) => reached,
            };
        }
        over
    }
}

/// Returns before which time something may not go: what the policy in force gives, and what its
/// note promises as far as any policy of the vault ever promised it. Who writes notes cannot keep
/// for good what must go.
pub fn floor_among<'a>(
    in_force: &Policy,
    all: impl Iterator<Item = &'a Policy>,
    begins: Timestamp,
    promised: Option<Timestamp>,
) -> Option<Timestamp> {
    let longest = all.filter_map(|policy| policy.floor_at(begins)).max();
    let promised = promised.zip(longest).map(|(floor, longest)| floor.min(longest));
    in_force.floor_at(begins).max(promised)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn times(policies: &[(&str, &str)]) -> PolicyTimes {
        let policy = |text: &str| Policy::new(toml::from_str(text).unwrap()).unwrap();
        let one = |(since, text): &(&str, &str)| (at(since), policy(text));
        PolicyTimes::new(policies.iter().map(one).collect())
    }

    /// L-5
    #[test]
    fn what_a_later_policy_lets_stay_is_not_over_age_and_a_shorter_one_counts_from_its_day() {
        let (began, now) = (at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
        let since = |policies: &[(&str, &str)]| {
            times(policies).over_age_since(began, now).map(|at| at.to_string())
        };
        let first = ("2025-01-01T00:00:00Z", "ceiling = '30d'");
        let reached = Some("2026-01-31T00:00:00Z".to_owned());
        assert_eq!(since(&[first]), reached);
        assert_eq!(since(&[first, ("2026-06-01T00:00:00Z", "ceiling = '20d'")]), reached);
        assert_eq!(since(&[first, ("2026-06-01T00:00:00Z", "ceiling = '5y'")]), None);
        assert_eq!(since(&[first, ("2026-06-01T00:00:00Z", "")]), None);
        let longer = ("2025-01-01T00:00:00Z", "ceiling = '5y'");
        let changed = Some("2026-12-31T00:00:00Z".to_owned());
        assert_eq!(since(&[longer, ("2026-12-31T00:00:00Z", "ceiling = '30d'")]), changed);
        assert_eq!(since(&[]), None);
    }

    #[test]
    fn a_policy_is_in_force_after_its_time_and_the_first_from_ever() {
        let times = times(&[
            ("2026-01-01T00:00:00Z", "every = 'month'"),
            ("2026-02-01T00:00:00Z", "every = 'day'"),
        ]);
        let every = |text| times.every_at(at(text));
        assert_eq!(every("2025-01-01T00:00:00Z"), Some(Period::Month));
        assert_eq!(every("2026-02-01T00:00:00Z"), Some(Period::Month));
        assert_eq!(every("2026-02-01T00:00:01Z"), Some(Period::Day));
        assert_eq!(PolicyTimes::default().every_at(at("2026-02-01T00:00:00Z")), None);
    }
}
