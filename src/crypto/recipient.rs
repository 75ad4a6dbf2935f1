//! The data recipients: to whom generation files and the root key are sealed. Spec: §5.

use std::collections::BTreeMap;
use std::str::FromStr;

use age_core::format::FileKey;

use super::Error;
use super::error::words_of;
use super::identity::{AskPassphrase, Callbacks};
use crate::base::Digest;

/// Parsed data recipients, native X25519 or of a plugin.
pub struct DataRecipients {
    entries: Vec<Entry>,
}

enum Entry {
    Native { text: String, recipient: age::x25519::Recipient },
    Plugin { text: String, recipient: age::plugin::Recipient },
}

impl Entry {
    fn parse(text: &str) -> Result<Self, Error> {
        if let Ok(recipient) = age::x25519::Recipient::from_str(text) {
            return Ok(Self::Native { text: text.to_owned(), recipient });
        }
        match age::plugin::Recipient::from_str(text) {
            Ok(recipient) => Ok(Self::Plugin { text: text.to_owned(), recipient }),
            Err(_) => Err(Error::Recipient {
                text: text.chars().take(100).collect(),
                reason: "neither an X25519 recipient (age1…) nor a plugin's (age1name1…)".into(),
            }),
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Native { text, .. } | Self::Plugin { text, .. } => text,
        }
    }
}

impl DataRecipients {
    /// Parses recipients as configured.
    ///
    /// # Errors
    /// If there is none or one does not parse.
    pub fn parse<S: AsRef<str>>(texts: &[S]) -> Result<Self, Error> {
        if texts.is_empty() {
            return Err(Error::NoRecipient);
        }
        let entries = texts
            .iter()
            .map(|text| Entry::parse(text.as_ref().trim()))
            .collect::<Result<_, _>>()?;
        Ok(Self { entries })
    }

    /// Returns the recipients' texts, which stay on the host.
    pub fn texts(&self) -> Vec<String> {
        self.entries.iter().map(|entry| entry.text().to_owned()).collect()
    }

    /// Returns the SHA-256 of each recipient's text, which is all that a store may hold.
    pub fn digests(&self) -> Vec<Digest> {
        self.entries.iter().map(|entry| super::digest::sha256(entry.text().as_bytes())).collect()
    }

    /// Seals `plain` to every recipient: one age file for each group of recipients whose labels
    /// agree, since the age specification lets only those share a file.
    ///
    /// # Errors
    /// If a plugin is missing or refuses.
    pub fn seal(&self, plain: &[u8], ask: &impl AskPassphrase) -> Result<Vec<Vec<u8>>, Error> {
        let wrap = |e: &dyn std::fmt::Display| Error::Wrap(words_of(e));
        let mut groups: BTreeMap<Vec<String>, Vec<Box<dyn age::Recipient + Send>>> =
            BTreeMap::new();
        for recipient in self.wrappers(ask)? {
            // Labels are known only by wrapping; this key seals nothing.
            let probe = FileKey::new(Box::new([0; 16]));
            let (_, labels) = recipient.wrap_file_key(&probe).map_err(|e| wrap(&e))?;
            let mut labels: Vec<String> = labels.into_iter().collect();
            labels.sort_unstable();
            groups.entry(labels).or_default().push(recipient);
        }
        groups.into_values().map(|group| seal_group(&group, plain)).collect()
    }

    fn wrappers(
        &self,
        ask: &impl AskPassphrase,
    ) -> Result<Vec<Box<dyn age::Recipient + Send>>, Error> {
        let mut wrappers: Vec<Box<dyn age::Recipient + Send>> = Vec::new();
        let mut plugins: BTreeMap<String, Vec<age::plugin::Recipient>> = BTreeMap::new();
        for entry in &self.entries {
            match entry {
                Entry::Native { recipient, .. } => wrappers.push(Box::new(recipient.clone())),
                Entry::Plugin { recipient, .. } => {
                    let name = recipient.plugin().to_owned();
                    plugins.entry(name).or_default().push(recipient.clone());
                }
            }
        }
        for (name, recipients) in plugins {
            let callbacks = Callbacks(ask.clone());
            let plugin = age::plugin::RecipientPluginV1::new(&name, &recipients, &[], callbacks)
                .map_err(|e| Error::Wrap(words_of(&e)))?;
            wrappers.push(Box::new(plugin));
        }
        Ok(wrappers)
    }
}

