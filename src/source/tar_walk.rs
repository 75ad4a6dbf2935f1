//! A tree as a tar stream, in exactly the order of the tree. Spec: `stack.md` §4.2.
//!
//! - Headers are the library's to read; the records of extended headers are ours, because a name
//!   may hold anything, and theirs end at newlines.
//! - Contents pass by once, by windows; nothing of a file is kept.

use std::collections::BTreeMap;
use std::io::{self, Read};

use thiserror::Error;

use super::walk::STAGING_PREFIX;
use crate::base::{Code, Coded};
use crate::format::Time;
use crate::format::tree::{FileContent, Kind, MODE_MAX, TreeEntry, sort_key};

/// Bytes of an extended header or a long name; names have 4096 at most, attributes 64 KiB.
const EXTENSION_LEN_MAX: u64 = 1 << 20;
/// Bytes of a block; contents fill whole blocks, and a block of zeros ends an archive.
const BLOCK_LEN: u64 = 512;
/// How the records of extended attributes begin.
const XATTR_PREFIX: &[u8] = b"SCHILY.xattr.";

/// An archive that cannot be read as a tree.
#[derive(Debug, Error)]
pub enum TarError {
    /// The stream ended, or cannot be read.
    #[error("read the archive of the volume")]
    Unreadable(#[source] io::Error),
    /// The archive is not what it must be.
    #[error("read the archive of the volume: {reason}")]
    Invalid {
        /// What is wrong.
        reason: String,
    },
}

impl TarError {
    fn invalid(reason: impl Into<String>) -> Self {
        Self::Invalid { reason: reason.into() }
    }
}

impl Coded for TarError {
    fn code(&self) -> Code {
        Code::SourceFailed
    }
}

/// What precedes an entry and belongs to it.
#[derive(Default)]
struct Extensions {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    uid: Option<u32>,
    gid: Option<u32>,
    mtime: Option<Time>,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Reads an archive and gives every entry, with its contents to read, to `visit` (S-12).
///
/// Staging names of this program are left out, and links to what was left out with them.
///
/// # Errors
/// When the archive ends early, is out of order or is none, or `visit` fails.
pub fn walk_tar<E: From<TarError>>(
    stream: impl Read,
    mut visit: impl FnMut(TreeEntry, &mut dyn Read) -> Result<(), E>,
) -> Result<(), E> {
    let mut archive = tar::Archive::new(Counting { stream, len: 0 });
    let (mut extensions, mut last, mut end) = (Extensions::default(), None, 0);
    for entry in archive.entries().map_err(TarError::Unreadable)?.raw(true) {
        let mut entry = entry.map_err(TarError::Unreadable)?;
        let kind = entry.header().entry_type();
        end = entry.raw_file_position() + entry.size().next_multiple_of(BLOCK_LEN);
        if kind.is_pax_global_extensions() {
            continue;
        }
        if kind.is_pax_local_extensions() || kind.is_gnu_longname() || kind.is_gnu_longlink() {
            let bytes = read_extension(&mut entry)?;
            extensions.take(kind, &bytes)?;
            continue;
        }
        let found = found_of(entry.header(), std::mem::take(&mut extensions))?;
        check_order(&mut last, &found)?;
        let left_out = |path: &[u8]| path.split(|byte| *byte == b'/').any(is_staging);
        let lost = matches!(&found.kind, Kind::Hardlink { link } if left_out(link));
        if !left_out(&found.path) && !lost {
            visit(found, &mut entry)?;
        }
    }
    if last.is_none() {
        return Err(TarError::Unreadable(io::ErrorKind::UnexpectedEof.into()).into());
    }
    let mut stream = archive.into_inner();
    io::copy(&mut stream, &mut io::sink()).map_err(TarError::Unreadable)?;
    match stream.len >= end + BLOCK_LEN {
        true => Ok(()),
        false => Err(TarError::Unreadable(io::ErrorKind::UnexpectedEof.into()).into()),
    }
}

/// Counts what was read, which tells a whole archive from one cut off between two entries.
struct Counting<R> {
    stream: R,
    len: u64,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.stream.read(buf)?;
        self.len += len as u64;
        Ok(len)
    }
}

fn is_staging(component: &[u8]) -> bool {
    component.starts_with(STAGING_PREFIX.as_bytes())
}

/// Checks that the root comes first, and everything else behind what precedes it in a tree.
fn check_order(last: &mut Option<Vec<u8>>, found: &TreeEntry) -> Result<(), TarError> {
    let key = sort_key(&found.path);
    let shown = String::from_utf8_lossy(&found.path);
    match last {
        None if !found.path.is_empty() || found.kind != Kind::Dir => {
            return Err(TarError::invalid(format!("it begins with {shown:?}, not with the root")));
        }
        Some(before) if *before >= key => {
            return Err(TarError::invalid(format!("{shown:?} is out of order")));
        }
        _ => {}
    }
    *last = Some(key);
    Ok(())
}

fn read_extension(entry: &mut impl Read) -> Result<Vec<u8>, TarError> {
    let mut bytes = Vec::new();
    entry.take(EXTENSION_LEN_MAX + 1).read_to_end(&mut bytes).map_err(TarError::Unreadable)?;
    if bytes.len() as u64 > EXTENSION_LEN_MAX {
        return Err(TarError::invalid("an extended header is too long"));
    }
    Ok(bytes)
}

impl Extensions {
    fn take(&mut self, kind: tar::EntryType, bytes: &[u8]) -> Result<(), TarError> {
        let name = || bytes.strip_suffix(&[0]).unwrap_or(bytes).to_vec();
        if kind.is_gnu_longname() {
            self.path = Some(name());
        } else if kind.is_gnu_longlink() {
            self.link = Some(name());
        } else {
            self.take_records(bytes)?;
        }
        Ok(())
    }

