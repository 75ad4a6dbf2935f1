//! Everything from one seed: sources that change, runs that die, stores that fail, and a model
//! that the program has to agree with after every step.
//!
//! A failing world tells its seed and every step until the one that failed, which comes last;
//! `IDSWYFT_VAULT_TEST_SEED=… tests/run simulation` makes it happen again.

mod change;
mod check;
mod cold;
mod copies;
mod creation;
mod defects;
mod determinism;
mod dump;
mod faults;
mod healing;
mod hostile;
mod mirrors;
mod place;
mod rebuild;
mod reference;
mod restore;
mod roll;
mod rows;
mod snapshot;
mod step;
mod time;
mod tree;
mod uploads;
mod verify;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use step::Step;
use tempfile::TempDir;
use world::World;

use crate::support::{Figure, Random, is_long};

/// Steps of a world.
const STEP_COUNT: usize = 36;

/// Lets the world of a seed live; returns it, and what happened.
fn live(seed: u64, root: &Path) -> (World, Vec<String>) {
    let mut history = Vec::new();
    match catch_unwind(AssertUnwindSafe(|| try_live(seed, root, &mut history))) {
        Ok(world) => (world, history),
        Err(_) => panic!("IDSWYFT_VAULT_TEST_SEED={seed} ends so:\n{}", history.join("\n")),
    }
}

fn try_live(seed: u64, root: &Path, history: &mut Vec<String>) -> World {
    let mut world = World::create(seed, root);
    history.push(format!("     {:?}", world.faults));
    check::check_lists(&world);
    for index in 1..=STEP_COUNT {
        let step = Step::draw(&mut world);
        history.push(format!("{index:>4} {step:?}"));
        let outcome = step::apply(&mut world, &step);
        if !outcome.is_empty() {
            history.push(format!("     = {outcome}"));
        }
        check::check_lists(&world);
        if step.reaches_stores() {
            check::check_contents(&mut world);
        }
        world.step_count += 1;
    }
    world
}

/// Makes a directory in memory where there is one: thousands of worlds sync a lot.
fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

#[test]
fn the_program_agrees_with_the_model_after_every_step() {
    let mut random = Random::new();
    let world_count = if is_long() { 2000 } else { 24 };
    let mut seed = random.seed();
    for index in 0..world_count {
        if index % 100 == 0 {
            eprintln!("{index} of {world_count} worlds");
        }
        let dir = scratch();
        live(seed, dir.path());
        seed = random.next();
    }
    let test = "the_program_agrees_with_the_model";
    let what = "simulated vaults with their sources, stores and faults, each from a seed";
    Figure { what, test }.record(world_count);
    let what = "steps of them, after each of which the program agreed with the model";
    Figure { what, test }.record(world_count * STEP_COUNT);
}
