//! Arrows point down; services share only the protos.

use std::collections::BTreeMap;
use std::path::Path;

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

/// Where a crate of ours stands in the tree.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Lib,
    Service,
    Test,
}

fn packages() -> BTreeMap<String, (Place, Package)> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
    let options = ["--offline".to_owned()];
    let metadata = MetadataCommand::new().manifest_path(manifest).no_deps().other_options(options).exec().unwrap();
    let root = metadata.workspace_root.clone();
    let placed = metadata.packages.into_iter().map(|package| {
        let path = package.manifest_path.strip_prefix(&root).unwrap().as_str().to_owned();
        let place = match path.split('/').next() {
            Some("libs") => Place::Lib,
            Some("services") => Place::Service,
            Some("tests") => Place::Test,
            _ => panic!("{path} is neither in libs nor in services nor in tests"),
        };
        (package.name.to_string(), (place, package))
    });
    placed.collect()
}

/// May `from` use `to` in what it ships?
fn is_allowed(from: &str, place: Place, to: &str, to_place: Place) -> bool {
    match (place, from) {
        (Place::Test, _) => true,
        (Place::Service, "adplane") => to_place != Place::Test,
        (Place::Service, _) => ["graph", "storage", "runtime", "rpc", "proto", "vocabulary"].contains(&to),
        (Place::Lib, "graph" | "client") => ["rpc", "proto", "vocabulary"].contains(&to),
        (Place::Lib, "rpc") => ["proto", "vocabulary"].contains(&to),
        (Place::Lib, _) => false,
    }
}

/// In its own tests a crate may also use what exists for tests; the sandbox stands for Meta there.
fn is_allowed_in_tests(from: &str, place: Place, to: &str, to_place: Place) -> bool {
    is_allowed(from, place, to, to_place) || to_place == Place::Test || ["devstack", "sandbox"].contains(&to)
}

#[test]
fn arrows_point_down() {
    let packages = packages();
    let mut wrong = Vec::new();
    for (from, (place, package)) in &packages {
        for dependency in &package.dependencies {
            let Some((to_place, _)) = packages.get(&dependency.name) else { continue };
            let allowed = match dependency.kind {
                DependencyKind::Development => is_allowed_in_tests(from, *place, &dependency.name, *to_place),
                _ => is_allowed(from, *place, &dependency.name, *to_place),
            };
            if !allowed {
                wrong.push(format!("{from} -> {}", dependency.name));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that the dependency rule does not have: {wrong:#?}");
}

#[test]
fn nothing_is_switched_by_a_cargo_feature() {
    let packages = packages();
    let with_features = packages.iter().filter(|(_, (_, package))| !package.features.is_empty());
    let names: Vec<_> = with_features.map(|(name, _)| name).collect();
    assert!(names.is_empty(), "what is tested is what runs, so no crate of ours has features: {names:?}");
}
