//! Databases without a name, for as long as one operation runs.
//!
//! Nothing of them outlives the program, and a crash corrupts nothing that matters: so they keep no
//! journal and sync nothing.

use std::path::Path;

use rusqlite::Connection;

use super::Error;

/// Makes an empty database in a directory, with so much memory for its pages.
pub(super) fn create(
    dir: &Path,
    prefix: &str,
    cache_kib: i64,
    schema: &str,
) -> Result<Connection, Error> {
    let made = tempfile::Builder::new().prefix(prefix).tempfile_in(dir);
    let file = made.map_err(|cause| {
        let (path, action) = (dir.to_owned(), "create a scratch file for");
        Error::File { path, action, cause }
    })?;
    let prepare = || {
        let connection = Connection::open(file.path())?;
        connection.pragma_update(None, "journal_mode", "OFF")?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        connection.pragma_update(None, "cache_size", -cache_kib)?;
        connection.execute_batch(schema)?;
        Ok(connection)
    };
    let connection = prepare().map_err(|cause| Error::new(dir, "prepare", cause))?;
    // From here on it ends with the connection, whatever ends that.
    drop(file);
    Ok(connection)
}