    /// Reads records of the form `LENGTH KEY=VALUE\n`; the length is that of the whole record.
    fn take_records(&mut self, mut rest: &[u8]) -> Result<(), TarError> {
        while !rest.is_empty() {
            let record = split_record(&mut rest);
            let (key, value) =
                record.ok_or_else(|| TarError::invalid("an extended header does not parse"))?;
            self.take_record(key, value)?;
        }
        Ok(())
    }

    fn take_record(&mut self, key: &[u8], value: &[u8]) -> Result<(), TarError> {
        let wrong = || {
            let key = String::from_utf8_lossy(key).into_owned();
            TarError::invalid(format!("field {key} of an extended header cannot be used"))
        };
        let text = || std::str::from_utf8(value).map_err(|_| wrong());
        match key {
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"uid" => self.uid = Some(text()?.parse().map_err(|_| wrong())?),
            b"gid" => self.gid = Some(text()?.parse().map_err(|_| wrong())?),
            b"mtime" => self.mtime = Some(time_of(text()?).ok_or_else(wrong)?),
            // The header's own length is used, which a length that needs a record does not fit.
            b"size" => return Err(wrong()),
            _ => {
                if let Some(name) = key.strip_prefix(XATTR_PREFIX) {
                    self.xattrs.insert(name.to_vec(), value.to_vec());
                }
            }
        }
        Ok(())
    }
}

fn split_record<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let space = rest.iter().position(|byte| *byte == b' ')?;
    let len: usize = std::str::from_utf8(&rest[..space]).ok()?.parse().ok()?;
    let body = rest.get(space + 1..len)?.strip_suffix(b"\n")?;
    *rest = &rest[len..];
    let equals = body.iter().position(|byte| *byte == b'=')?;
    Some((&body[..equals], &body[equals + 1..]))
}

/// Reads seconds since 1970 with a fraction of any length.
fn time_of(text: &str) -> Option<Time> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let sec: i64 = whole.parse().ok()?;
    let nsec: u32 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    match (whole.starts_with('-'), nsec) {
        // Halves of a second before 1970 count back from the whole one.
        (true, 1..) => Some(Time { sec: sec.checked_sub(1)?, nsec: 1_000_000_000 - nsec }),
        _ => Some(Time { sec, nsec }),
    }
}

fn found_of(header: &tar::Header, extensions: Extensions) -> Result<TreeEntry, TarError> {
    let path = extensions.path.unwrap_or_else(|| header.path_bytes().into_owned());
    let link = extensions.link.or_else(|| header.link_name_bytes().map(|link| link.into_owned()));
    let path = tree_path(&path);
    let wrong = |what: &str| {
        TarError::invalid(format!("{:?}: {what} does not parse", String::from_utf8_lossy(&path)))
    };
    let id = |told: Option<u32>, id: io::Result<u64>, what| match told {
        Some(id) => Ok(id),
        None => id.ok().and_then(|id| u32::try_from(id).ok()).ok_or_else(|| wrong(what)),
    };
    let mtime = match extensions.mtime {
        Some(time) => time,
        None => {
            let sec = header.mtime().ok().and_then(|sec| i64::try_from(sec).ok());
            Time { sec: sec.ok_or_else(|| wrong("its time"))?, nsec: 0 }
        }
    };
    Ok(TreeEntry {
        kind: kind_of(header, link).ok_or_else(|| wrong("what it is"))?,
        mode: header.mode().map_err(|_| wrong("its mode"))? & MODE_MAX,
        uid: id(extensions.uid, header.uid(), "its owner")?,
        gid: id(extensions.gid, header.gid(), "its group")?,
        mtime,
        xattrs: extensions.xattrs,
        path,
    })
}

/// Returns a name of the archive as a path of the tree.
fn tree_path(name: &[u8]) -> Vec<u8> {
    let name = name.strip_suffix(b"/").unwrap_or(name);
    let name = name.strip_prefix(b"./").unwrap_or(name);
    if name == b"." { Vec::new() } else { name.to_vec() }
}

