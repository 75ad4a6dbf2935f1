//! How a bucket keeps packs: their class, their encryption, their length.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{OptionalObjectAttributes, ServerSideEncryption, StorageClass as SdkClass};

use super::Run;
use crate::store::probe::Capability;
use crate::store::{Error, StorageClass};

impl Run<'_> {
    pub(super) fn class(&mut self) -> Result<(), Error> {
        let class = self.store.inner.settings.pack_class;
        if class == StorageClass::Standard {
            self.saw(Capability::Class, true, "packs are STANDARD");
            return Ok(());
        }
        let put = self.put("f", b"in a class", |put| {
            put.if_none_match("*").storage_class(SdkClass::from(class.name()))
        });
        let put = match put {
            Ok(put) => put,
            Err(failure) => return self.judge(Capability::Class, failure),
        };
        self.keep("f", &put);
        let head = self.store.inner.send(self.call("look at", "s3:GetObject"), |live| {
            live.client.head_object().bucket(self.bucket()).key(self.full("f")).send()
        });
        match head {
            Ok(head) => {
                let told = head.storage_class().map_or("STANDARD", |told| told.as_str()).to_owned();
                self.saw(Capability::Class, told == class.name(), format!("HEAD tells {told}"));
            }
            Err(failure) => self.judge(Capability::Class, failure)?,
        }
        let listed = self.store.inner.send(self.call("list", "s3:ListBucket"), |live| {
            let request =
                live.client.list_objects_v2().bucket(self.bucket()).prefix(self.full("f"));
            request.optional_object_attributes(OptionalObjectAttributes::RestoreStatus).send()
        });
        match listed {
            Ok(page) => {
                let told = page.contents().iter().any(|object| object.restore_status().is_some());
                let detail = if told { "listings tell" } else { "listings do not tell" };
                self.saw(Capability::RestoreStatus, told, detail);
                Ok(())
            }
            Err(failure) => self.judge(Capability::RestoreStatus, failure),
        }
    }

    pub(super) fn encryption(&mut self) -> Result<(), Error> {
        let settings = &self.store.inner.settings;
        let Some(wanted) = settings.sse.clone() else {
            self.saw(Capability::Encryption, true, "none is asked for");
            return Ok(());
        };
        let key = settings.sse_kms_key.clone();
        let put = self.put("g", b"encrypted", |put| {
            let put = put.if_none_match("*").set_ssekms_key_id(key.clone());
            put.server_side_encryption(ServerSideEncryption::from(wanted.as_str()))
        });
        match put {
            Ok(put) => {
                let told = put.server_side_encryption().map(|it| it.as_str().to_owned());
                self.keep("g", &put);
                let detail = format!("PUT tells {}", told.as_deref().unwrap_or("nothing"));
                self.saw(Capability::Encryption, told.as_ref() == Some(&wanted), detail);
                Ok(())
            }
            Err(failure) => self.judge(Capability::Encryption, failure),
        }
    }

    /// Puts an object of the length of a pack; its file is all holes.
    pub(super) fn pack_len(&mut self) -> Result<(), Error> {
        let len = self.request.pack_len;
        let unreadable = |source: std::io::Error| Error::Unavailable {
            store: self.store.inner.name.clone(),
            action: "make a file for",
            place: self.store.inner.url.clone(),
            source: source.into(),
        };
        let file = tempfile::NamedTempFile::new().map_err(unreadable)?;
        file.as_file().set_len(len).map_err(unreadable)?;
        let live = self.store.inner.live()?;
        let body = live.runtime.block_on(ByteStream::from_path(file.path()));
        let body = body.map_err(|error| unreadable(std::io::Error::other(error)))?;
        let timeouts = live.pace.timeouts(len, &self.store.inner.settings);
        let put = self.store.inner.send(self.call("put", "s3:PutObject"), |live| {
            let request = live.client.put_object().bucket(self.bucket()).key(self.full("h"));
            let config = aws_sdk_s3::config::Config::builder().timeout_config(timeouts);
            let request = request.if_none_match("*").body(body);
            request.customize().config_override(config).send()
        });
        let put = match put {
            Ok(put) => put,
            Err(failure) => return self.judge(Capability::PackLen, failure),
        };
        self.keep("h", &put);
        let head = self.store.inner.send(self.call("look at", "s3:GetObject"), |live| {
            live.client.head_object().bucket(self.bucket()).key(self.full("h")).send()
        });
        match head {
            Ok(head) => {
                let told = head.content_length().and_then(|told| u64::try_from(told).ok());
                let detail = format!("{len} bytes were put at once");
                self.saw(Capability::PackLen, told == Some(len), detail);
                Ok(())
            }
            Err(failure) => self.judge(Capability::PackLen, failure),
        }
    }
}
