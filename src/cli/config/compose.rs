//! A first config, written from the options of `init`.

use std::fmt::Write;
use std::path::PathBuf;

/// What `init` was told; what it was not told is in the config as a comment.
#[derive(Debug, Clone)]
pub struct ConfigFlags {
    /// The directory of keys and manifests; absolute.
    pub state_dir: PathBuf,
    /// To whom everything is sealed.
    pub recipients: Vec<String>,
    /// The vault's name.
    pub vault: String,
    /// URL of its first store.
    pub store: String,
    /// How many daily snapshots are kept; all if it is not given.
    pub keep_daily: Option<u32>,
    /// The dump command, if the database is archived by one.
    pub dump_argv: Vec<String>,
    /// The database's URL, if it is archived by the host's `pg_dump`.
    pub database_url: Option<String>,
    /// The uploads' directory; absolute.
    pub uploads: Option<PathBuf>,
}

/// Returns a commented config that says what the options said.
///
/// # Panics
/// Never: writing to a string does not fail.
pub fn compose_config(flags: &ConfigFlags) -> String {
    let mut text = String::new();
    write_all(&mut text, flags).expect("writing to a string does not fail");
    text
}

fn write_all(out: &mut String, flags: &ConfigFlags) -> std::fmt::Result {
    let state_dir = quote(&flags.state_dir.to_string_lossy());
    writeln!(out, "# Keys and manifests of this host. It must not be inside a store.")?;
    writeln!(out, "state_dir = {state_dir}")?;
    writeln!(out, "# Who can restore: what `idswyft-vault keygen` prints.")?;
    writeln!(out, "recipients = {}\n", quote_all(&flags.recipients))?;
    writeln!(out, "[[vault]]\nname = {}", quote(&flags.vault))?;
    writeln!(out, "# Without a keep rule every snapshot stays.")?;
    match flags.keep_daily {
        Some(count) => writeln!(out, "keep_daily = {count}")?,
        None => writeln!(out, "# keep_daily = 30")?,
    }
    writeln!(out, "# keep_monthly = 12")?;
    writeln!(out, "# floor = \"7d\"    # nothing goes before this age")?;
    writeln!(out, "# ceiling = \"1y\"  # everything goes at this age")?;
    writeln!(out, "[[vault.store]]\nname = \"local\"\nurl = {}\n", quote(&flags.store))?;
    write_database(out, flags)?;
    match &flags.uploads {
        Some(path) => {
            let path = quote(&path.to_string_lossy());
            writeln!(out, "[sources.uploads]\nkind = \"path\"\npath = {path}")
        }
        None => writeln!(out, "# [sources.uploads]\n# kind = \"path\"\n# path = \"/srv/uploads\""),
    }
}

fn write_database(out: &mut String, flags: &ConfigFlags) -> std::fmt::Result {
    if !flags.dump_argv.is_empty() {
        writeln!(out, "# It must write a plain-format dump to its standard output.")?;
        let argv = quote_all(&flags.dump_argv);
        return writeln!(out, "[sources.database]\nkind = \"command\"\nargv = {argv}\n");
    }
    if let Some(url) = &flags.database_url {
        let url = quote(url);
        return writeln!(out, "[sources.database]\nkind = \"local\"\nurl = {url}\n");
    }
    writeln!(out, "# [sources.database]\n# kind = \"local\"\n# url = \"postgresql:///idswyft\"\n")
}

fn quote(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn quote_all(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| quote(text)).collect();
    format!("[{}]", texts.join(", "))
}
