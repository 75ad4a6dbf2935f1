//! Packs of frames that zstd makes, and of those that the format does not take (§4.2, §4.3).

use super::file::Vector;
use super::made_packs::Plain;

/// Returns the vectors.
pub fn vectors() -> Vec<Vector> {
    let mut all = profiles();
    all.extend(bad_frames());
    all
}

const RAW: &[u8] = b"all work and no play makes all work and no play";

fn frame(with: impl FnOnce(&mut zstd::bulk::Compressor<'_>)) -> Vec<u8> {
    let mut compressor = zstd::bulk::Compressor::new(3).expect("the level is one");
    with(&mut compressor);
    compressor.compress(RAW).expect("it compresses")
}

fn plain(frame: Vec<u8>) -> Plain {
    let len = u32::try_from(RAW.len()).expect("it is short");
    let blocks = vec![(frame, len); 3];
    Plain { chunks: vec![(1, len); 3], blocks, ..Plain::sound() }
}

/// Three compressed blocks in packs of each profile.
fn profiles() -> Vec<Vector> {
    let packs = [("stream", 1), ("file", 2), ("meta", 3)];
    let pack = |(name, profile)| {
        let mut bytes = plain(frame(|_| {})).bytes();
        let at = bytes.len() - 104 + 12;
        bytes[at] = profile;
        Vector::new(&format!("pack-{name}"), "V-40", "Three compressed blocks.", bytes)
            .releases(&RAW.repeat(3))
    };
    packs.into_iter().map(pack).collect()
}

fn bad_frames() -> Vec<Vector> {
    use zstd::zstd_safe::CParameter;
    let vector = |name: &str, says, frame: Vec<u8>| {
        Vector::new(&format!("pack-frame-{name}"), "V-40", says, plain(frame).bytes())
    };
    let set = |parameter| {
        frame(|compressor| compressor.set_parameter(parameter).expect("it is a parameter"))
    };
    let sound = frame(|_| {});
    let (half, rest) = RAW.split_at(20);
    let two = [half, rest].map(|half| zstd::bulk::compress(half, 3).expect("it compresses"));
    let mut magic = sound.clone();
    magic[0] ^= 1;
    vec![
        vector("checksum", "Frames with a checksum.", set(CParameter::ChecksumFlag(true))),
        vector(
            "no-size",
            "Frames without a content size.",
            set(CParameter::ContentSizeFlag(false)),
        ),
        vector("two", "Two frames in a block.", two.concat()),
        vector("cut", "Frames without their last byte.", sound[..sound.len() - 1].to_vec()),
        vector("more", "A byte after each frame.", [&sound[..], b"x"].concat()),
        vector("magic", "Frames of another magic.", magic),
        vector(
            "skippable",
            "A skippable frame after each.",
            [&sound[..], b"\x50\x2a\x4d\x18\0\0\0\0"].concat(),
        ),
    ]
}
