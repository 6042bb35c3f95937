//! Graphs of texts: what is built, kept and refused.

use std::any::Any;
use std::sync::Mutex;

use alloy_syntax::schema::Export;
use alloy_syntax::{Arguments, Invalid, parse_file};

use super::*;
use crate::component::{Changed, Component, Context};
use crate::config;
use crate::filters::FilterHost;
use crate::import::{ImportFile, ImportString, Imported};

mod changes;
mod loading;
mod modules;

/// Exports what it is given, until told to export something else.
struct Source {
    exports: Mutex<Value>,
    changed: Changed,
}

#[derive(Debug, PartialEq, Arguments)]
struct SourceArguments {
    #[alloy(attr, optional)]
    value: Value,
}

impl Component for Source {
    const NAME: &'static str = "test.source";
    const SUMMARY: &'static str = "Exports a value.";
    const EXPORTS: &'static [Export] = &[Export { name: "value", type_name: "any", doc: "The value." }];
    type Arguments = SourceArguments;

    fn build(arguments: &SourceArguments, context: &Context<'_>, _: Option<&Self>) -> Result<Self, Invalid> {
        let exports = Mutex::new(arguments.value.clone());
        Ok(Self { exports, changed: context.changed() })
    }

    fn exports(&self) -> Value {
        Value::object([("value", self.exports.lock().unwrap().clone())])
    }
}

/// Takes a number.
struct Sink(i64);

#[derive(Debug, PartialEq, Arguments)]
struct SinkArguments {
    #[alloy(attr, optional)]
    number: i64,
}

impl Component for Sink {
    const NAME: &'static str = "test.sink";
    const SUMMARY: &'static str = "Takes a number.";
    const EXPORTS: &'static [Export] = &[Export { name: "doubled", type_name: "number", doc: "Twice the number." }];
    type Arguments = SinkArguments;

    fn build(arguments: &SinkArguments, _: &Context<'_>, _: Option<&Self>) -> Result<Self, Invalid> {
        if arguments.number < 0 {
            return Err(Invalid::attribute("number", "must not be negative"));
        }
        Ok(Self(arguments.number))
    }

    fn exports(&self) -> Value {
        Value::object([("doubled", Value::from(self.0 * 2))])
    }
}

/// A module that someone else has written.
struct Remote(Imported);

#[derive(Debug, PartialEq, Arguments)]
struct RemoteArguments {
    #[alloy(attr)]
    text: String,
}

impl Component for Remote {
    const NAME: &'static str = "import.remote";
    const SUMMARY: &'static str = "Brings what it is told.";
    type Arguments = RemoteArguments;

    fn build(arguments: &RemoteArguments, _: &Context<'_>, _: Option<&Self>) -> Result<Self, Invalid> {
        let files = vec![config::Source { name: "remote".to_owned(), text: arguments.text.clone() }];
        Ok(Self(Imported { files, module_path: "".into(), remote: true }))
    }

    fn exports(&self) -> Value {
        self.0.exports()
    }
}

const KINDS: &[Kind] = &[
    Kind::of::<Source>(),
    Kind::of::<Sink>(),
    Kind::import::<ImportString>(),
    Kind::import::<ImportFile>(),
    Kind::remote_import::<Remote>(),
];

struct Bench {
    services: Services,
    graph: Graph,
    text: Text,
}

impl Bench {
    fn new() -> Self {
        let services = Services::new("unused".into(), FilterHost::default());
        Self { services, graph: Graph::default(), text: text("") }
    }

    fn of(config: &str) -> Self {
        let mut bench = Self::new();
        bench.load(config).unwrap();
        bench
    }

    /// Loads a configuration; what is different, or what is wrong.
    fn load(&mut self, config: &str) -> Result<String, Vec<String>> {
        let text = text(config);
        let prepared = self.graph.prepare(&text, KINDS, &self.services).map_err(|refused| messages(&refused))?;
        self.text = text;
        Ok(self.commit(prepared))
    }

    /// Evaluates what has changed.
    fn follow(&mut self) -> Result<String, Vec<String>> {
        let changed = self.services.changes.take().into_keys().collect();
        let prepared = self.graph.prepare_again(&self.text, KINDS, &self.services, &changed);
        prepared.map(|prepared| self.commit(prepared)).map_err(|refused| messages(&refused))
    }

    fn commit(&mut self, prepared: Prepared) -> String {
        let Diff { kept, added, replaced, removed } = prepared.diff();
        self.graph = prepared.commit().0;
        let signs = [("=", kept), ("+", added), ("~", replaced), ("-", removed)];
        let words = signs.into_iter().map(|(sign, ids)| {
            let mut words: Vec<String> = ids.into_iter().map(|id| format!("{sign}{id}")).collect();
            words.sort();
            words
        });
        words.flatten().collect::<Vec<_>>().join(" ")
    }

    /// Lets a source export something else.
    fn set(&self, source: &str, value: &Value) {
        self.with(source, |source: &Source| {
            *source.exports.lock().unwrap() = value.clone();
            source.changed.tell();
        });
    }

    /// What a sink has.
    fn number(&self, sink: &str) -> i64 {
        let mut number = None;
        self.with(sink, |sink: &Sink| number = Some(sink.0));
        number.unwrap()
    }

    fn with<C: Component>(&self, path: &str, mut then: impl FnMut(&C)) {
        let components = self.graph.components();
        let (_, component) = components.iter().find(|(labels, _)| labels.to_string() == path).unwrap();
        let component: &dyn Any = &***component;
        then(component.downcast_ref().unwrap());
    }
}

fn text(config: &str) -> Text {
    Text { files: vec![parse_file("test", config).unwrap()], module_path: "/etc/flamegate".to_owned() }
}

fn messages(refused: &Refused) -> Vec<String> {
    refused.diagnostics.iter().map(ToString::to_string).collect()
}

/// A custom component that adds.
const MODULE: &str = r#"
declare "add" {
  argument "a" { }
  argument "b" {
    optional = true
    default = 10
  }
  test.sink "sum" { number = argument.a.value + argument.b.value }
  export "sum" { value = test.sink.sum.doubled / 2 }
}
"#;
