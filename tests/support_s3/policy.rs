//! Judges calls by policy documents as IAM does: by as much of it as `spec/policies` has.
//!
//! A document with an element, an effect or a condition that is not known here does not parse, so
//! that no test passes because a part of it was left out.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A document.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Policy {
    version: String,
    statement: Vec<Statement>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Statement {
    #[serde(rename = "Sid")]
    _name: String,
    effect: Effect,
    principal: Option<String>,
    action: Vec<String>,
    resource: Vec<String>,
    #[serde(default)]
    condition: BTreeMap<Operator, BTreeMap<String, Values>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Effect {
    Allow,
    Deny,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
enum Operator {
    Null,
    Bool,
    StringEquals,
    StringLike,
    NumericGreaterThan,
    NumericLessThanEquals,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Values {
    One(String),
    Several(Vec<String>),
}

/// Something that somebody would do to something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// What, such as `s3:PutObject`.
    pub action: &'static str,
    /// To what, such as `arn:aws:s3:::bucket/prefix/vault/1.note`.
    pub resource: String,
    /// What is known of it, by the keys of conditions in lowercase.
    pub context: BTreeMap<&'static str, String>,
}

impl Policy {
    /// Reads a document.
    pub fn parse(text: &str) -> Self {
        let policy: Self = serde_json::from_str(text).expect("every element is known");
        assert_eq!(policy.version, "2012-10-17");
        for statement in &policy.statement {
            assert!(statement.principal.as_deref().is_none_or(|who| who == "*"), "{statement:?}");
        }
        policy
    }

    fn effects<'a>(&'a self, ask: &'a Ask) -> impl Iterator<Item = Effect> + 'a {
        let matching = self.statement.iter().filter(|statement| statement.is_about(ask));
        matching.map(|statement| statement.effect)
    }
}

/// Tells whether documents together allow something: one must, and none may deny it.
pub fn allows(policies: &[&Policy], ask: &Ask) -> bool {
    let effects: Vec<Effect> = policies.iter().flat_map(|policy| policy.effects(ask)).collect();
    effects.contains(&Effect::Allow) && !effects.contains(&Effect::Deny)
}

impl Statement {
    fn is_about(&self, ask: &Ask) -> bool {
        let action = ask.action.to_lowercase();
        self.action.iter().any(|pattern| is_like(&pattern.to_lowercase(), &action))
            && self.resource.iter().any(|pattern| is_like(pattern, &ask.resource))
            && self.condition.iter().all(|(operator, keys)| {
                keys.iter().all(|(key, values)| {
                    let found = ask.context.get(key.to_lowercase().as_str());
                    operator.holds(found.map(String::as_str), values.all())
                })
            })
    }
}

impl Values {
    fn all(&self) -> &[String] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Several(values) => values,
        }
    }
}

impl Operator {
    /// Tells whether it holds for one of several values; without a key only `Null` can.
    fn holds(self, found: Option<&str>, values: &[String]) -> bool {
        let number = |text: &str| text.parse::<i64>().expect("it is a whole number");
        values.iter().any(|value| match (self, found) {
            (Self::Null, found) => found.is_none() == (value == "true"),
            (_, None) => false,
            (Self::Bool | Self::StringEquals, Some(found)) => found == value,
            (Self::StringLike, Some(found)) => is_like(value, found),
            (Self::NumericGreaterThan, Some(found)) => number(found) > number(value),
            (Self::NumericLessThanEquals, Some(found)) => number(found) <= number(value),
        })
    }
}

/// Tells whether a text is like a pattern, in which `*` stands for anything.
fn is_like(pattern: &str, text: &str) -> bool {
    assert!(!pattern.contains('?'), "no document has that: {pattern}");
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(left) = text.strip_prefix(start) else { return false };
    (0..=left.len()).any(|at| left.is_char_boundary(at) && is_like(rest, &left[at..]))
}
