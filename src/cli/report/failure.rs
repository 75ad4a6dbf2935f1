//! Why a command failed, whichever module it comes from.

use std::error::Error;

use serde_json::{Value, json};

use crate::base::{Code, Coded, Family};

/// An error with its code; every typed error becomes one by `?`.
#[derive(Debug)]
pub struct Failure {
    code: Code,
    error: Box<dyn Error + Send + Sync>,
}

/// Something that the operating system refused and no lower module has a word for.
#[derive(Debug, thiserror::Error)]
#[error("{action}")]
pub struct SystemError {
    action: String,
    source: std::io::Error,
}

impl SystemError {
    /// Makes an error of what was being done and why the system refused it.
    pub fn new(action: impl Into<String>, source: std::io::Error) -> Self {
        Self { action: action.into(), source }
    }
}

impl Coded for SystemError {
    fn code(&self) -> Code {
        Code::SystemFailed
    }
}

impl<E: Coded> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { code: error.code(), error: Box::new(error) }
    }
}

impl Failure {
    /// Makes a failure of what was being done and why the system refused it.
    pub fn system(action: impl Into<String>, source: std::io::Error) -> Self {
        SystemError::new(action, source).into()
    }

    /// Returns its code.
    pub const fn code(&self) -> Code {
        self.code
    }

    /// Returns the error's text and those of its causes, without repetitions.
    pub fn chain(&self) -> Vec<String> {
        let mut texts = vec![self.error.to_string()];
        let mut next = self.error.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            // Foreign errors often print their cause themselves.
            if !texts.iter().any(|said| said.ends_with(&text)) {
                texts.push(text);
            }
            next = cause.source();
        }
        texts
    }

    /// Returns the `error` object of `--json`.
    pub fn to_json(&self) -> Value {
        json!({
            "code": self.code.text(),
            "family": family_text(self.code.family()),
            "message": format!("failed to {}", self.chain().join(": ")),
            "hint": self.code.hint(),
        })
    }
}

const fn family_text(family: Family) -> &'static str {
    match family {
        Family::Damaged => "damaged",
        Family::Refused => "refused",
        Family::Unavailable => "unavailable",
        Family::Misuse => "misuse",
        Family::Unsupported => "unsupported",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer: {source}")]
    struct Outer {
        source: Inner,
    }

    #[derive(Debug, thiserror::Error)]
    #[error("inner")]
    struct Inner(#[source] std::io::Error);

    impl Coded for Outer {
        fn code(&self) -> Code {
            Code::Locked
        }
    }

    #[test]
    fn a_cause_that_its_error_prints_is_not_repeated() {
        let failure = Failure::from(Outer { source: Inner(std::io::Error::other("deep")) });
        assert_eq!(failure.chain(), ["outer: inner", "deep"]);
        let object = failure.to_json();
        assert_eq!(object["message"], "failed to outer: inner: deep");
        assert_eq!(
            (object["code"].as_str(), object["family"].as_str()),
            (Some("locked"), Some("unavailable"))
        );
    }
}
