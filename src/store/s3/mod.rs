//! `s3://` stores. Spec: `stores.md`.

mod settings;

pub use settings::S3Settings;
