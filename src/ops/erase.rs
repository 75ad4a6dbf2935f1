//! Erasing people again in a restored database, as the stack erases them. Spec: `rows.md`.
//!
//! An older dump brings back whoever was erased since. What is made here is text: SQL for `psql`,
//! to be run in the restored database before it serves anybody, and paths of files to be removed.

use std::collections::BTreeSet;
use std::fmt::Write;

use thiserror::Error;

use super::rows::ErasedPerson;
use crate::base::{Code, Coded};
use crate::format::tree::check_path;

/// An id that is none, so nothing was made of any of them.
#[derive(Debug, Error)]
#[error("erase again: {id:?} is not the id of a user")]
pub struct IdError {
    id: String,
}

impl Coded for IdError {
    fn code(&self) -> Code {
        Code::IdInvalid
    }
}

/// An id of a user, as PostgreSQL prints it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UserId(String);

impl UserId {
    /// Parses an id: hexadecimal digits in groups of 8, 4, 4, 4 and 12.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let groups: Vec<&str> = text.split('-').collect();
        let lens: Vec<usize> = groups.iter().map(|group| group.len()).collect();
        let is_hex = groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if lens != [8, 4, 4, 4, 12] || !is_hex {
            return Err(IdError { id: text.to_owned() });
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// Parses the ids of people who were erased.
    ///
    /// # Errors
    /// If one of them is not an id.
    pub fn of(people: &[ErasedPerson]) -> Result<BTreeSet<Self>, IdError> {
        people.iter().map(|person| Self::parse(&person.user_id)).collect()
    }
}

/// Makes a query that prints the path of every file of these people, one a line, as JSON strings.
///
/// It is to be run before [`erase_sql`], which takes the paths out of the database. Pictures of
/// developers belong to no user.
pub fn paths_sql(users: &BTreeSet<UserId>) -> String {
    let mut sql = begin(users);
    sql.push_str(
        "SELECT to_json(file_path) FROM idswyft_vault_paths WHERE file_path IS NOT NULL;\n\
         ROLLBACK;\n",
    );
    sql
}

/// Returns the paths below the uploads of what [`paths_sql`] printed, as `psql -At` prints it.
///
/// Objects in S3 and anything else that lies outside the uploads are left out.
pub fn tree_paths(printed: &str) -> Vec<Vec<u8>> {
    let paths = printed.lines().filter_map(|line| {
        let text: String = serde_json::from_str(line).ok()?;
        let path = text.strip_prefix("uploads/")?.as_bytes().to_vec();
        (!path.is_empty() && check_path(&path).is_ok()).then_some(path)
    });
    paths.collect()
}

/// Makes a script that erases these people in one transaction: all of it holds, or nothing does.
///
/// Tables and columns that an older schema lacks are passed over. It is safe to be run again.
pub fn erase_sql(users: &BTreeSet<UserId>) -> String {
    let mut sql = begin(users);
    sql.push_str(include_str!("erase.sql"));
    sql.push_str("COMMIT;\n");
    sql
}

/// Begins a transaction that knows the users, their verifications, and the paths of their files.
fn begin(users: &BTreeSet<UserId>) -> String {
    let mut sql = "BEGIN;\nCREATE TEMP TABLE idswyft_vault_users (id uuid PRIMARY KEY)\n\
        \x20   ON COMMIT DROP;\n"
        .to_owned();
    for UserId(id) in users {
        // Digits and hyphens only: nothing in it can end the string.
        writeln!(sql, "INSERT INTO idswyft_vault_users VALUES ('{id}');")
            .expect("writing to a string does not fail");
    }
    sql.push_str(include_str!("erase-begin.sql"));
    sql
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_below_the_uploads_are_removed() {
        let printed = "BEGIN\n\"uploads/documents/a\\nb\"\n\"uploads/../x\"\n\"documents/a\"\n\
            \"uploads/\"\nROLLBACK\n\"uploads/selfies/ä\"\n";
        let paths = tree_paths(printed);
        assert_eq!(paths, [b"documents/a\nb".as_slice(), "selfies/ä".as_bytes()]);
    }

    ///
    #[test]
    fn nothing_but_an_id_comes_into_the_script() {
        let id = "6E79A5E6-a98c-6d8f-3558-77c9d14a3356";
        let parsed = UserId::parse(id).unwrap();
        assert!(erase_sql(&BTreeSet::from([parsed])).contains(&format!("'{}'", id.to_lowercase())));
        for bad in ["", "x", "'); DROP TABLE users; --", &id[1..], &format!("{id}0"), "é"] {
            assert_eq!(UserId::parse(bad).unwrap_err().code(), Code::IdInvalid, "{bad}");
        }
        assert!(UserId::parse("6e79a5e6-a98c-6d8f-3558-77c9d14a33'6").is_err());
        let person = ErasedPerson { user_id: "\\N".to_owned(), verification_ids: Vec::new() };
        assert!(UserId::of(&[person]).is_err());
    }
}
