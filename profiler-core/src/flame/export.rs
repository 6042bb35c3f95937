//! A tree for other programs.

use super::{Place, ROOT, SampleType, Side, Tree};
use crate::pprof::{Function, Line, Location, Profile, Sample, ValueType};

impl Tree {
    /// One side as a profile: names of functions, and neither lines nor addresses, which merging has left behind.
    #[must_use]
    pub fn to_pprof(&self, of: &SampleType, side: Side) -> Profile {
        // The first name is that of the root: the empty string that the table begins with.
        let mut string_table: Vec<String> = self.names.iter().map(ToString::to_string).collect();
        let kind = string_table.len() as i64;
        string_table.extend([of.kind.clone(), of.unit.clone()]);
        let ids = 1..self.names.len() as u64;
        let function = |id: u64| Function { id, name: id.cast_signed(), ..Function::default() };
        let location = |id| {
            let line = vec![Line { function_id: id, ..Line::default() }];
            Location { id, line, ..Location::default() }
        };
        Profile {
            sample_type: vec![ValueType { kind, unit: kind + 1 }],
            function: ids.clone().map(function).collect(),
            location: ids.map(location).collect(),
            sample: self.stacks(side).map(|(place, value)| self.sample(place, value)).collect(),
            string_table,
            ..Profile::default()
        }
    }

    /// One side as lines, each of the functions of a stack, the outermost first, and a value: what most programs that draw
    /// flame graphs read.
    pub fn folded(&self, side: Side) -> impl Iterator<Item = String> {
        self.stacks(side).map(|(place, value)| {
            let line = self.line(place);
            let name = |place: &Place| self.node(*place).map_or("", |node| self.name(node));
            // What separates frames and lines cannot stand in them.
            let names: Vec<String> =
                line.iter().map(|place| name(place).replace(';', ":").replace(char::is_control, " ")).collect();
            format!("{} {value}", names.join(";"))
        })
    }

    /// Where stacks end, and their values.
    fn stacks(&self, side: Side) -> impl Iterator<Item = (Place, u64)> {
        let places = self.nodes.iter().zip(ROOT..).skip(1);
        places.map(move |(node, place)| (place, node.own.of(side))).filter(|(_, value)| *value > 0)
    }

    fn sample(&self, place: Place, value: u64) -> Sample {
        let name = |place: &Place| self.node(*place).map(|node| u64::from(node.name));
        Sample {
            location_id: self.line(place).iter().rev().filter_map(name).collect(),
            value: vec![i64::try_from(value).unwrap_or(i64::MAX)],
            label: Vec::new(),
        }
    }
}
