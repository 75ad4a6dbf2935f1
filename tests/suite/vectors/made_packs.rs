//! Pack plaintexts (§4.3): sound, and wrong in one way each; and one sealed pack.

use idswyft_vault::base::{ChunkId, Code, GenerationId, Profile, VaultId};
use idswyft_vault::format::frame::{Compression, encode_block, push_skippable};
use idswyft_vault::format::frame::{DIRECTORY_MAGIC, PADDING_MAGIC};
use idswyft_vault::format::pack::{BlockEntry, ChunkEntry, DirectoryBuilder, PackOwner};

use super::age_writer::seal;
use super::file::Vector;
use super::made_sealed::owner;

/// The vault of every vector.
pub const VAULT: VaultId = VaultId::from_bytes([0x11; 16]);
const PADDING: &[u8] = &[0; 5];

/// The generation of every vector.
pub fn generation() -> GenerationId {
    "20261122T023000Z-00000001".parse().expect("the id is well formed")
}

/// The footer's fields after the owner, all of which a vector can get wrong.
#[derive(Clone)]
pub struct Plain {
    /// First byte of each id, and length.
    pub chunks: Vec<(u8, u32)>,
    /// Frames, and the length of what they give.
    pub blocks: Vec<(Vec<u8>, u32)>,
    /// What stands in the padding frame.
    pub padding: Vec<u8>,
}

impl Plain {
    /// Three chunks in two blocks.
    pub fn sound() -> Self {
        Self {
            chunks: vec![(1, 5), (2, 7), (3, 4)],
            blocks: vec![(raw_frame(b"first second"), 12), (raw_frame(b"last"), 4)],
            padding: PADDING.to_vec(),
        }
    }

    /// Lays the plaintext out, byte by byte as the tables of the spec have it.
    pub fn bytes(&self) -> Vec<u8> {
        let frames: Vec<u8> = self.blocks.iter().flat_map(|(frame, _)| frame.clone()).collect();
        let mut directory = Vec::new();
        for (id, len) in &self.chunks {
            directory.extend([*id; 32]);
            directory.extend(len.to_le_bytes());
        }
        for (frame, len) in &self.blocks {
            directory.extend(count(frame.len()).to_le_bytes());
            directory.extend(len.to_le_bytes());
        }
        let directory_len = directory.len() as u64 + 104;
        let raw_len: u64 = self.blocks.iter().map(|(_, len)| u64::from(*len)).sum();
        directory.extend(b"IDSWPACK\x01\x00\x00\x00\x01\x00\x00\x00");
        directory.extend(VAULT.as_bytes());
        directory.extend(generation().to_string().as_bytes());
        directory.extend([0; 7]);
        directory.extend(count(self.chunks.len()).to_le_bytes());
        directory.extend(count(self.blocks.len()).to_le_bytes());
        directory.extend(raw_len.to_le_bytes());
        directory.extend((frames.len() as u64).to_le_bytes());
        directory.extend(directory_len.to_le_bytes());
        directory.extend(count(self.padding.len()).to_le_bytes());
        directory.extend([0; 4]);
        let mut plain = frames;
        push_skippable(&mut plain, PADDING_MAGIC, &self.padding);
        push_skippable(&mut plain, DIRECTORY_MAGIC, &directory);
        plain
    }
}

fn raw_frame(raw: &[u8]) -> Vec<u8> {
    encode_block(raw, Compression::Raw)
}

fn count(len: usize) -> u32 {
    u32::try_from(len).expect("vectors are short")
}

/// Returns the sound plaintext with bytes of its footer replaced.
fn with_footer(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut plain = Plain::sound().bytes();
    let start = plain.len() - 104 + at;
    plain[start..start + bytes.len()].copy_from_slice(bytes);
    plain
}

/// Returns the vectors.
pub fn vectors() -> Vec<Vector> {
    let sound = Plain::sound().bytes();
    let mut all = vec![
        Vector::new("pack-sound", "V-30, V-39", "Three chunks in two blocks.", sound)
            .releases(b"first secondlast"),
    ];
    all.extend(bad_footers());
    all.extend(bad_directories());
    all.extend(sealed_packs());
    all
}

