//! The `idswyft-vault` program.

fn main() -> std::process::ExitCode {
    idswyft_vault::ops::threads::limit();
    idswyft_vault::cli::run()
}
