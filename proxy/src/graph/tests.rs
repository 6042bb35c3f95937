//! Graphs of texts: what is built, kept and refused.

use std::any::Any;
use std::collections::BTreeSet;
use std::sync::Mutex;

use alloy_syntax::schema::Export;
use alloy_syntax::{Arguments, Invalid, parse_file};

use super::*;
use crate::component::{Changed, Component, Context};
use crate::config;
use crate::filters::FilterHost;
use crate::import::{ImportFile, ImportString, Imported};

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

#[test]
fn a_module_is_given_arguments_and_gives_exports() {
    let config = format!(
        "{MODULE}
        add \"one\" {{ a = test.source.s.value }}
        add \"two\" {{
            a = add.one.sum
            b = 1
        }}
        test.source \"s\" {{ value = 5 }}
        test.sink \"end\" {{ number = add.two.sum }}"
    );
    let mut bench = Bench::new();
    let diff = bench.load(&config).unwrap();
    assert_eq!(diff, "+add.one/test.sink.sum +add.two/test.sink.sum +test.sink.end +test.source.s");
    assert_eq!([bench.number("add.one/test.sink.sum"), bench.number("add.two/test.sink.sum")], [15, 16]);
    assert_eq!(bench.number("test.sink.end"), 16);
    // What was added last is written last: the graph is sorted by references.
    let order: Vec<String> = bench.graph.components().iter().map(|(labels, _)| labels.to_string()).collect();
    assert_eq!(order, ["test.source.s", "add.one/test.sink.sum", "add.two/test.sink.sum", "test.sink.end"]);
}

#[test]
fn a_reload_builds_what_has_changed_and_keeps_the_rest() {
    let mut bench = Bench::of("test.source \"s\" { value = 1 }\ntest.sink \"a\" { number = test.source.s.value }\n");
    let cases = [
        // The same again, however it is written.
        (
            "test.sink \"a\" { number = 0 + test.source.s.value }\ntest.source \"s\" { value = 1 }",
            "=test.sink.a =test.source.s",
        ),
        (
            "test.sink \"a\" { number = test.source.s.value }\ntest.source \"s\" { value = 2 }",
            "~test.sink.a ~test.source.s",
        ),
        // Built again, but to the same effect for those that refer to it.
        ("test.sink \"a\" { number = 2 * 1 }\ntest.source \"s\" { value = \"x\" }", "=test.sink.a ~test.source.s"),
        ("test.sink \"b\" { number = 2 }", "+test.sink.b -test.sink.a -test.source.s"),
        // An id of another kind is another component.
        ("test.source \"b\" { value = 2 }", "+test.source.b -test.sink.b"),
    ];
    for (config, diff) in cases {
        assert_eq!(bench.load(config).as_deref(), Ok(diff), "{config}");
    }
}

#[test]
fn a_reload_of_modules_keeps_what_is_inside() {
    let mut bench = Bench::of(&format!("{MODULE}\nadd \"one\" {{ a = 1 }}\nadd \"two\" {{ a = 2 }}"));
    let changed = MODULE.replace("default = 10", "default = 20");
    let cases = [
        (
            format!("{MODULE}\nadd \"two\" {{ a = 2 }}\nadd \"one\" {{ a = 3 }}"),
            "=add.two/test.sink.sum ~add.one/test.sink.sum",
        ),
        (format!("{changed}\nadd \"one\" {{ a = 3 }}"), "~add.one/test.sink.sum -add.two/test.sink.sum"),
    ];
    for (config, diff) in cases {
        assert_eq!(bench.load(&config).as_deref(), Ok(diff), "{config}");
    }
}

