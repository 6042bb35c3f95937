//! What is refused before git is asked; the rest is tested with repositories, end to end.

use alloy_syntax::{Scope, StdlibOptions, decode_block, parse_file};

use super::*;

fn decode(config: &str) -> Result<ImportGitArguments, String> {
    let file = parse_file("test", &format!("import.git \"x\" {{\n{config}\n}}")).map_err(|error| error.to_string())?;
    let block = file.body.blocks().next().unwrap();
    decode_block(block, &Scope::stdlib(&StdlibOptions::default())).map_err(|error| error.to_string())
}

#[test]
fn arguments_that_would_be_options_or_lead_elsewhere_are_refused() {
    let good =
        ["https://host/x.git", "http://host:1/x", "ssh://git@host/x", "git@host:x", "host:x", "/srv/x", "file:///x"];
    for repository in good {
        let config = format!("repository = \"{repository}\"\npath = \"a/b.alloy\"");
        let decoded = decode(&config).unwrap();
        assert_eq!((decoded.revision.as_str(), decoded.pull_frequency.as_secs()), ("main", 60));
    }
    for (repository, says) in [
        ("", "is no repository"),
        ("--upload-pack=touch /x", "is no repository"),
        ("ext::sh -c x", "helper program"),
        ("ext://x", "is no way to a repository"),
        ("ftp://host/x", "is no way to a repository"),
        ("-oProxyCommand=x:y", "is no repository"),
        ("git@-oProxyCommand=x:y", "begins with -"),
        ("https://me:secret@host/x", "holds a password"),
        ("https://token@host/x", "holds a user"),
    ] {
        let error = decode(&format!("repository = \"{repository}\"\npath = \"a\"")).unwrap_err();
        assert!(error.contains(says), "{repository}: {error}");
    }
    for path in ["", "..", "a/../../b", "/etc/passwd", ".git/config", "a/.GIT/x"] {
        let error = decode(&format!("repository = \"/srv/x\"\npath = \"{path}\"")).unwrap_err();
        assert!(error.contains("must be a path inside the repository"), "{path}: {error}");
    }
    for revision in ["HEAD", "v1.0", "feature/x", "0123456789012345678901234567890123456789"] {
        decode(&format!("repository = \"/srv/x\"\npath = \".\"\nrevision = \"{revision}\"")).unwrap();
    }
    for revision in ["", "-x", "a:b", "+a", "a b", "FETCH_HEAD", "main~1", "a..b", "a*"] {
        assert!(decode(&format!("repository = \"/srv/x\"\npath = \".\"\nrevision = \"{revision}\"")).is_err());
    }
}

#[test]
fn credentials_that_the_address_cannot_take_are_refused() {
    let basic = "basic_auth {\nusername = \"u\"\npassword = \"p\"\n}";
    let key = "ssh_key {\nusername = \"git\"\nkey = \"k\"\n}";
    let with = |repository: &str, auth: &str| decode(&format!("repository = \"{repository}\"\npath = \".\"\n{auth}"));
    with("https://host/x", basic).unwrap();
    with("git@host:x", key).unwrap();
    with("ssh://host/x", "ssh_key {\nusername = \"git\"\nkey_file = \"k\"\n}").unwrap();
    for (repository, auth, says) in [
        ("git@host:x", basic, "only a repository at an http or https URL takes it"),
        ("https://host/x", key, "only a repository at ssh://host/path"),
        ("me@host:x", key, "username is another one"),
        ("git@host:x", "ssh_key { username = \"git\" }", "exactly one of key and key_file"),
        ("git@host:x", "ssh_key {\nusername = \"git\"\npassphrase = \"x\"\n}", "\"passphrase\" is not supported"),
    ] {
        let error = with(repository, auth).unwrap_err();
        assert!(error.contains(says), "{repository} {auth}: {error}");
    }
    assert!(with("https://host/x", &format!("{basic}\n{key}")).unwrap_err().contains("at most one"));
}
