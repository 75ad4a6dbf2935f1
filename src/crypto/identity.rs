//! Identities: the operator's, which open generation files, and a generation's own. Spec: §5.

use std::io::BufReader;
use std::str::FromStr;

use age::secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::Error;
use super::error::words_of;
use super::seal::SealingRecipient;
use crate::base::Digest;
use crate::base::limits::SCRYPT_WORK_FACTOR_MAX;
use crate::base::{Entropy, entropy};

/// Asks a person, or the environment, for what a key needs.
pub trait AskPassphrase: Clone + Send + Sync + 'static {
    /// Returns the passphrase for what `description` names, or `None` if there is nobody to ask.
    fn passphrase(&self, description: &str) -> Option<SecretString>;

    /// Shows a plugin's message, such as a request to touch a token.
    fn message(&self, text: &str);
}

/// Has no answer to anything.
#[derive(Debug, Clone, Copy)]
pub struct NoPassphrase;

impl AskPassphrase for NoPassphrase {
    fn passphrase(&self, _description: &str) -> Option<SecretString> {
        None
    }

    fn message(&self, _text: &str) {}
}

/// The operator's identities, ready to open generation files.
pub struct DataIdentities {
    all: Vec<Box<dyn age::Identity + Send + Sync>>,
    /// Those of `all` that are X25519: one may be a generation's own, handed out.
    native: Vec<age::x25519::Identity>,
}

impl DataIdentities {
    /// Parses the bytes of an age identity file: plain, or age-encrypted with a passphrase.
    ///
    /// # Errors
    /// If it is neither, or the passphrase is wrong or missing.
    pub fn parse(name: &str, bytes: &[u8], ask: &impl AskPassphrase) -> Result<Self, Error> {
        let invalid = |reason: String| Error::Identity { name: name.to_owned(), reason };
        if !bytes.starts_with(b"age-encryption.org/") {
            let file = age::IdentityFile::from_buffer(BufReader::new(bytes))
                .map_err(|_| invalid("not an age identity file".to_owned()))?
                .with_callbacks(Callbacks(ask.clone()));
            return Self::collect(name, bytes, file);
        }
        let decryptor = age::Decryptor::new(bytes).map_err(|e| invalid(e.to_string()))?;
        if !decryptor.is_scrypt() {
            return Err(invalid("it is encrypted, but not with a passphrase".to_owned()));
        }
        let passphrase = ask
            .passphrase(&format!("Passphrase for {name}"))
            .ok_or_else(|| Error::Passphrase { name: name.to_owned(), given: false })?;
        let mut scrypt = age::scrypt::Identity::new(passphrase);
        scrypt.set_max_work_factor(SCRYPT_WORK_FACTOR_MAX);
        let wrong = |_| Error::Passphrase { name: name.to_owned(), given: true };
        let mut reader =
            decryptor.decrypt(std::iter::once(&scrypt as &dyn age::Identity)).map_err(wrong)?;
        let mut plain = Zeroizing::new(Vec::with_capacity(bytes.len()));
        std::io::Read::read_to_end(&mut reader, &mut plain).map_err(|e| invalid(e.to_string()))?;
        let file = age::IdentityFile::from_buffer(BufReader::new(plain.as_slice()))
            .map_err(|_| invalid("what it encrypts is not an age identity file".to_owned()))?
            .with_callbacks(Callbacks(ask.clone()));
        Self::collect(name, &plain, file)
    }

    fn collect<C: age::Callbacks>(
        name: &str,
        plain: &[u8],
        file: age::IdentityFile<C>,
    ) -> Result<Self, Error> {
        let name = name.to_owned();
        match file.into_identities() {
            Ok(identities) if identities.is_empty() => {
                Err(Error::Identity { name, reason: "it holds no identity".to_owned() })
            }
            Ok(all) => Ok(Self { all, native: native_of(plain) }),
            Err(error @ age::DecryptError::PluginResolve(_)) => {
                let action = "read identity file";
                Err(Error::Plugin { action, what: name, reason: words_of(&error) })
            }
            Err(error) => Err(Error::Identity { name, reason: error.to_string() }),
        }
    }

    /// Adds the identities of another file.
    pub fn extend(&mut self, other: Self) {
        self.all.extend(other.all);
        self.native.extend(other.native);
    }

    /// Returns the one that derives the recipient with this digest: a generation's own identity,
    /// if that was handed out.
    pub fn deriving(&self, recipient: &Digest) -> Option<GenerationIdentity> {
        let own = self.native.iter().map(|native| GenerationIdentity(native.clone()));
        own.into_iter().find(|own| own.recipient().digest() == *recipient)
    }

