//! Rows and the files that they name, through whole snapshots and restores.

mod erase;
mod erased;
mod files;

use std::fmt::Write;

use crate::support::vault::TestVault;

/// The rows of a dump like the stack's.
#[derive(Default)]
pub struct StackDump {
    /// Paths and sizes.
    pub documents: Vec<(String, u64)>,
    /// Rows of documents without a path.
    pub null_count: usize,
    /// Paths and sizes.
    pub selfies: Vec<(String, u64)>,
    /// Pictures of developers, and logos.
    pub developers: Vec<(String, String)>,
    /// Verifications, users, and reasons.
    pub verifications: Vec<(String, String, String)>,
}

impl StackDump {
    /// Writes the dump where the vault's command reads it.
    pub fn write(&self, vault: &TestVault) {
        std::fs::write(vault.path("db.sql"), self.text()).unwrap();
    }

    /// Returns the dump.
    pub fn text(&self) -> String {
        let mut text = "--\n-- PostgreSQL database dump\n--\n\n".to_owned();
        let file = |(path, size): &(String, u64)| format!("{size}\tx\t{path}\n");
        let null = "1\tx\t\\N\n".repeat(self.null_count);
        for (table, rows) in [
            ("documents (file_size, file_name, file_path)", (&self.documents, null)),
            ("selfies (file_size, file_name, file_path)", (&self.selfies, String::new())),
        ] {
            let (rows, null) = rows;
            let rows: String = rows.iter().map(file).collect();
            write!(text, "COPY public.{table} FROM stdin;\n{rows}{null}\\.\n\n").unwrap();
        }
        let row = |(avatar, logo): &(String, String)| format!("1\t{avatar}\t{logo}\n");
        let rows: String = self.developers.iter().map(row).collect();
        let table = "developers (id, avatar_url, branding_logo_url)";
        write!(text, "COPY public.{table} FROM stdin;\n{rows}\\.\n\n").unwrap();
        let row = |(id, user, reason): &(String, String, String)| {
            format!("{id}\t{user}\tverified\t{reason}\n")
        };
        let rows: String = self.verifications.iter().map(row).collect();
        let table = "verification_requests (id, user_id, status, manual_review_reason)";
        write!(text, "COPY public.{table} FROM stdin;\n{rows}\\.\n\n").unwrap();
        text + "--\n-- PostgreSQL database dump complete\n--\n\n"
    }

    /// Adds a verification; an empty user or reason is null.
    pub fn verification(&mut self, id: &str, user: &str, reason: &str) {
        let or_null = |text: &str| if text.is_empty() { "\\N" } else { text }.to_owned();
        self.verifications.push((id.to_owned(), or_null(user), or_null(reason)));
    }
}
