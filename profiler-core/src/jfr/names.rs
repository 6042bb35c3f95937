//! Names of frames. Those of classes and libraries that programs make while they run are other ones in each process,
//! and become one.

use std::borrow::Cow;

/// What stands for the part of a name that is another one each time.
const GENERATED: &str = "_";
/// Classes named by these and a number.
const NUMBERED: [&str; 4] =
    ["GeneratedMethodAccessor", "GeneratedConstructorAccessor", "GeneratedSerializationConstructorAccessor", "$Proxy"];
/// Of what follows these nothing is told.
const MARKERS: [&str; 3] = ["CGLIB$$", "$ByteBuddy$", "$HibernateProxy$"];
const LAMBDA: &str = "$$Lambda";
/// Digits, hexadecimal ones too, from which on they are a random number; versions are shorter.
const RANDOM: usize = 12;

/// The name of a function: that of its class, or of its library, and its own.
pub(crate) fn function(class: &str, method: &str, with_dots: bool) -> String {
    let class = stable(class);
    match (class.is_empty(), with_dots && !is_library(&class)) {
        (true, _) => method.to_owned(),
        (_, true) => format!("{}.{method}", class.replace('/', ".")),
        _ => format!("{class}.{method}"),
    }
}

/// The name of a class or of a library without what is random in it.
fn stable(class: &str) -> Cow<'_, str> {
    if is_library(class) {
        return library(class);
    }
    let name = without_address(class);
    if let Some((before, after)) = name.split_once(LAMBDA) {
        // Lambdas have numbers, methods of theirs would have names.
        let is_number = |char: char| char.is_ascii_hexdigit() || "$./+x_".contains(char);
        if after.chars().all(is_number) {
            return Cow::Owned([before, LAMBDA, GENERATED].concat());
        }
    }
    if let Some((at, marker)) = MARKERS.iter().find_map(|marker| Some((name.find(marker)?, marker))) {
        let (kept, _) = name.split_at(at + marker.len());
        return Cow::Owned([kept, GENERATED].concat());
    }
    let digits = name.trim_end_matches(|char: char| char.is_ascii_digit());
    if digits.len() < name.len() && NUMBERED.iter().any(|numbered| digits.ends_with(numbered)) {
        return Cow::Owned([&of_any_module(digits), GENERATED].concat());
    }
    if name.len() < class.len() { Cow::Owned([name, GENERATED].concat()) } else { Cow::Borrowed(class) }
}

/// Hidden classes have an address behind their name: `Foo/0x00007f8177090218`, `Foo+0x00007f8177090218/543846639`.
fn without_address(class: &str) -> &str {
    let Some(at) = class.rfind("0x") else { return class };
    let Some((name, address)) = class.split_at_checked(at) else { return class };
    let is_address = |char: char| char.is_ascii_hexdigit() || "x/".contains(char);
    match name.strip_suffix(['/', '+', '.']) {
        Some(name) if address.chars().all(is_address) => name,
        _ => class,
    }
}

/// Proxies are in packages with numbers: `jdk/proxy2/$Proxy7`.
fn of_any_module(class: &str) -> Cow<'_, str> {
    match class.strip_prefix("jdk/proxy").and_then(|rest| rest.split_once('/')) {
        Some((number, name)) if !number.is_empty() && number.chars().all(|char| char.is_ascii_digit()) => {
            Cow::Owned(["jdk/proxy", GENERATED, "/", name].concat())
        }
        _ => Cow::Borrowed(class),
    }
}

fn is_library(class: &str) -> bool {
    class.contains(".so") || class.ends_with(".tmp")
}

/// Libraries that are unpacked when they are loaded have random names.
fn library(path: &str) -> Cow<'_, str> {
    let path = path.strip_suffix(" (deleted)").unwrap_or(path);
    // Its version would tell processes apart that do the same; so is it elsewhere too.
    for (mark, name) in [
        ("libzstd-jni-", "libzstd-jni-_.so"),
        ("amazonCorrettoCryptoProvider", "libamazonCorrettoCryptoProvider_.so"),
        ("libasyncProfiler-", "libasyncProfiler-_.so"),
    ] {
        if path.contains(mark) {
            return Cow::Borrowed(name);
        }
    }
    let mut stable = String::new();
    let mut rest = path;
    while let Some(start) = rest.find(|char: char| char.is_ascii_hexdigit()) {
        let (before, digits) = rest.split_at(start);
        let (number, is_random) = number(digits);
        stable.push_str(before);
        stable.push_str(if is_random { GENERATED } else { number });
        rest = digits.strip_prefix(number).unwrap_or_default();
    }
    stable.push_str(rest);
    if stable == path { Cow::Borrowed(path) } else { Cow::Owned(stable) }
}

