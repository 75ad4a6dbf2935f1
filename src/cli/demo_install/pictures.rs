//! The made-up uploads: folders and names as the stack writes them, bytes that begin and end like
//! pictures and do not compress.

use std::fs;
use std::io;
use std::path::Path;

use super::noise::Noise;
use super::records::{DEVELOPER_COUNT, Kind, LOGO_COUNT, Verification, developer_id};

const AVATAR_LEN: usize = 12_000;

/// Writes the pictures of developers: the only files that are ever overwritten.
pub fn write_assets(uploads: &Path) -> io::Result<()> {
    for folder in ["documents", "selfies", "avatars", "branding"] {
        fs::create_dir_all(uploads.join(folder))?;
    }
    for number in 0..DEVELOPER_COUNT {
        write_avatar(uploads, number, 0)?;
    }
    for number in 0..LOGO_COUNT {
        let name = format!("{}_logo.png", developer_id(number));
        fs::write(uploads.join("branding").join(name), png(number))?;
    }
    Ok(())
}

/// Writes a developer's avatar; each edition is another picture under the same name.
pub fn write_avatar(uploads: &Path, number: u64, edition: u64) -> io::Result<()> {
    let name = format!("{}.jpg", developer_id(number));
    let picture = jpeg("avatar", number + edition * DEVELOPER_COUNT, AVATAR_LEN, 0);
    fs::write(uploads.join("avatars").join(name), picture)
}

/// Writes both files of a verification.
pub fn write_files(uploads: &Path, one: &Verification) -> io::Result<()> {
    for kind in Kind::ALL {
        let path = uploads.join(kind.folder()).join(one.file_name(kind));
        let (picture, exif) = (one.picture(kind), one.exif(kind));
        fs::write(path, jpeg(kind.folder(), picture, one.file_len(kind), exif))?;
    }
    Ok(())
}

/// Removes both files of a verification.
pub fn remove_files(uploads: &Path, one: &Verification) -> io::Result<()> {
    for kind in Kind::ALL {
        fs::remove_file(uploads.join(kind.folder()).join(one.file_name(kind)))?;
    }
    Ok(())
}

fn jpeg(subject: &str, number: u64, len: usize, exif: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len);
    // SOI and JFIF, then an Exif segment, then the scan.
    bytes
        .extend_from_slice(b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x48\x00\x48\x00\x00");
    bytes.extend_from_slice(b"\xff\xe1\x00\x28Exif\x00\x00");
    bytes.extend_from_slice(format!("{exif:032}").as_bytes());
    bytes.extend_from_slice(b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00");
    let scan_at = bytes.len();
    Noise::of(subject, number).fill(&mut bytes, len - scan_at - 2);
    // In a scan, 0xff would begin a marker.
    for byte in bytes.iter_mut().skip(scan_at).filter(|byte| **byte == 0xff) {
        *byte = 0xfe;
    }
    bytes.extend_from_slice(b"\xff\xd9");
    bytes
}

fn png(number: u64) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    Noise::of("logo", number).fill(&mut bytes, 8_000);
    bytes.extend_from_slice(b"\x00\x00\x00\x00IEND\xae\x42\x60\x82");
    bytes
}
