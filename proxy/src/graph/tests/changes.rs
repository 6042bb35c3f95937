//! Exports that change while the graph runs.

use super::*;

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
