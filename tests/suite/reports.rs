//! The report of a verification: its schema, and the page that is made of it, as text and as a
//! browser shows it. Spec: `report.md`.

mod accessible;
mod browser;
mod hostile;
mod looks;
mod pages;
mod samples;
mod schema;
mod shown;
