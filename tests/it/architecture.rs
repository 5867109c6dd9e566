//! Data flows one way: no room of the house imports one above it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms from the bottom up. A room may import itself and what stands before it.
const ROOMS: [&str; 13] = [
    "domain",
    "store",
    "channels",
    "hub",
    "config",
    "shutdown",
    "telemetry",
    "services",
    "workers",
    "ws",
    "http",
    "app",
    "cli",
];

/// Files of the crate's root that are no rooms: they see all.
const ROOTS: [&str; 2] = ["lib", "main"];

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn all_sources() -> Vec<(String, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    files
        .into_iter()
        .map(|path| {
            let first = path.strip_prefix(&root).unwrap().components().next().unwrap();
            let room = first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned();
            (room, path)
        })
        .filter(|(room, _)| !ROOTS.contains(&room.as_str()))
        .collect()
}

/// The rooms named after `crate::` (or after the crate's own name, as the binary says it).
fn imports(source: &str) -> BTreeSet<String> {
    ["crate::", "chaos_relay::"]
        .iter()
        .flat_map(|start| source.split(start).skip(1))
        .filter_map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next())
        .filter(|name| ROOMS.contains(name))
        .map(str::to_owned)
        .collect()
}

#[test]
fn no_room_imports_one_above_it() {
    let height = |room: &str| ROOMS.iter().position(|known| *known == room);
    let files = all_sources();
    assert!(files.len() > 30, "the sources were not found");
    for (room, path) in files {
        let from = height(&room).unwrap_or_else(|| panic!("{room} has no place in the house: {}", path.display()));
        for import in imports(&fs::read_to_string(&path).unwrap()) {
            let to = height(&import).unwrap();
            assert!(to <= from, "{} imports {import}, which stands above {room}", path.display());
        }
    }
}

#[test]
fn the_domain_knows_no_runtime_server_or_database() {
    for (_, path) in all_sources().into_iter().filter(|(room, _)| room == "domain") {
        let source = fs::read_to_string(&path).unwrap();
        for stranger in ["tokio::", "actix", "redis::", "redb::"] {
            assert!(!source.contains(stranger), "{} knows {stranger}", path.display());
        }
    }
}

#[test]
fn files_stay_short_enough_to_be_one_thing() {
    for (_, path) in all_sources() {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 500, "{} has {lines} lines", path.display());
    }
}
