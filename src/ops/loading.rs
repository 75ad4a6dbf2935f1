//! Whether a dump may be given to `psql` at all.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::Error;
use crate::base::limits::WINDOW_LEN;
use crate::source::DumpScanner;

/// Refuses a dump with backslash commands other than those that `pg_dump` writes.
///
/// `psql` carries them out where it runs: whoever could sign a snapshot would run programs there.
///
/// # Errors
/// If there is one, or the file cannot be read or is no dump.
pub fn check_commands(dump: &Path) -> Result<(), Error> {
    let wrap = |cause| Error::file("read", dump, cause);
    let mut file = File::open(dump).map_err(wrap)?;
    let (mut scanner, mut window) = (DumpScanner::new(), vec![0; WINDOW_LEN]);
    loop {
        match file.read(&mut window).map_err(wrap)? {
            0 => break,
            len => scanner.feed(&window[..len]),
        }
    }
    match scanner.finish()?.command_count {
        0 => Ok(()),
        count => Err(Error::DumpCommands { count }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Code, Coded};

    ///
    #[test]
    fn a_dump_that_would_run_programs_is_not_given_to_psql() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db.sql");
        let dump = |inner: &str| {
            format!(
                "--\n-- PostgreSQL database dump\n--\n\n\\restrict k\n{inner}\n--\n\
                 -- PostgreSQL database dump complete\n--\n\n\\unrestrict k\n"
            )
        };
        let data = "COPY public.t (a) FROM stdin;\n\\\\! echo row\n\\.\n";
        std::fs::write(&path, dump(data)).unwrap();
        check_commands(&path).unwrap();
        for command in
            ["\\! touch /tmp/x", "SELECT 1 \\g |sh\n;", "\\i /etc/passwd", "\\copy t from 'x'"]
        {
            std::fs::write(&path, dump(command)).unwrap();
            assert_eq!(check_commands(&path).unwrap_err().code(), Code::DumpCommands, "{command}");
        }
    }
}
