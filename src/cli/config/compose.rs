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
    /// The compose stack that is archived, where the options name nothing else.
    pub stack: Option<StackFlags>,
    /// Where the sealed secrets go, and to whom.
    pub escrow: Option<EscrowFlags>,
}

/// The compose stack that was found.
#[derive(Debug, Clone)]
pub struct StackFlags {
    /// The directory from which it was brought up; absolute.
    pub dir: PathBuf,
    /// Its project, if it was chosen among several.
    pub project: Option<String>,
}

/// The escrow that was asked for.
#[derive(Debug, Clone)]
pub struct EscrowFlags {
    /// URL of its store.
    pub store: String,
    /// To whom secrets are sealed.
    pub recipients: Vec<String>,
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
    write_uploads(out, flags)?;
    write_escrow(out, flags)
}

fn write_uploads(out: &mut String, flags: &ConfigFlags) -> std::fmt::Result {
    if let Some(path) = &flags.uploads {
        let path = quote(&path.to_string_lossy());
        return writeln!(out, "[sources.uploads]\nkind = \"path\"\npath = {path}");
    }
    if let Some(stack) = &flags.stack {
        writeln!(out, "# The volume that the api mounts at /app/backend/uploads.")?;
        writeln!(out, "[sources.uploads]\nkind = \"volume\"")?;
        write_stack(out, stack)?;
        return writeln!(out, "# read = \"helper\"     # where this host cannot read it directly");
    }
    writeln!(out, "# [sources.uploads]\n# kind = \"path\"\n# path = \"/srv/uploads\"")
}

fn write_stack(out: &mut String, stack: &StackFlags) -> std::fmt::Result {
    writeln!(out, "dir = {}", quote(&stack.dir.to_string_lossy()))?;
    match &stack.project {
        Some(project) => writeln!(out, "project = {}", quote(project)),
        None => writeln!(out, "# project = \"…\"     # where several come from that directory"),
    }
}

/// Writes the escrow, which only a stack has secrets for.
fn write_escrow(out: &mut String, flags: &ConfigFlags) -> std::fmt::Result {
    match &flags.escrow {
        Some(escrow) => {
            writeln!(out, "\n# .env, keys and certificates, sealed apart from the archive.")?;
            writeln!(out, "[escrow]\nstore = {}", quote(&escrow.store))?;
            writeln!(out, "recipients = {}", quote_all(&escrow.recipients))
        }
        None if flags.stack.is_some() => writeln!(
            out,
            "\n# Without .env a restored database cannot be read: its keys are there and nowhere \
             else.\n# They are sealed here: another disk or bucket than the store above, and other \
             recipients.\n# Until it is set, every snapshot ends with a warning.\n\
             # [escrow]\n# store = \"file:///mnt/escrow\"\n# recipients = [\"age1…\"]"
        ),
        None => Ok(()),
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
    if let Some(stack) = &flags.stack {
        writeln!(out, "# By the pg_dump of the stack's own container, found by its labels.")?;
        writeln!(out, "[sources.database]\nkind = \"compose\"")?;
        write_stack(out, stack)?;
        return writeln!(out, "# service = \"postgres\"\n");
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
