//! Error and finding codes: the family, the exit code and the hint of each. Spec: `codes.md`.

use std::fmt;

macro_rules! codes {
    ($(
        $(#[$doc:meta])*
        $name:ident = $text:literal, $family:ident, $exit:literal, $hint:literal;
    )*) => {
        /// A stable name for one kind of error, warning or finding.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// Every code, in the order of `spec/codes.md`.
            pub const ALL: &'static [Code] = &[$(Code::$name),*];

            /// Returns the code as printed, such as `object-altered`.
            pub const fn text(self) -> &'static str {
                match self { $(Code::$name => $text),* }
            }

            /// Returns whose fault it is.
            pub const fn family(self) -> Family {
                match self { $(Code::$name => Family::$family),* }
            }

            /// Returns the exit code of a command that fails with it.
            pub const fn exit(self) -> u8 {
                match self { $(Code::$name => $exit),* }
            }

            /// Returns what to do next.
            pub const fn hint(self) -> &'static str {
                match self { $(Code::$name => $hint),* }
            }
        }
    };
}

mod table;

pub use table::Code;

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// An error that has a code.
pub trait Coded: std::error::Error + Send + Sync + 'static {
    /// Returns its code.
    fn code(&self) -> Code;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_every_one_has_a_hint() {
        let mut texts: Vec<_> = Code::ALL.iter().map(|code| code.text()).collect();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), Code::ALL.len());
        assert!(Code::ALL.iter().all(|code| !code.hint().is_empty() && code.exit() <= 8));
    }
}