/// The hexadecimal digits at the beginning, or the UUID, and whether they are random.
fn number(digits: &str) -> (&str, bool) {
    let is_uuid = |text: &str| {
        text.char_indices().all(|(at, char)| match at {
            8 | 13 | 18 | 23 => char == '-',
            _ => char.is_ascii_hexdigit(),
        })
    };
    if let Some(uuid) = digits.get(..36).filter(|text| is_uuid(text)) {
        return (uuid, true);
    }
    let number = digits.split(|char: char| !char.is_ascii_hexdigit()).next().unwrap_or_default();
    (number, number.len() >= RANDOM && number.contains(|char: char| char.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_are_one() {
        let cases = [
            ("java/lang/Thread", "java/lang/Thread"),
            ("Foo$$Lambda$669.0x0000000800fd7318", "Foo$$Lambda_"),
            ("Fib$$Lambda.0x00007ffa600c4da0", "Fib$$Lambda_"),
            ("Fib$$Lambda$14/0x0000000800c03000", "Fib$$Lambda_"),
            ("Fib$$Lambda+0x00007f8177090218/543846639", "Fib$$Lambda_"),
            ("Fib$$Lambda$14/1234567", "Fib$$Lambda_"),
            ("Fib$$Lambda$14", "Fib$$Lambda_"),
            ("Fib$$LambdaTricks", "Fib$$LambdaTricks"),
            ("java/lang/invoke/LambdaForm$DMH.0x00007f8177090218", "java/lang/invoke/LambdaForm$DMH_"),
            ("java/lang/invoke/LambdaForm$MH/0x0000000800c03000", "java/lang/invoke/LambdaForm$MH_"),
            ("jdk/internal/reflect/GeneratedMethodAccessor31", "jdk/internal/reflect/GeneratedMethodAccessor_"),
            ("sun/reflect/GeneratedConstructorAccessor7", "sun/reflect/GeneratedConstructorAccessor_"),
            ("a/B$$EnhancerBySpringCGLIB$$1f2e", "a/B$$EnhancerBySpringCGLIB$$_"),
            ("a/B$$FastClassBySpringCGLIB$$1f2e", "a/B$$FastClassBySpringCGLIB$$_"),
            ("a/B$$SpringCGLIB$$0", "a/B$$SpringCGLIB$$_"),
            ("a/B$HibernateProxy$x7", "a/B$HibernateProxy$_"),
            ("jdk/proxy2/$Proxy12", "jdk/proxy_/$Proxy_"),
            ("com/sun/proxy/$Proxy12", "com/sun/proxy/$Proxy_"),
            ("a/Utf8", "a/Utf8"),
            ("libjvm.so", "libjvm.so"),
            ("libstdc++.so.6.0.30", "libstdc++.so.6.0.30"),
            ("libzstd-jni-1.5.1-16931311898282279136.so", "libzstd-jni-_.so"),
            ("./tmp/libamazonCorrettoCryptoProvider109b39cf33c563eb.so", "libamazonCorrettoCryptoProvider_.so"),
            (
                "./tmp/amazonCorrettoCryptoProviderNativeLibraries.7382c2f79097f415/libcrypto.so (deleted)",
                "libamazonCorrettoCryptoProvider_.so",
            ),
            ("libasyncProfiler-linux-x64-17b9a1d8156277a98ccc871afa9a8f69215f92.so", "libasyncProfiler-_.so"),
            ("snappy-1.1.8-6fb9393a-3093-4706-a7e4-837efe01d078-libsnappyjava.so", "snappy-1.1.8-_-libsnappyjava.so"),
            ("librocksdbjni1234567890123456789.so", "librocksdbjni_.so"),
            ("jna1234567890123456789.tmp", "jn_.tmp"),
        ];
        for (class, expected) in cases {
            assert_eq!(stable(class), expected, "{class}");
        }
    }

    #[test]
    fn functions_are_named_after_classes_and_libraries() {
        assert_eq!(function("java/lang/Thread", "run", false), "java/lang/Thread.run");
        assert_eq!(function("java/lang/Thread", "run", true), "java.lang.Thread.run");
        assert_eq!(function("./lib/libc.so.6", "write", true), "./lib/libc.so.6.write");
        assert_eq!(function("", "[no_Java_frame]", true), "[no_Java_frame]");
    }
}