    /// Opens a small sealed object whole.
    ///
    /// An identity whose plugin fails, such as a token that is not plugged in, does not keep the
    /// others from opening it.
    ///
    /// # Errors
    /// If no identity matches, a plugin fails, or the object is not authentic.
    pub fn open(&self, object: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let unreadable = |reason: String| Error::Unreadable { object: object.to_owned(), reason };
        let mut failed = None;
        for identity in &self.all {
            let decryptor = age::Decryptor::new(sealed).map_err(|e| unreadable(e.to_string()))?;
            let identity = identity.as_ref() as &dyn age::Identity;
            let mut reader = match decryptor.decrypt(std::iter::once(identity)) {
                Ok(reader) => reader,
                Err(age::DecryptError::NoMatchingKeys) => continue,
                Err(
                    error @ (age::DecryptError::Plugin(_) | age::DecryptError::PluginResolve(_)),
                ) => {
                    failed.get_or_insert_with(|| words_of(&error));
                    continue;
                }
                Err(other) => return Err(unreadable(other.to_string())),
            };
            let mut plain = Zeroizing::new(Vec::with_capacity(sealed.len()));
            std::io::Read::read_to_end(&mut reader, &mut plain)
                .map_err(|e| unreadable(e.to_string()))?;
            return Ok(plain);
        }
        let object = object.to_owned();
        Err(match failed {
            Some(reason) => Error::Plugin { action: "open", what: object, reason },
            None => Error::NoMatch { object, count: self.all.len() },
        })
    }
}

/// Returns the X25519 identities of an identity file's text.
fn native_of(plain: &[u8]) -> Vec<age::x25519::Identity> {
    let lines =
        plain.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
    lines.filter_map(|line| age::x25519::Identity::from_str(line.trim()).ok()).collect()
}

/// The X25519 identity of a generation, or of its index: what opens packs.
pub struct GenerationIdentity(age::x25519::Identity);

impl GenerationIdentity {
    /// Draws a new identity.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self::from_secret(&Zeroizing::new(entropy::draw(entropy)))
    }

    /// Makes the identity of a secret, any 32 bytes; `age` takes it as text only.
    pub(super) fn from_secret(secret: &[u8; 32]) -> Self {
        let prefix = bech32::Hrp::parse("age-secret-key-").expect("the prefix is valid Bech32");
        let text = Zeroizing::new(age_core::primitives::bech32_encode(prefix, secret));
        let text = Zeroizing::new(text.to_uppercase());
        Self::parse(&text).expect("any 32 bytes are an X25519 identity")
    }

    /// Parses an `AGE-SECRET-KEY-1…` line.
    ///
    /// # Errors
    /// If it is not one; the error holds nothing of the text.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        age::x25519::Identity::from_str(text).map(Self)
    }

    /// Returns the line, for the sealed generation file, or for whoever is handed this one.
    pub fn to_secret_text(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.to_string().expose_secret().to_owned())
    }

    /// Returns the recipient that seals to this identity.
    pub fn recipient(&self) -> SealingRecipient {
        SealingRecipient::from_age(self.0.to_public())
    }

    pub(super) const fn as_age(&self) -> &age::x25519::Identity {
        &self.0
    }
}

/// A new identity for a person: the text of its file and its recipient.
pub struct NewIdentity {
    /// The identity file's text.
    pub file: Zeroizing<String>,
    /// The recipient, `age1…`.
    pub recipient: String,
}

impl NewIdentity {
    /// Draws a new X25519 identity; `created` goes into the file's comment.
    pub fn generate(created: jiff::Timestamp) -> Self {
        let identity = age::x25519::Identity::generate();
        let recipient = identity.to_public().to_string();
        let secret = identity.to_string();
        let file = Zeroizing::new(format!(
            "# created: {created}\n# public key: {recipient}\n{}\n",
            secret.expose_secret()
        ));
        Self { file, recipient }
    }

    /// Seals the file with a passphrase, as `age -p` does.
    ///
    /// # Errors
    /// Never for a real passphrase; writing to memory does not fail.
    pub fn protect(&self, passphrase: SecretString) -> Result<Vec<u8>, Error> {
        let recipient = age::scrypt::Recipient::new(passphrase);
        age::encrypt(&recipient, self.file.as_bytes()).map_err(|e| Error::Wrap(e.to_string()))
    }
}

#[derive(Clone)]
pub(super) struct Callbacks<A: AskPassphrase>(pub(super) A);

impl<A: AskPassphrase> age::Callbacks for Callbacks<A> {
    fn display_message(&self, message: &str) {
        self.0.message(message);
    }

    fn confirm(&self, message: &str, _yes: &str, _no: Option<&str>) -> Option<bool> {
        self.0.message(message);
        None
    }

    fn request_public_string(&self, _description: &str) -> Option<String> {
        None
    }

    fn request_passphrase(&self, description: &str) -> Option<SecretString> {
        self.0.passphrase(description)
    }
}