#[test]
fn a_refused_configuration_changes_nothing_and_says_all_that_is_wrong() {
    let mut bench = Bench::of("test.sink \"a\" { number = 1 }");
    let cases: [(&str, &[&str]); 16] = [
        ("a = 1", &["test:1:1: unrecognized attribute a"]),
        ("test.sink { }", &["test:1:1: component \"test.sink\" must have a label"]),
        ("test.sink \"a\" { }\ntest.sink \"a\" { }", &["test:2:1: block test.sink.a already declared at test:1:1"]),
        ("test.sink \"a\" { number = test.sink.a.doubled }", &["test:1:26: cannot reference self: test.sink.a"]),
        (
            "test.sink \"a\" { number = test.sink.b.doubled }\ntest.sink \"b\" { number = test.sink.a.doubled }",
            &["test:1:1: cycle detected: test.sink.a -> test.sink.b -> test.sink.a"],
        ),
        // What is wrong with the text of one does not hide what is wrong with the values of another.
        (
            "test.sink \"a\" { number = test.sink.x.doubled }\ntest.sink \"b\" { number = \"x\" }\ntest.sink \"c\" { number = test.sink.b.doubled }",
            &[
                "test:1:26: component \"test.sink.x.doubled\" does not exist or is out of scope",
                "test:2:26: \"x\" should be number, got string",
            ],
        ),
        ("test.sink \"a\" { number = -1 }", &["test:1:26: must not be negative"]),
        ("test.other \"a\" { }", &["test:1:1: cannot find the definition of component name \"test.other\""]),
        ("export \"a\" { value = 1 }", &["test:1:1: export blocks are only allowed inside a declare block"]),
        ("declare \"declare\" { }", &["test:1:1: 'declare' is not a valid label for a declare block"]),
        ("declare \"x\" { }\ndeclare \"x\" { }", &["test:2:1: block declare.x already declared at test:1:1"]),
        ("declare \"x\" {\n x \"y\" { }\n}\nx \"z\" { }", &["test:2:2: component \"x\" is made of itself (in /x.z)"]),
        (
            "declare \"x\" {\n argument \"a\" { }\n}\nx \"z\" { b = 1 }",
            &[
                "test:4:1: missing required argument \"a\" to module",
                "test:4:9: Provided argument \"b\" is not defined in the module",
            ],
        ),
        (
            "declare \"x\" {\n test.sink \"s\" { number = test.sink.a.doubled }\n}\nx \"z\" { }\ntest.sink \"a\" { }",
            &["test:2:27: component \"test.sink.a.doubled\" does not exist or is out of scope (in /x.z)"],
        ),
        (
            "import.string \"l\" { content = `test.sink \"a\" { }` }",
            &[
                "import.string.l:1:1: only declare and import blocks are allowed in a module, got test.sink (in /import.string.l)",
            ],
        ),
        ("foreach \"f\" {\n collection = [1]\n var = \"v\"\n}", &["test:1:1: missing required block \"template\""]),
    ];
    for (config, wrong) in cases {
        assert_eq!(bench.load(config).unwrap_err(), wrong, "{config}");
        assert_eq!(bench.number("test.sink.a"), 1, "{config}");
    }
}

#[test]
fn changed_exports_reach_those_that_refer_to_them() {
    let config = format!(
        "{MODULE}
        test.source \"s\" {{ value = 1 }}
        test.source \"t\" {{ value = 1 }}
        test.sink \"a\" {{ number = test.source.s.value }}
        test.sink \"half\" {{ number = test.source.s.value / 2 }}
        test.sink \"other\" {{ number = test.source.t.value }}
        add \"m\" {{ a = test.source.s.value }}
        test.sink \"after\" {{ number = add.m.sum }}"
    );
    let mut bench = Bench::of(&config);
    assert_eq!(bench.number("test.sink.after"), 11);
    bench.set("test.source.s", &Value::from(0_i64));
    let diff = bench.follow().unwrap();
    // 1 / 2 was 0 before: what has not changed is not built again, and what does not refer to it is not looked at.
    assert_eq!(
        diff,
        "=test.sink.half =test.sink.other =test.source.s =test.source.t ~add.m/test.sink.sum ~test.sink.a ~test.sink.after"
    );
    assert_eq!([bench.number("test.sink.a"), bench.number("test.sink.after")], [0, 10]);
    assert_eq!(bench.follow().unwrap().matches('~').count(), 0, "nothing has changed since");
}

