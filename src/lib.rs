//! idswyft-vault: the encrypted, deduplicating archive store for self-hosted Idswyft.
//!
//! The normative format is `spec/vault-v1.md`. Layers, each naming only strictly lower ones:
//!
//! ```text
//! 0 base    limits · id · clock · entropy · event          no I/O
//! 1 pure    crypto · chunk · format · policy               bytes in, bytes out
//! 2 edges   store · source · manifest                      the only I/O
//! 3 vault   Auditor | Writer | Unlocked                    composes 1 + 2
//! 4 ops     snapshot · restore · verify · init …
//! 5 cli     one file a command; words, colours, exit codes
//! ```

pub mod base;
pub mod chunk;
pub mod cli;
pub mod crypto;
pub mod format;
pub mod manifest;
pub mod ops;
pub mod policy;
pub mod source;
pub mod store;
pub mod vault;
