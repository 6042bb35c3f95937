//! What the filter may be told to do.

/// What the filter does wrong, and when.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Behaviour {
    /// `unchanged`: nothing is wrong, and nothing is done.
    #[default]
    Unchanged,
    /// `loop`: a call never ends.
    Loop,
    /// `configure-loop`: being configured never ends.
    ConfigureLoop,
    /// `describe-loop`: describing itself never ends.
    DescribeLoop,
    /// `spin=N`: a call takes so many steps.
    Spin(u64),
    /// `memory`: a call takes memory without end.
    Memory,
    /// `configure-memory`: being configured takes memory without end.
    ConfigureMemory,
    /// `recursion`: a call goes deeper without end.
    Recursion,
    /// `wild-write`: a call writes outside of its memory.
    WildWrite,
    /// `panic`: a call panics.
    Panic,
    /// `configure-error=N`: the configuration is refused with so many bytes.
    ConfigureError(usize),
    /// `describe-name=N`: its name has so many bytes.
    DescribeName(usize),
    /// `labels=N`: the answer has so many labels, whose names and values are short.
    Labels(usize),
    /// `value=N`: the answer is one label with a value of so many bytes.
    Value(usize),
    /// `duplicates`: the answer holds a name twice.
    Duplicates,
    /// `patch-duplicates`: the patch sets a name twice.
    PatchDuplicates,
    /// `empty-name`: the answer holds a label without a name.
    EmptyName,
    /// `not-utf8`: the answer holds text that is none.
    NotUtf8,
    /// `log=N`: a call logs so many lines of a mebibyte.
    Log(u64),
    /// `trap-every=N`: each N-th call of an instance panics.
    TrapEvery(u64),
    /// `counter`: the label `count` is the number of the call, which is no function of the labels.
    Counter,
    /// `honest-counter`: the same, and it says so.
    HonestCounter,
    /// `drop-reason`: drops, and the reason is the value of the label `reason`.
    DropReason,
    /// `lookup=TABLE`: adds the row of this table whose key is the value of the label `key`.
    Lookup(String),
    /// `build`: the label `build` says which build of the filter this is.
    Build,
}

impl Behaviour {
    /// The behaviour that a configuration asks for.
    ///
    /// # Errors
    /// The configuration, where it asks for none.
    pub fn parse(config: &str) -> Result<Self, String> {
        let (name, argument) = config.split_once('=').unwrap_or((config, ""));
        let number = || argument.parse::<u64>().map_err(|_| format!("{argument:?} is no number"));
        let size = || argument.parse::<usize>().map_err(|_| format!("{argument:?} is no number"));
        Ok(match name {
            "unchanged" => Self::Unchanged,
            "loop" => Self::Loop,
            "configure-loop" => Self::ConfigureLoop,
            "describe-loop" => Self::DescribeLoop,
            "spin" => Self::Spin(number()?),
            "memory" => Self::Memory,
            "configure-memory" => Self::ConfigureMemory,
            "recursion" => Self::Recursion,
            "wild-write" => Self::WildWrite,
            "panic" => Self::Panic,
            "configure-error" => Self::ConfigureError(size()?),
            "describe-name" => Self::DescribeName(size()?),
            "labels" => Self::Labels(size()?),
            "value" => Self::Value(size()?),
            "duplicates" => Self::Duplicates,
            "patch-duplicates" => Self::PatchDuplicates,
            "empty-name" => Self::EmptyName,
            "not-utf8" => Self::NotUtf8,
            "log" => Self::Log(number()?),
            "trap-every" => Self::TrapEvery(number()?.max(1)),
            "counter" => Self::Counter,
            "honest-counter" => Self::HonestCounter,
            "drop-reason" => Self::DropReason,
            "lookup" => Self::Lookup(argument.to_owned()),
            "build" => Self::Build,
            _ => return Err(format!("{name:?} is no behaviour")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_names_a_behaviour_or_is_refused() {
        assert_eq!(Behaviour::parse("loop"), Ok(Behaviour::Loop));
        assert_eq!(Behaviour::parse("spin=12"), Ok(Behaviour::Spin(12)));
        assert_eq!(Behaviour::parse("lookup=teams"), Ok(Behaviour::Lookup("teams".to_owned())));
        assert_eq!(Behaviour::parse("spin=x"), Err("\"x\" is no number".to_owned()));
        assert_eq!(Behaviour::parse("kind"), Err("\"kind\" is no behaviour".to_owned()));
    }
}