fn seal_group(group: &[Box<dyn age::Recipient + Send>], plain: &[u8]) -> Result<Vec<u8>, Error> {
    let recipients = group.iter().map(|recipient| recipient.as_ref() as &dyn age::Recipient);
    let encryptor =
        age::Encryptor::with_recipients(recipients).map_err(|e| Error::Wrap(words_of(&e)))?;
    let mut sealed = Vec::with_capacity(plain.len() + 1024);
    let in_memory = "writing to memory does not fail";
    let mut writer = encryptor.wrap_output(&mut sealed).expect(in_memory);
    std::io::Write::write_all(&mut writer, plain).expect(in_memory);
    writer.finish().expect(in_memory);
    Ok(sealed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::identity::{DataIdentities, NewIdentity, NoPassphrase};

    fn fresh() -> (String, DataIdentities) {
        let new = NewIdentity::generate(jiff::Timestamp::UNIX_EPOCH);
        let identities = DataIdentities::parse("x", new.file.as_bytes(), &NoPassphrase).unwrap();
        (new.recipient, identities)
    }

    #[test]
    fn every_recipient_opens_what_was_sealed_to_all() {
        let ((first, first_identity), (second, second_identity)) = (fresh(), fresh());
        let recipients = DataRecipients::parse(&[first, second]).unwrap();
        let sealed = recipients.seal(b"secret", &NoPassphrase).unwrap();
        assert_eq!(sealed.len(), 1);
        for identity in [first_identity, second_identity] {
            assert_eq!(identity.open("x", &sealed[0]).unwrap().as_slice(), b"secret");
        }
        let error = fresh().1.open("x", &sealed[0]).unwrap_err();
        assert!(matches!(error, Error::NoMatch { count: 1, .. }));
    }

    #[test]
    fn a_recipient_that_does_not_parse_is_named() {
        let error = DataRecipients::parse(&["age1nonsense"]).err().unwrap();
        assert!(error.to_string().contains("age1nonsense"));
        assert!(DataRecipients::parse::<&str>(&[]).is_err());
    }

    #[test]
    fn a_missing_plugin_is_named() {
        let text = age_core::primitives::bech32_encode(
            bech32::Hrp::parse("age1nowhere").unwrap(),
            b"some plugin data",
        );
        let recipients = DataRecipients::parse(&[text]).unwrap();
        let error = recipients.seal(b"x", &NoPassphrase).unwrap_err();
        assert!(matches!(&error, Error::Wrap(text) if text.contains("nowhere")), "{error}");
    }

    #[test]
    fn a_passphrase_protected_identity_needs_the_right_passphrase() {
        #[derive(Clone)]
        struct Knows(&'static str);
        impl AskPassphrase for Knows {
            fn passphrase(&self, _: &str) -> Option<age::secrecy::SecretString> {
                Some(self.0.to_owned().into())
            }
            fn message(&self, _: &str) {}
        }
        let new = NewIdentity::generate(jiff::Timestamp::UNIX_EPOCH);
        let file = new.protect("right".to_owned().into()).unwrap();
        let sealed = DataRecipients::parse(&[&new.recipient]).unwrap();
        let sealed = sealed.seal(b"secret", &NoPassphrase).unwrap();
        let identity = DataIdentities::parse("x", &file, &Knows("right")).unwrap();
        assert_eq!(identity.open("x", &sealed[0]).unwrap().as_slice(), b"secret");
        let refused = |ask| DataIdentities::parse("x", &file, &ask).err().unwrap().to_string();
        assert!(refused(Knows("wrong")).contains("wrong"));
        let error = DataIdentities::parse("x", &file, &NoPassphrase).err().unwrap();
        assert!(error.to_string().contains("missing"));
    }
}
