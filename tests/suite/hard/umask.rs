//! Everything is private, whatever the umask.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::program::{Program, Ran};

/// V-142, V-178
#[test]
fn store_state_and_kit_are_private_whatever_the_umask() {
    for umask in ["000", "022", "077"] {
        let program = Program::new();
        for name in ["a.jpg", "b/c.jpg"] {
            program.write(name, name.as_bytes());
            let path = program.path("uploads").join(name);
            fs::set_permissions(path, PermissionsExt::from_mode(0o666)).unwrap();
        }
        fs::remove_file(program.path("operator.key")).unwrap();
        let run = |args: &[&str]| {
            let inner = program.command(args);
            let mut command = std::process::Command::new("sh");
            command.args(["-c", &format!("umask {umask}; exec \"$@\""), "sh"]);
            command.arg(inner.get_program()).args(inner.get_args());
            for (name, value) in inner.get_envs() {
                match value {
                    Some(value) => command.env(name, value),
                    None => command.env_remove(name),
                };
            }
            let ran = Ran::of(command.current_dir(program.dir.path()).output().unwrap());
            assert_eq!(ran.code, 0, "umask {umask}: {ran:?}");
            ran.stdout.trim().to_owned()
        };
        let recipient = run(&["keygen", "--no-passphrase", "-o", "operator.key"]);
        program.configure(&[&recipient], "", &program.usual_sources());
        run(&["init", "--kit", "kit"]);
        for _ in 0..2 {
            run(&["snapshot"]);
        }
        run(&["restore", "latest", "-i", "operator.key", "--target", "out"]);
        for name in ["store", "state", "kit", "operator.key"] {
            assert_private(&program.path(name), umask);
        }
        let mode = |path: &str| fs::metadata(program.path(path)).unwrap().permissions().mode();
        assert_eq!(mode("out") & 0o7777, 0o700, "umask {umask}");
        assert_eq!(mode("out/db.sql") & 0o7777, 0o600, "umask {umask}");
        assert_eq!(mode("out/facts.json") & 0o7777, 0o600, "umask {umask}");
        assert_eq!(mode("out/uploads/a.jpg") & 0o7777, 0o666, "umask {umask}");
        assert_eq!(mode("out/uploads"), mode("uploads"), "umask {umask}");
    }
}

fn assert_private(root: &Path, umask: &str) {
    for entry in walkdir::WalkDir::new(root) {
        let entry = entry.unwrap();
        let expected = if entry.file_type().is_dir() { 0o700 } else { 0o600 };
        let mode = entry.metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, expected, "umask {umask}: {}: {mode:o}", entry.path().display());
    }
}