#[test]
fn what_cannot_take_a_changed_export_goes_on_as_it_is() {
    let config = "test.source \"s\" { value = 1 }\ntest.sink \"a\" { number = test.source.s.value }\ntest.sink \"b\" { number = test.sink.a.doubled }";
    let mut bench = Bench::of(config);
    for bad in [Value::from("x"), Value::from(-1_i64)] {
        bench.set("test.source.s", &bad);
        assert_eq!(bench.follow().unwrap(), "=test.sink.a =test.sink.b =test.source.s");
        assert_eq!([bench.number("test.sink.a"), bench.number("test.sink.b")], [1, 2]);
        assert_eq!(bench.graph.unhealthy(), ["test.sink.a"]);
    }
    // A reload finds the same fault, and refuses.
    assert_eq!(bench.load(config).unwrap_err(), ["test:2:26: must not be negative"]);
    bench.set("test.source.s", &Value::from(2_i64));
    assert_eq!(bench.follow().unwrap(), "=test.source.s ~test.sink.a ~test.sink.b");
    assert_eq!(bench.graph.unhealthy(), [""; 0]);
    assert_eq!(bench.number("test.sink.b"), 4);
}

#[test]
fn a_module_from_a_string_that_changes() {
    let module = |factor: i64| {
        Value::from(format!(
            "declare \"times\" {{\n argument \"n\" {{ }}\n test.sink \"s\" {{ number = argument.n.value * {factor} }}\n}}"
        ))
    };
    let config = "test.source \"text\" { }\nimport.string \"lib\" { content = test.source.text.value }\n\
        test.sink \"other\" { number = 1 }\nlib.times \"x\" { n = 2 }";
    let mut bench = Bench::new();
    assert_eq!(
        bench.load(config).unwrap_err(),
        ["test:4:1: cannot find the definition of component name \"lib.times\""]
    );
    bench.load("test.source \"text\" { }").unwrap();
    bench.set("test.source.text", &module(3));
    bench.load(config).unwrap();
    assert_eq!(bench.number("lib.times.x/test.sink.s"), 6);

    bench.set("test.source.text", &module(4));
    let diff = bench.follow().unwrap();
    assert_eq!(diff, "=test.sink.other =test.source.text ~import.string.lib ~lib.times.x/test.sink.s");
    assert_eq!(bench.number("lib.times.x/test.sink.s"), 8);

    // Broken, empty, and with another argument: what runs stays.
    for (broken, unhealthy) in [
        ("declare {", &["import.string.lib"][..]),
        ("", &["lib.times.x"]),
        ("declare \"times\" {\n argument \"m\" { }\n}", &["lib.times.x"]),
        ("declare \"times\" {\n argument \"n\" { }\n test.sink \"t\" { number = \"x\" }\n}", &["lib.times.x"]),
    ] {
        bench.set("test.source.text", &Value::from(broken));
        bench.follow().unwrap();
        assert_eq!(bench.graph.unhealthy(), unhealthy, "{broken}");
        assert_eq!(bench.number("lib.times.x/test.sink.s"), 8, "{broken}");
    }
    bench.set("test.source.text", &module(5));
    bench.follow().unwrap();
    assert_eq!(bench.graph.unhealthy(), [""; 0]);
    assert_eq!(bench.number("lib.times.x/test.sink.s"), 10);
}

