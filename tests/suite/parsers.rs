//! Every parser, over the vectors and over thousands of mutations of them.

#[path = "../fuzz/seeds.rs"]
mod seeds;
#[path = "../fuzz/targets.rs"]
mod targets;

use crate::support::{Figure, Random, is_long};

use targets::{TARGETS, Target};

/// Mutations of each target in a usual run, and at length.
const MUTATION_COUNT: usize = 600;
const MUTATION_COUNT_LONG: usize = 100_000;
/// Longest input that is made larger.
const INPUT_LEN_MAX: usize = 1 << 17;
/// Numbers at which arithmetic breaks.
const EDGES: [u64; 10] =
    [0, 1, 0xff, 0x7fff_ffff, 0xffff_ffff, 1 << 40, 1 << 53, (1 << 53) + 1, u64::MAX - 1, u64::MAX];

/// Changes an input in one of the ways that find something.
fn mutate(input: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.index(input.len() + 1);
    let edge = *random.pick(&EDGES);
    match random.below(8) {
        0 if at < input.len() => input[at] ^= 1 << random.below(8),
        1 if at < input.len() => input[at] = edge.to_le_bytes()[0],
        2 => input.truncate(at),
        3 => drop(input.splice(at..at, edge.to_string().into_bytes())),
        4 => {
            let end = input.len().min(at + 1 + random.index(16));
            drop(input.drain(at..end));
        }
        5 => {
            let len = 1 << random.below(4);
            let end = input.len().min(at + len);
            let bytes = edge.to_le_bytes();
            input[at..end].copy_from_slice(&bytes[..end - at]);
        }
        6 if input.len() < INPUT_LEN_MAX => {
            let from = random.index(input.len() + 1);
            let end = input.len().min(from + random.index(64));
            let part = input[from..end].to_vec();
            drop(input.splice(at..at, part));
        }
        _ => {
            let from = random.index(other.len() + 1);
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
    }
}

fn replay(target: &Target, mutation_count: usize, random: &mut Random) -> usize {
    let seeds = seeds::of(target.name);
    assert!(!seeds.is_empty(), "{} has no seed", target.name);
    seeds.iter().for_each(|seed| (target.run)(seed));
    // Of large seeds as many bytes as of small ones.
    let len: usize = seeds.iter().map(Vec::len).sum::<usize>() / seeds.len();
    let count = mutation_count / (1 + len / 4096).min(20);
    for _ in 0..count {
        let mut input = random.pick(&seeds).clone();
        for _ in 0..=random.below(4) {
            let other = random.pick(&seeds).clone();
            mutate(&mut input, &other, random);
        }
        (target.run)(&input);
    }
    seeds.len() + count
}

#[test]
fn no_parser_panics_or_reads_two_things_of_one() {
    let mut random = Random::new();
    let count = if is_long() { MUTATION_COUNT_LONG } else { MUTATION_COUNT };
    let tried = TARGETS.iter().map(|target| replay(target, count, &mut random)).sum();
    Figure {
        what: "inputs of parsers, mutated from the vectors",
        test: "no_parser_panics_or_reads_two_things_of_one",
    }
    .record(tried);
}