fn bad_footers() -> Vec<Vector> {
    let footer = |name: &str, says, at, bytes: &[u8]| {
        Vector::new(&format!("pack-{name}"), "V-30", says, with_footer(at, bytes))
    };
    let count_max = 2_097_153_u32.to_le_bytes();
    vec![
        footer("magic", "The footer's magic is another.", 0, b"IDSWPACX"),
        footer("version", "Version 2.", 8, &[2, 0]).covering("V-31").refused(Code::FormatTooNew),
        footer("requires", "It requires a feature.", 10, &[1, 0])
            .covering("V-31")
            .refused(Code::FormatTooNew),
        footer("profile", "Profile 4.", 12, &[4]),
        footer("generation", "The generation id is no time.", 32, b"20261322"),
        footer("chunk-count", "One chunk fewer than there are.", 64, &[2, 0, 0, 0]),
        footer("chunk-count-huge", "More chunks than a pack may have.", 64, &count_max)
            .covering("V-32")
            .refused(Code::LimitExceeded),
        footer("block-count", "One block fewer than there are.", 68, &[1, 0, 0, 0]),
        footer("raw-len", "The raw length is not the blocks' sum.", 72, &[17]).covering("V-39"),
        footer("frames-len", "The frames' length does not add up.", 80, &[1]),
        footer("directory-len", "The directory's length is not that of its entries.", 88, &[1]),
        footer("padding-len", "The padding's length does not add up.", 96, &[6]),
    ]
}

fn bad_directories() -> Vec<Vector> {
    let vector = |name: &str, covers, says, plain: Plain| {
        Vector::new(&format!("pack-{name}"), covers, says, plain.bytes())
    };
    let sound = Plain::sound();
    let spanning = Plain { chunks: vec![(1, 5), (2, 8), (3, 3)], ..sound.clone() };
    let short = Plain { chunks: vec![(1, 5), (2, 7), (3, 3)], ..sound.clone() };
    let empty = Plain { chunks: vec![(1, 12), (2, 0), (3, 4)], ..sound.clone() };
    let hidden = Plain { padding: b"\0\0!\0\0".to_vec(), ..sound.clone() };
    let mut bomb = sound.clone();
    bomb.blocks[1].1 = 4 * 1024 * 1024 + 1;
    let mut lying = sound;
    lying.blocks[1] = (raw_frame(b"late"[..3].as_ref()), 4);
    vec![
        vector("spanning-chunk", "V-38", "A chunk spans two blocks.", spanning),
        vector("chunks-short", "V-39", "The chunks end before the blocks do.", short),
        vector("empty-chunk", "V-37", "A chunk has no bytes.", empty),
        vector("hidden", "V-43", "A byte of the padding is not zero.", hidden),
        vector("long-block", "V-36, V-42", "A block of more than 4 MiB.", bomb),
        vector("lying-block", "V-41", "A frame gives fewer bytes than recorded.", lying),
    ]
}

/// A pack as it is stored, made with the program's own directory and an independent seal.
fn sealed_packs() -> Vec<Vector> {
    let owned = PackOwner { vault: VAULT, generation: generation(), profile: Profile::Stream };
    let mut directory = DirectoryBuilder::new(owned);
    let frame = raw_frame(b"one chunk");
    let block = BlockEntry { frame_len: count(frame.len()), raw_len: 9 };
    directory.push(block, &[ChunkEntry { id: ChunkId::from_bytes([9; 32]), raw_len: 9 }]);
    let object = seal(&owner(), &[frame, directory.finish()].concat());
    let vector = |name: &str, covers, says, vault: VaultId| {
        Vector::new(name, covers, says, object.clone())
            .with("identity", owner().identity())
            .with("vault", vault)
            .with("generation", generation())
            .with("profile", Profile::Stream)
    };
    vec![
        vector("object-sound", "V-27, V-28", "A pack as it is stored.", VAULT)
            .releases(b"one chunk"),
        vector(
            "object-foreign",
            "V-34",
            "The same pack, named by another vault.",
            VaultId::from_bytes([0x12; 16]),
        )
        .refused(Code::ObjectForeign),
    ]
}
