//! A generated dump, for machines without a PostgreSQL server: what `pg_dump` would write, less
//! the versions that it has none of.

use super::records::{self, Verification};

const TABLES: [&str; 6] =
    ["webhook_deliveries", "selfies", "documents", "verification_requests", "users", "developers"];

/// Statements of every dump that make the rest mean the same everywhere.
const SETTINGS: &str = "\
SET statement_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SET check_function_bodies = false;
SET client_min_messages = warning;
SET row_security = off;

";

/// Returns a plain-format dump of the whole database.
pub fn generate(all: &[Verification]) -> String {
    let mut out = String::from("--\n-- PostgreSQL database dump\n--\n\n");
    out.push_str(SETTINGS);
    for table in TABLES {
        out.push_str(&format!("DROP TABLE IF EXISTS public.{table} CASCADE;\n"));
    }
    out.push('\n');
    out.push_str(super::SCHEMA);
    out.push('\n');
    out.push_str(&records::copy_developers());
    out.push_str(&records::copy_verifications(all));
    out.push_str(super::KEYS);
    out.push_str("\n--\n-- PostgreSQL database dump complete\n--\n\n");
    out
}
