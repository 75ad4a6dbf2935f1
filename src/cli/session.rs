//! What every command works with: the global options and the outside.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::args::GlobalArgs;
use super::config::{CONFIG_VARIABLE, Config, ConfigError};
use super::passphrase::Terminal;
use super::progress::Progress;
use super::report::{Failure, Report};
use crate::base::limits::IDENTITY_FILE_LEN_MAX;
use crate::base::{Clock, Code, Coded, Entropy, OpenGate, SystemClock, SystemEntropy};
use crate::crypto::identity::DataIdentities;
use crate::vault::Outside;

/// The environment variable that names an identity file where no option does.
pub const IDENTITY_VARIABLE: &str = "IDSWYFT_VAULT_IDENTITY";

/// One run of the program.
pub struct Session {
    /// The options that every command takes.
    pub global: GlobalArgs,
    /// Says things.
    pub report: Report,
    /// Listens to the library and keeps its warnings.
    pub progress: Arc<Progress>,
    /// Takes passphrases.
    pub ask: Terminal,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Draws random bytes.
    pub entropy: Arc<dyn Entropy>,
}

/// Why a command that needs an identity has none.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// None was given.
    #[error("{action}: no identity is given")]
    NotGiven {
        /// What it is needed for.
        action: &'static str,
    },
    /// A file that was given cannot be read.
    #[error("read identity file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Coded for IdentityError {
    fn code(&self) -> Code {
        Code::IdentityMissing
    }
}

impl Session {
    /// Makes the session of a command line, with the real environment, clock and entropy.
    pub fn new(mut global: GlobalArgs) -> Self {
        global.config = global.config.or_else(|| path_in(CONFIG_VARIABLE));
        if global.identity.is_empty() {
            global.identity.extend(path_in(IDENTITY_VARIABLE));
        }
        let report = Report::new(&global);
        Self {
            report,
            progress: Arc::new(Progress::new(report)),
            ask: Terminal,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            global,
        }
    }

    /// Returns the time and the randomness that a vault works with.
    pub fn outside(&self) -> Outside {
        Outside {
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            gate: OpenGate::shared(),
        }
    }

    /// Reads the config that the options name, else the one that is found.
    ///
    /// # Errors
    /// If there is none or it is wrong.
    pub fn config(&self) -> Result<Config, ConfigError> {
        Config::find(self.global.config.as_deref())
    }

    /// Reads the identity files that the options name; asks for their passphrases.
    ///
    /// # Errors
    /// If none is named, or one cannot be read or opened. `action` says what it is needed for.
    pub fn identities(&self, action: &'static str) -> Result<DataIdentities, Failure> {
        self.read_identities(&self.global.identity, action)
    }

    /// Reads identity files; asks for their passphrases.
    ///
    /// # Errors
    /// As [`Self::identities`].
    pub fn read_identities(
        &self,
        paths: &[PathBuf],
        action: &'static str,
    ) -> Result<DataIdentities, Failure> {
        let mut all: Option<DataIdentities> = None;
        for path in paths {
            let bytes = read_identity(path)
                .map_err(|source| IdentityError::Unreadable { path: path.clone(), source })?;
            let name = path.display().to_string();
            let identities = DataIdentities::parse(&name, &bytes, &self.ask)?;
            match &mut all {
                Some(earlier) => earlier.extend(identities),
                None => all = Some(identities),
            }
        }
        all.ok_or_else(|| IdentityError::NotGiven { action }.into())
    }

    /// Makes a session that says nothing and has no options, for tests.
    #[cfg(test)]
    pub fn silent() -> Self {
        let identity = Vec::new();
        let global = GlobalArgs { config: None, vault: None, identity, json: false, quiet: true };
        let mut session = Self::new(global);
        session.global.identity.clear();
        session
    }
}

/// Returns the path in an environment variable; one that is empty is as good as none.
fn path_in(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn read_identity(path: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(path)?.take(IDENTITY_FILE_LEN_MAX + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len > IDENTITY_FILE_LEN_MAX) {
        let reason = format!("it has more than {IDENTITY_FILE_LEN_MAX} bytes");
        return Err(std::io::Error::other(reason));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::identity::NewIdentity;

    #[test]
    fn identities_are_needed_readable_and_short() {
        let mut session = Session::silent();
        let failure = |session: &Session| session.identities("restore").err().unwrap();
        assert_eq!(failure(&session).code().exit(), 6);
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("k");
        session.global.identity = vec![path.clone()];
        assert_eq!(failure(&session).code(), Code::IdentityMissing);
        std::fs::write(&path, vec![b'#'; 1024 * 1024 + 1]).unwrap();
        assert!(failure(&session).chain().concat().contains("more than 1048576 bytes"));
        std::fs::write(&path, "not an identity\n").unwrap();
        assert_eq!(failure(&session).code(), Code::IdentityInvalid);
        let new = NewIdentity::generate(session.clock.now());
        std::fs::write(&path, new.file.as_bytes()).unwrap();
        assert!(session.identities("restore").is_ok());
    }
}
