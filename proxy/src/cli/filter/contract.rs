//! The worlds of the contract, and which of them a component fits.

use super::interfaces::Interfaces;

const PACKAGE: &str = "flamegate:filter/";
/// What the host implements; later versions of the same 0.x keep its meaning.
const VERSION: &str = "0.1";

/// A world of `wit/`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct World {
    pub(super) name: &'static str,
    /// The interfaces that it exports.
    exports: &'static [&'static str],
    /// The interfaces that the host offers to it.
    imports: &'static [&'static str],
}

/// All of them.
const WORLDS: [World; 3] = [
    World { name: "labels-filter", exports: &["lifecycle", "filter-labels"], imports: &["log", "tables"] },
    World {
        name: "packed-labels-filter",
        exports: &["lifecycle", "filter-labels-packed"],
        imports: &["log", "tables"],
    },
    World { name: "profile-filter", exports: &["lifecycle", "filter-profile"], imports: &["log", "tables", "profile"] },
];
/// What filters of every world may import: types alone, and what they are granted.
const OFFERED_TO_ALL: [&str; 2] = ["types", "clock"];

/// What a component is to the contract.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fit {
    /// The world that it fits, or comes next to.
    pub(super) world: &'static World,
    /// What is missing or too much, and what to do; empty where it fits.
    pub(super) problems: Vec<String>,
}

impl Fit {
    /// Goes by the names; whether the types are the right ones shows when it is compiled.
    pub(super) fn of(found: &Interfaces) -> Self {
        let fits = WORLDS.iter().map(|world| Self { world, problems: problems(world, found) });
        let [labels, packed, profile] = &WORLDS;
        // What it exports says what it is meant to be.
        let meant = [profile, packed, labels].into_iter().find(|world| {
            world.exports.iter().skip(1).any(|wanted| found.exports.iter().any(|export| is(export, wanted)))
        });
        let meant = meant.unwrap_or(labels);
        let best = fits.into_iter().min_by_key(|fit| (!fit.problems.is_empty(), fit.world != meant));
        best.unwrap_or(Self { world: labels, problems: Vec::new() })
    }
}

fn problems(world: &World, found: &Interfaces) -> Vec<String> {
    let missing = world.exports.iter().filter(|wanted| !found.exports.iter().any(|export| is(export, wanted)));
    let missing = missing.map(|wanted| {
        format!("it does not export {PACKAGE}{wanted}@{VERSION}.0: implement it, as the world {} says", world.name)
    });
    let offered = |import: &str| world.imports.iter().chain(&OFFERED_TO_ALL).any(|name| is(import, name));
    let foreign = found.imports.iter().filter(|import| !offered(import));
    missing.chain(foreign.map(|import| format!("it imports {import}: {}", remedy(import)))).collect()
}

/// What to do about an import that the host does not offer.
fn remedy(import: &str) -> String {
    let name = import.strip_prefix(PACKAGE).and_then(|name| name.split('@').next());
    if import.starts_with("wasi:") {
        return "a filter has no system, neither files nor network, and of the time only flamegate:filter/clock. Build for wasm32-unknown-unknown (Rust), \
                with --stub-wasi (Python, JavaScript), with the adapter no_wasi.wat (Go), or without the function of \
                the library that asks for it (C)"
            .to_owned();
    }
    match name {
        Some("profile") => "only filters of the world profile-filter see profiles".to_owned(),
        Some(_) => {
            format!("this host offers version {VERSION} of the contract; `flamegate filter new` writes its wit/")
        }
        None => "the host offers nothing of that name".to_owned(),
    }
}

/// Whether it is the contract's interface of this name, in a version that the host has.
fn is(found: &str, name: &str) -> bool {
    let rest = found.strip_prefix(PACKAGE).and_then(|rest| rest.strip_prefix(name));
    let version = rest.and_then(|rest| rest.strip_prefix('@')).and_then(|version| version.strip_prefix(VERSION));
    version.is_some_and(|patch| patch.is_empty() || patch.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIT: [&str; 3] = [
        include_str!("../../../../wit/filter.wit"),
        include_str!("../../../../wit/packed.wit"),
        include_str!("../../../../wit/profile.wit"),
    ];

    #[test]
    fn the_worlds_are_those_of_the_contract() {
        let mut worlds = 0;
        for text in WIT {
            assert!(text.contains(&format!("package {}@{VERSION}.0;", PACKAGE.trim_end_matches('/'))));
            for world in text.split("\nworld ").skip(1) {
                let (name, body) = world.split_once(" {").unwrap();
                let body = body.split_once("\n}").unwrap().0;
                let named = |keyword: &str| -> Vec<String> {
                    let lines = body.lines().filter_map(|line| line.trim().strip_prefix(keyword));
                    lines.map(|line| line.trim().trim_end_matches(';').to_owned()).collect()
                };
                let ours = WORLDS.iter().find(|ours| ours.name == name).unwrap();
                assert_eq!(ours.imports.to_vec(), named("import "), "{name}");
                assert_eq!(ours.exports.to_vec(), named("export "), "{name}");
                worlds += 1;
            }
        }
        assert_eq!(worlds, WORLDS.len());
    }

    #[test]
    fn a_component_is_measured_by_the_world_that_it_comes_next_to() {
        const LIFECYCLE: &str = "flamegate:filter/lifecycle@0.1.0";
        const LABELS: &str = "flamegate:filter/filter-labels@0.1.3";
        const PROFILE: &str = "flamegate:filter/filter-profile@0.1.0";
        const LOG: &str = "flamegate:filter/log@0.1.0";
        type Case = (&'static [&'static str], &'static [&'static str], &'static str, &'static [&'static str]);
        let cases: [Case; 7] = [
            (&[LOG, "flamegate:filter/types@0.1.0"], &[LIFECYCLE, LABELS], "labels-filter", &[]),
            (&[], &[LIFECYCLE, "flamegate:filter/filter-labels-packed@0.1.0"], "packed-labels-filter", &[]),
            (&["flamegate:filter/profile@0.1.0"], &[LIFECYCLE, PROFILE], "profile-filter", &[]),
            (&["flamegate:filter/profile@0.1.0"], &[LIFECYCLE, LABELS], "labels-filter", &["world profile-filter"]),
            (
                &["wasi:io/poll@0.2.3"],
                &[LIFECYCLE, PROFILE],
                "profile-filter",
                &["wasi:io/poll@0.2.3: a filter has no system"],
            ),
            (
                &["a:b/c"],
                &[LABELS],
                "labels-filter",
                &["not export flamegate:filter/lifecycle@0.1.0", "nothing of that name"],
            ),
            (&["flamegate:filter/log@0.2.0"], &[LIFECYCLE, LABELS], "labels-filter", &["this host offers version 0.1"]),
        ];
        for (imports, exports, world, says) in cases {
            let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            let fit = Fit::of(&Interfaces { imports: owned(imports), exports: owned(exports) });
            assert_eq!((fit.world.name, fit.problems.len()), (world, says.len()), "{fit:?}");
            for (problem, part) in fit.problems.iter().zip(says) {
                assert!(problem.contains(part), "{problem}");
            }
        }
    }
}
