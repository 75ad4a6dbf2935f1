//! The one place that draws random bytes for this crate's own keys, nonces and ids.
//!
//! The `age` crate draws itself what it needs to seal to data recipients.

use std::sync::OnceLock;

/// Draws random bytes, so that tests can choose them.
pub trait Entropy: Send + Sync {
    /// Fills `bytes` with random bytes.
    fn fill(&self, bytes: &mut [u8]);
}

/// The operating system's random generator.
#[derive(Debug, Clone, Copy)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system provides entropy once it has booted");
    }
}

/// Draws `N` random bytes.
pub fn draw<const N: usize>(entropy: &dyn Entropy) -> [u8; N] {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    bytes
}

/// Returns what names of this process's temporary files carry: two machines that share a directory
/// may run processes of one number.
pub fn process_tag() -> &'static str {
    static TAG: OnceLock<String> = OnceLock::new();
    TAG.get_or_init(|| {
        let random: [u8; 4] = draw(&SystemEntropy);
        format!("{}-{:08x}", std::process::id(), u32::from_be_bytes(random))
    })
}
