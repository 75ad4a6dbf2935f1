//! `keygen`: a new identity in a file of its own; its recipient is the result.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::base::{Code, Coded};
use crate::cli::args::KeygenArgs;
use crate::cli::passphrase::new_passphrase;
use crate::cli::report::{Ending, Failure};
use crate::cli::session::Session;
use crate::crypto::identity::NewIdentity;

/// Only its owner reads an identity.
const MODE: u32 = 0o600;

#[derive(Debug, Error)]
#[error("write {}: it exists", path.display())]
struct ExistsError {
    path: PathBuf,
}

impl Coded for ExistsError {
    fn code(&self) -> Code {
        Code::FileExists
    }
}

/// Writes a new identity to a new file and prints its recipient.
///
/// # Errors
/// If the file exists or cannot be written, or there is no passphrase; then no file is left.
pub fn run(args: &KeygenArgs, session: &Session) -> Result<Ending, Failure> {
    let path = &args.output;
    let name = path.display().to_string();
    // Before anything is typed; what decides is that the file is created and never replaced.
    if path.symlink_metadata().is_ok() {
        return Err(ExistsError { path: path.clone() }.into());
    }
    let identity = NewIdentity::generate(session.clock.now());
    let bytes = if args.no_passphrase {
        Zeroizing::new(identity.file.as_bytes().to_vec())
    } else {
        Zeroizing::new(identity.protect(new_passphrase(&name)?)?)
    };
    write_new(path, &bytes)?;
    let protected = !args.no_passphrase;
    session.report.note(&format!("wrote the identity to {name}; keep a copy in a safe place"));
    if !protected {
        session.report.note("it is not protected: whoever reads it can open the archive");
    }
    let recipient = &identity.recipient;
    let object = json!({ "recipient": recipient, "identity": name, "protected": protected });
    session.report.result(object, &[], || format!("{recipient}\n"))?;
    Ok(Ending::Done)
}

/// Makes the failure of a file that is there already.
pub(super) fn exists(path: &Path) -> Failure {
    ExistsError { path: path.to_owned() }.into()
}

/// Creates a file that only its owner reads; leaves none if it cannot be written whole.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |error| Failure::system(format!("write {}", path.display()), error);
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(MODE).open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(ExistsError { path: path.to_owned() }.into());
        }
        opened => opened.map_err(failed)?,
    };
    let written =
        file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| sync_parent(path));
    written.map_err(|error| {
        // It is ours: this call created it, and half an identity opens nothing.
        let _ = std::fs::remove_file(path);
        failed(error)
    })
}

/// Makes the file's name durable.
fn sync_parent(path: &Path) -> std::io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::crypto::identity::{DataIdentities, NoPassphrase};
    use crate::crypto::recipient::DataRecipients;

    fn args(path: &Path) -> KeygenArgs {
        KeygenArgs { output: path.to_owned(), no_passphrase: true }
    }

    #[test]
    fn an_identity_is_private_opens_what_is_sealed_to_it_and_is_never_overwritten() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("operator.key");
        let session = Session::silent();
        assert_eq!(run(&args(&path), &session).unwrap(), Ending::Done);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);

        let text = std::fs::read_to_string(&path).unwrap();
        let recipient = text.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
        let recipients = DataRecipients::parse(&[recipient]).unwrap();
        let sealed = recipients.seal(b"secret", &NoPassphrase).unwrap();
        let identities = DataIdentities::parse("x", text.as_bytes(), &NoPassphrase).unwrap();
        assert_eq!(identities.open("x", &sealed[0]).unwrap().as_slice(), b"secret");

        assert_eq!(run(&args(&path), &session).unwrap_err().code(), Code::FileExists);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_not_followed() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("operator.key");
        std::os::unix::fs::symlink(scratch.path().join("elsewhere"), &path).unwrap();
        assert_eq!(write_new(&path, b"x").unwrap_err().code(), Code::FileExists);
        let error = run(&args(&path), &Session::silent()).unwrap_err();
        assert_eq!(error.code(), Code::FileExists);
        assert!(!scratch.path().join("elsewhere").exists());
    }
}
