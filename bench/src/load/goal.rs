//! What is wanted of a program, as a ratio to another one of the same run.

use std::fmt::{self, Display};

use super::program::{BARE, FLAMEGATE, NGINX};
use super::report::Sample;

/// Of the plain path.
pub(crate) const GOALS: [Goal; 2] = [
    Goal { program: FLAMEGATE, over: BARE, figure: Figure::Cpu, bound: Bound::AtMost(1.15) },
    Goal { program: FLAMEGATE, over: NGINX, figure: Figure::Cpu, bound: Bound::AtMost(1.5) },
];

/// A bound on a ratio.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal {
    /// Whose figure is divided.
    pub(crate) program: &'static str,
    /// By whose.
    pub(crate) over: &'static str,
    pub(crate) figure: Figure,
    pub(crate) bound: Bound,
}

/// Which figure of a [`Sample`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Figure {
    /// CPU time a request.
    Cpu,
}

/// How large a ratio may be.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Bound {
    AtMost(f64),
    /// It is told, and may be what it is.
    Printed,
}

impl Figure {
    pub(crate) fn of(self, sample: &Sample) -> f64 {
        match self {
            Figure::Cpu => sample.cpu_per_1000,
        }
    }
}

impl Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Figure::Cpu => "CPU",
        })
    }
}

impl Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bound::AtMost(ratio) => write!(f, "   goal <= {ratio}"),
            Bound::Printed => Ok(()),
        }
    }
}
