//! Every target over its seeds, and over some changes of them.

use super::{TARGETS, target};

/// Seeds of a target that are changed, and changes of each: of those that read a whole VM or heap fewer.
fn counts(name: &str) -> (usize, u64) {
    match name {
        "vm" => (3, 1),
        "heap" | "klass" => (6, 2),
        _ => (20, 10),
    }
}

fn next(random: &mut u64) -> usize {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    (*random >> 1) as usize
}

/// A few bytes become others, words huge; every fourth is cut off.
fn changed(seed: &[u8], number: u64) -> Vec<u8> {
    let (mut out, mut random) = (seed.to_vec(), (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    for _ in 0..1 + next(&mut random) % 4 {
        let at = next(&mut random) % out.len().max(1);
        let new = [0xff, 0, 0x7f, 0x80, 1, next(&mut random) as u8][next(&mut random) % 6];
        let len = [1, 1, 2, 4, 8][next(&mut random) % 5];
        out.iter_mut().skip(at).take(len).for_each(|b| *b = new);
    }
    if number.is_multiple_of(4) {
        out.truncate(next(&mut random) % out.len().max(1));
    }
    out
}

fn run(name: &str) {
    let target = target(name).expect("a target");
    let seeds = (target.seeds)();
    assert!(!seeds.is_empty(), "{name} has no seeds");
    (target.run)(&[]);
    let (most, changes) = counts(name);
    let step = seeds.len().div_ceil(most);
    for seed in seeds.iter().step_by(step) {
        (target.run)(seed);
        (0..changes).for_each(|number| (target.run)(&changed(seed, number)));
    }
}

/// A test for each target.
macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test] fn $name() { run(stringify!($name)); })*

        #[test]
        fn all_are_tested() {
            assert_eq!(TARGETS.map(|t| t.name), [$(stringify!($name)),*]);
        }
    };
}

targets! {
    core notes link_map library eh_frame vmstructs vm klass field_stream heap debug_info oop_map bytecodes frames gzip
    packed bundle hprof perfdata words
}
