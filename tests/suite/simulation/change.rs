//! Steps that change the uploads.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::tree::{Node, Time};
use super::uploads::Uploads;
use super::world::World;
use crate::support::Random;
use crate::support::vault::noise;

/// Names that sort, or are spelled, in every awkward way.
const NAMES: [&[u8]; 12] = [
    b"a",
    b"a-b",
    b"a.b",
    b"ab",
    b"b",
    b"c c",
    b"Z",
    b"\xc3\xa4",
    b"\xff\xfe",
    b"7.jpg",
    b"\n",
    b"[*]",
];
const MODES: [u32; 5] = [0o644, 0o600, 0o755, 0o640, 0o606];
const PATH_DEPTH_MAX: usize = 3;
/// Beyond this a file is read by windows.
const LARGE_LEN: u64 = 2 * 1024 * 1024;

/// What a file is to hold.
#[derive(Debug)]
pub enum Content {
    /// Bytes that do not compress.
    Noise(u64, usize),
    /// Bytes that do.
    Text(u64, usize),
    /// What another file holds, and something behind it.
    Like(PathBuf, u64),
}

/// One change.
#[derive(Debug)]
pub enum Change {
    /// A file is written, new or over one that is there.
    Write { path: PathBuf, content: Content, mode: u32, mtime: Time },
    /// A new file takes the place of one.
    Replace { path: PathBuf, content: Content, mode: u32, mtime: Time },
    /// Bytes of a file change; without a time of its own, length and time stay as they were.
    Edit { path: PathBuf, at: usize, seed: u64, len: usize, mtime: Option<Time> },
    /// A name goes.
    Remove { path: PathBuf, mtime: Time },
    /// A name gets another place.
    Rename { from: PathBuf, to: PathBuf, mtime: Time },
    /// A file gets a further name.
    HardLink { existing: PathBuf, new: PathBuf, mtime: Time },
    /// A symbolic link.
    Symlink { path: PathBuf, target: PathBuf, mtime: Time },
    /// A directory.
    MakeDir { path: PathBuf, mode: u32, mtime: Time },
    /// Only the time of something changes.
    Touch { path: PathBuf, mtime: Time },
    /// Only the permissions of a file change.
    Permit { path: PathBuf, mode: u32 },
}

impl Change {
    /// Draws a change, if there is something to change.
    pub fn draw(world: &mut World) -> Option<Self> {
        let mtime = world.draw_time();
        let World { random, uploads, .. } = world;
        let uploads = uploads.as_ref()?;
        let file = pick(random, &uploads.tree.files());
        let any = pick(random, &uploads.tree.below_root());
        let (new, mode) = (new_path(random, uploads), *random.pick(&MODES));
        Some(match random.below(34) {
            0..=9 => Self::Write { path: new?, content: Content::draw(random, file), mode, mtime },
            10..=11 => {
                let content = Content::draw(random, None);
                Self::Write { path: file?, content, mode, mtime }
            }
            12..=13 => {
                let content = Content::draw(random, file.clone());
                Self::Replace { path: file?, content, mode, mtime }
            }
            14..=17 => Self::draw_edit(random, uploads, file?, mtime)?,
            18..=20 => Self::Remove { path: any?, mtime },
            21..=23 => Self::draw_rename(any?, new?, mtime)?,
            24..=25 => Self::HardLink { existing: file?, new: new?, mtime },
            26 => {
                let target = PathBuf::from("../".repeat(random.index(3))).join(any?);
                Self::Symlink { path: new?, target, mtime }
            }
            27..=29 => Self::MakeDir { path: new?, mode: mode | 0o700, mtime },
            30..=32 => Self::Touch { path: any?, mtime },
            _ => Self::Permit { path: file?, mode },
        })
    }

    fn draw_edit(
        random: &mut Random,
        uploads: &Uploads,
        path: PathBuf,
        mtime: Time,
    ) -> Option<Self> {
        let Node::File(number) = uploads.tree.nodes[&path] else { return None };
        let file_len = uploads.tree.inodes[&number].bytes.len();
        if file_len == 0 {
            return None;
        }
        let at = random.index(file_len);
        let len = 1 + random.index((file_len - at).min(3000));
        let mtime = (random.below(3) > 0).then_some(mtime);
        Some(Self::Edit { path, at, seed: random.next(), len, mtime })
    }

    fn draw_rename(from: PathBuf, to: PathBuf, mtime: Time) -> Option<Self> {
        (!to.starts_with(&from)).then_some(Self::Rename { from, to, mtime })
    }

    /// Changes directory and tree.
    pub fn apply(&self, world: &mut World) -> String {
        let uploads = world.uploads.as_mut().unwrap();
        match self {
            Self::Write { path, content, mode, mtime } => {
                uploads.write(path, content.bytes(uploads), *mode, *mtime);
            }
            Self::Replace { path, content, mode, mtime } => {
                uploads.replace(path, content.bytes(uploads), *mode, *mtime);
            }
            Self::Edit { path, at, seed, len, mtime } => {
                uploads.edit(path, *at, &noise(*seed, *len), *mtime);
            }
            Self::Remove { path, mtime } => uploads.remove(path, *mtime),
            Self::Rename { from, to, mtime } => uploads.rename(from, to, *mtime),
            Self::HardLink { existing, new, mtime } => uploads.hard_link(existing, new, *mtime),
            Self::Symlink { path, target, mtime } => {
                uploads.symlink(path, target.clone(), *mtime);
            }
            Self::MakeDir { path, mode, mtime } => uploads.make_dir(path, *mode, *mtime),
            Self::Touch { path, mtime } => uploads.stamp(path, *mtime),
            Self::Permit { path, mode } => uploads.permit(path, *mode),
        }
        String::new()
    }
}

impl Content {
    fn draw(random: &mut Random, like: Option<PathBuf>) -> Self {
        let seed = random.next();
        let len = match random.below(120) {
            0..=9 => 0,
            10..=59 => 1 + random.below(300),
            60..=104 => 1 + random.below(40_000),
            105..=118 => 1 + random.below(400_000),
            _ => LARGE_LEN + random.below(LARGE_LEN),
        };
        let len = usize::try_from(len).unwrap();
        match (random.below(4), like) {
            (0, Some(like)) => Self::Like(like, seed),
            (1, _) => Self::Text(seed, len),
            _ => Self::Noise(seed, len),
        }
    }

    fn bytes(&self, uploads: &Uploads) -> Vec<u8> {
        match self {
            Self::Noise(seed, len) => noise(*seed, *len),
            Self::Text(seed, len) => {
                let words = noise(*seed, 64);
                words.iter().cycle().map(|byte| b'a' + byte % 16).take(*len).collect()
            }
            Self::Like(path, seed) => {
                let Node::File(number) = uploads.tree.nodes[path] else {
                    panic!("{} is no file", path.display());
                };
                [uploads.tree.inodes[&number].bytes.as_slice(), &noise(*seed, 100)].concat()
            }
        }
    }
}

fn pick(random: &mut Random, paths: &[PathBuf]) -> Option<PathBuf> {
    (!paths.is_empty()).then(|| random.pick(paths).clone())
}

/// Draws a path at which there is nothing yet.
fn new_path(random: &mut Random, uploads: &Uploads) -> Option<PathBuf> {
    let parent = random.pick(&uploads.tree.dirs()).clone();
    let path = parent.join(OsStr::from_bytes(NAMES[random.index(NAMES.len())]));
    let is_free = !uploads.tree.nodes.contains_key(&path);
    (is_free && path.components().count() <= PATH_DEPTH_MAX).then_some(path)
}