fn kind_of(header: &tar::Header, link: Option<Vec<u8>>) -> Option<Kind> {
    let device = || {
        let (major, minor) = (header.device_major().ok()??, header.device_minor().ok()??);
        Some((major, minor))
    };
    Some(match header.entry_type() {
        tar::EntryType::Regular | tar::EntryType::Continuous => {
            Kind::File(FileContent::unread(header.entry_size().ok()?, false))
        }
        tar::EntryType::Directory => Kind::Dir,
        tar::EntryType::Symlink => Kind::Symlink { target: link? },
        tar::EntryType::Link => Kind::Hardlink { link: tree_path(&link?) },
        tar::EntryType::Fifo => Kind::Fifo,
        tar::EntryType::Char => device().map(|(major, minor)| Kind::Char { major, minor })?,
        tar::EntryType::Block => device().map(|(major, minor)| Kind::Block { major, minor })?,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(bytes: &[u8]) -> Result<Vec<(Vec<u8>, u64)>, TarError> {
        let mut found = Vec::new();
        walk_tar(bytes, |entry: TreeEntry, contents: &mut dyn Read| {
            let len = io::copy(contents, &mut io::sink()).map_err(TarError::Unreadable)?;
            found.push((entry.path, len));
            Ok::<(), TarError>(())
        })?;
        Ok(found)
    }

    fn header(kind: tar::EntryType, size: u64) -> tar::Header {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o644);
        header.set_uid(1);
        header.set_gid(1);
        header.set_mtime(1);
        header
    }

    /// An archive of the root and files with these names, each of so many bytes.
    fn archive(files: &[(&[u8], usize)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut root = header(tar::EntryType::Directory, 0);
        root.set_path_absolute("./").unwrap();
        root.set_cksum();
        builder.append(&root, io::empty()).unwrap();
        for (name, len) in files {
            let body = [b" path=./", *name, b"\n"].concat();
            let digits = (body.len() + 1..).find(|len| len - len.to_string().len() == body.len());
            let record = [digits.unwrap().to_string().as_bytes(), &body].concat();
            let mut extension = header(tar::EntryType::XHeader, record.len() as u64);
            extension.set_path("PaxHeaders.0/x").unwrap();
            extension.set_cksum();
            builder.append(&extension, record.as_slice()).unwrap();
            let mut file = header(tar::EntryType::Regular, *len as u64);
            file.set_path("short").unwrap();
            file.set_cksum();
            builder.append(&file, vec![7; *len].as_slice()).unwrap();
        }
        builder.into_inner().unwrap()
    }

    /// S-12
    #[test]
    fn names_are_bytes_and_no_part_of_one_is_taken_for_a_record() {
        let hostile: [(&[u8], usize); 3] =
            [(b"a\n20 path=./escaped\nb", 3), (b"bad\xff\xfe", 600), (&[b'n'; 255], 0)];
        let mut expected = vec![(Vec::new(), 0)];
        expected.extend(hostile.iter().map(|(name, len)| (name.to_vec(), *len as u64)));
        assert_eq!(names(&archive(&hostile)).unwrap(), expected);
    }

    /// S-12
    #[test]
    fn an_archive_that_is_cut_anywhere_is_refused() {
        let whole = archive(&[(b"a", 600), (b"b", 10)]);
        // Two blocks of zeros end it, of which one is enough.
        for len in (0..whole.len() - 512).step_by(64) {
            assert!(names(&whole[..len]).is_err(), "{len} of {} bytes", whole.len());
        }
    }

    /// S-12
    #[test]
    fn an_archive_out_of_order_or_without_a_root_is_refused() {
        for files in
            [[(&b"b"[..], 1), (b"a", 1)], [(b"a", 1), (b"a", 1)], [(b"a-b", 1), (b"a/b", 1)]]
        {
            let error = names(&archive(&files)).unwrap_err();
            assert!(error.to_string().contains("out of order"), "{error}");
        }
        let no_root = archive(&[(b"a", 1)]).split_off(512);
        assert!(names(&no_root).unwrap_err().to_string().contains("not with the root"));
    }

    #[test]
    fn what_this_program_staged_is_left_out() {
        let files: [(&[u8], usize); 2] = [(b".idswyft-vault-x/a", 1), (b"a", 1)];
        assert_eq!(names(&archive(&files)).unwrap()[1..], [(b"a".to_vec(), 1)]);
    }

    #[test]
    fn times_may_have_a_fraction_and_lie_before_1970() {
        assert_eq!(time_of("12.5"), Some(Time { sec: 12, nsec: 500_000_000 }));
        assert_eq!(time_of("-1.25"), Some(Time { sec: -2, nsec: 750_000_000 }));
        assert_eq!(time_of("3"), Some(Time { sec: 3, nsec: 0 }));
        assert!(time_of("").is_none() && time_of("1.x").is_none());
    }
}
