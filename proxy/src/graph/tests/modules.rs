//! Custom components, imports, and the same components for each item.

use std::collections::BTreeSet;

use super::*;

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
