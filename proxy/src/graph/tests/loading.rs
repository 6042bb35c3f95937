//! One configuration in the place of another.

use super::*;

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
