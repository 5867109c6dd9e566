//! Inputs that strangers might make up, and those that once did harm. The fuzzer finds them; here they stay found.

use std::fs;
use std::path::Path;

#[path = "../fuzz/bodies/mod.rs"]
mod bodies;

/// The inputs of a check.
fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let files = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let file = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.unwrap();
        (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
    };
    files.map(file).collect()
}

#[test]
fn every_input_that_was_ever_found_is_survived() {
    let mut broken = Vec::new();
    for target in &bodies::TARGETS {
        let inputs = corpus(target.name);
        assert!(inputs.len() >= 5, "the corpus of {} is gone", target.name);
        for (file, input) in inputs {
            // What panicked was printed; the rest is tried all the same.
            if std::panic::catch_unwind(|| (target.check)(&input)).is_err() {
                broken.push(format!("{}/{file}", target.name));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn every_check_has_its_place_in_the_fuzzer() {
    let manifest = include_str!("../fuzz/Cargo.toml");
    for target in &bodies::TARGETS {
        assert!(manifest.contains(&format!("path = \"targets/{}.rs\"", target.name)), "{} is not built", target.name);
    }
    assert_eq!(manifest.matches("[[bin]]").count(), bodies::TARGETS.len());
}