#[test]
fn imports_bring_imports_and_declares_of_their_own() {
    let config = r#"
        declare "double" { }
        import.string "outer" {
          content = `
            import.string "inner" { content = "declare \"double\" {\n argument \"n\" { }\n export \"n\" { value = argument.n.value * 2 }\n}" }
            declare "double" {
              argument "n" { }
              export "n" { value = argument.n.value * 2 }
            }
            declare "quadruple" {
              argument "n" { }
              double "a" { n = argument.n.value }
              inner.double "b" { n = double.a.n }
              export "n" { value = inner.double.b.n }
              export "path" { value = module_path }
            }`
        }
        outer.quadruple "q" { n = 3 }
        test.sink "s" { number = outer.quadruple.q.n }
        test.source "p" { value = outer.quadruple.q.path }"#;
    let mut bench = Bench::of(config);
    assert_eq!(bench.number("test.sink.s"), 12);
    bench.with("test.source.p", |source: &Source| {
        assert_eq!(source.exports.lock().unwrap().as_str(), Some("/etc/flamegate"));
    });
    let outside = config.replace("outer.quadruple \"q\" {", "inner.double \"q\" {");
    assert!(
        bench.load(&outside).unwrap_err()[0].contains("cannot find the definition of component name \"inner.double\"")
    );
}

#[test]
fn what_others_have_written_brings_no_file_of_this_host() {
    let file = "import.file \"x\" { filename = \"/nowhere.alloy\" }";
    let nested = format!("import.string \"y\" {{ content = {} }}", alloy_syntax::quote(file));
    let mut bench = Bench::new();
    for inside in [file.to_owned(), nested, format!("declare \"d\" {{\n{file}\n}}")] {
        let text = alloy_syntax::quote(&inside);
        let config = format!("import.remote \"r\" {{ text = {text} }}\ndeclare \"e\" {{ }}\nr.d \"i\" {{ }}");
        let wrong = bench.load(&config).unwrap_err();
        assert!(wrong[0].contains("may not bring an import.file"), "{inside}: {wrong:?}");
    }
}

#[test]
fn foreach_builds_for_each_item() {
    let config = |items: &str| {
        format!(
            "test.source \"n\" {{ value = 100 }}
            {MODULE}
            foreach \"f\" {{
                collection = {items}
                var = \"item\"
                id = \"name\"
                template {{
                    add \"x\" {{
                        a = item.n
                        b = test.source.n.value
                    }}
                    test.sink \"n\" {{ number = add.x.sum }}
                }}
            }}"
        )
    };
    let mut bench = Bench::of(&config("[{ name = \"a-1\", n = 1 }, { name = \"b\", n = 2 }, { name = \"b\", n = 3 }]"));
    assert_eq!(bench.number("foreach.f/foreach_a_1_1/test.sink.n"), 101);
    assert_eq!(bench.number("foreach.f/foreach_b_2/test.sink.n"), 103);
    let diff = bench.load(&config("[{ name = \"b\", n = 2 }, { name = \"c\", n = 4 }]")).unwrap();
    assert_eq!(
        diff,
        "=foreach.f/foreach_b_1/add.x/test.sink.sum =foreach.f/foreach_b_1/test.sink.n =test.source.n \
         +foreach.f/foreach_c_1/add.x/test.sink.sum +foreach.f/foreach_c_1/test.sink.n \
         -foreach.f/foreach_a_1_1/add.x/test.sink.sum -foreach.f/foreach_a_1_1/test.sink.n \
         -foreach.f/foreach_b_2/add.x/test.sink.sum -foreach.f/foreach_b_2/test.sink.n"
    );
    bench.set("test.source.n", &Value::from(200_i64));
    bench.follow().unwrap();
    assert_eq!(bench.number("foreach.f/foreach_c_1/test.sink.n"), 204);

    let ids: BTreeSet<String> = {
        let bench = Bench::of(
            "foreach \"f\" {\n collection = [\"a/b\", 7, true, 3.14, 7]\n var = \"v\"\n template { test.sink \"s\" { } }\n}",
        );
        bench.graph.components().iter().map(|(labels, _)| labels.component_path.to_string()).collect()
    };
    let expected = ["foreach_3_140000_1", "foreach_7_1", "foreach_7_2", "foreach_a_b_1", "foreach_true_1"];
    assert_eq!(ids, expected.iter().map(|id| format!("/foreach.f/{id}")).collect());
}
