//! What is archived each night: pieces of content by number. Equal content has equal numbers.

use std::collections::VecDeque;

use super::random::Random;
use super::setup::SourceSetup;

/// A piece of content.
pub type Content = u32;

/// The streams of a snapshot; packs hold one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Stream,
    File,
    Tree,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Stream, Self::File, Self::Tree];

    /// Returns the stored length of a piece.
    pub const fn piece_len(self, setup: &SourceSetup) -> u64 {
        match self {
            Self::Stream => setup.stream.1,
            Self::File => setup.files.1,
            Self::Tree => setup.tree.1,
        }
    }
}

/// Files that went and may come back.
const GONE_MAX: usize = 500;

/// A source that changes.
pub struct Source {
    setup: SourceSetup,
    next: Content,
    stream: Vec<Content>,
    files: VecDeque<Vec<Content>>,
    tree: Vec<Content>,
    gone: VecDeque<Content>,
}

impl Source {
    /// Begins with a full dump, and with as many files as live at a time.
    pub fn new(setup: &SourceSetup) -> Self {
        let (stream, files, tree, gone) = Default::default();
        let mut source = Self { setup: setup.clone(), next: 0, stream, files, tree, gone };
        source.stream = source.fresh(setup.stream.0);
        for _ in 0..setup.file_nights.unwrap_or(90) {
            let night = source.fresh(setup.files.0);
            source.files.push_back(night);
        }
        source.tree = source.fresh(source.tree_count());
        source
    }

    /// Goes on to the next night.
    pub fn pass_night(&mut self, random: &mut Random) {
        for at in 0..self.stream.len() {
            if random.happens(self.setup.stream_permille) {
                self.stream[at] = self.one();
            }
        }
        let mut come = self.fresh(self.setup.files.0);
        if random.happens(self.setup.comeback_permille) && !self.gone.is_empty() {
            come.push(self.gone[random.below(self.gone.len())]);
        }
        self.files.push_back(come);
        if self.setup.file_nights.is_some_and(|nights| self.files.len() > nights) {
            let went = self.files.pop_front().unwrap_or_default();
            self.gone.extend(went);
            self.gone.drain(..self.gone.len().saturating_sub(GONE_MAX));
        }
        self.change_tree(random);
    }

    /// Lines come and go all over the tree, as files do.
    fn change_tree(&mut self, random: &mut Random) {
        let count = self.tree_count();
        while self.tree.len() < count {
            let piece = self.one();
            self.tree.push(piece);
        }
        for _ in 0..self.tree.len().div_ceil(20) {
            let at = random.below(self.tree.len());
            self.tree[at] = self.one();
        }
    }

    /// Returns every piece of a stream, in order.
    pub fn pieces(&self, kind: Kind) -> Box<dyn Iterator<Item = Content> + '_> {
        match kind {
            Kind::Stream => Box::new(self.stream.iter().copied()),
            Kind::File => Box::new(self.files.iter().flatten().copied()),
            Kind::Tree => Box::new(self.tree.iter().copied()),
        }
    }

    fn tree_count(&self) -> usize {
        let files = self.files.len() * self.setup.files.0;
        (files * self.setup.tree.0).div_ceil(1000).max(1)
    }

    fn fresh(&mut self, count: usize) -> Vec<Content> {
        (0..count).map(|_| self.one()).collect()
    }

    const fn one(&mut self) -> Content {
        self.next += 1;
        self.next
    }
}
