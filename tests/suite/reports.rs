//! The report of a verification: its schema, and the page that is made of it. Spec: `report.md`.

mod hostile;
mod pages;
mod samples;
mod schema;
