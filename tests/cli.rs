//! Transcripts of what a user sees: every file of `tests/cmd` is run and compared.
//!
//! `TRYCMD=overwrite cargo test --test cli` writes what the program says now.

#[test]
fn every_message_is_as_it_is_written_down() {
    let scratch = tempfile::tempdir().expect("a temporary directory can be made");
    trycmd::TestCases::new()
        .default_bin_name("idswyft-vault")
        // Nothing of the user's own settings may reach the program.
        .env("IDSWYFT_VAULT_CONFIG", "idswyft-vault.toml")
        .env("IDSWYFT_VAULT_PASSPHRASE", "correct horse battery staple")
        .env("HOME", scratch.path().to_string_lossy())
        .env("COLUMNS", "100")
        .env("NO_COLOR", "1")
        .case("tests/cmd/*.trycmd");
}
