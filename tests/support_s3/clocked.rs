//! A MiniStack of one test's own, whose clock the test moves.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::Addresses;

/// A server that is stopped with the value.
pub struct Clocked {
    dir: TempDir,
    addresses: Addresses,
}

impl Clocked {
    /// Starts one; none where there are no servers, which fails where `CI` is set.
    pub fn start() -> Option<Self> {
        // What says whether servers may be started says it for this one too.
        Addresses::of_this_run()?;
        let dir = tempfile::Builder::new().prefix("s3").tempdir().unwrap();
        servers("start", dir.path());
        let addresses = Addresses::below(dir.path());
        Some(Self { dir, addresses })
    }

    /// Returns where it listens.
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Moves its clock to so much after the system's, such as `+13h` or `+9d`.
    pub fn set_clock(&self, offset: &str) {
        // In one write, because it may be read at any moment.
        std::fs::write(self.addresses.clock_file(), format!("{offset}\n")).unwrap();
    }
}

impl Drop for Clocked {
    fn drop(&mut self) {
        servers("stop", self.dir.path());
    }
}

fn servers(action: &str, dir: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/s3/servers");
    let output = Command::new(script).arg(action).arg(dir).arg("ministack").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
