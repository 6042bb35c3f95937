//! Functions that have another name today.

use crate::ast::File;
use crate::diagnostic::{Diagnostic, Diagnostics};

/// Old names of functions, and the new ones.
pub(super) const RENAMED: [(&str, &str); 16] = [
    ("env", "sys.env"),
    ("nonsensitive", "convert.nonsensitive"),
    ("concat", "array.concat"),
    ("json_decode", "encoding.from_json"),
    ("yaml_decode", "encoding.from_yaml"),
    ("base64_decode", "encoding.from_base64"),
    ("format", "string.format"),
    ("join", "string.join"),
    ("replace", "string.replace"),
    ("split", "string.split"),
    ("to_lower", "string.to_lower"),
    ("to_upper", "string.to_upper"),
    ("trim", "string.trim"),
    ("trim_prefix", "string.trim_prefix"),
    ("trim_suffix", "string.trim_suffix"),
    ("trim_space", "string.trim_space"),
];

/// What to use in the place of an old name; `None` if the name is not an old one.
pub fn deprecated_for(name: &str) -> Option<&'static str> {
    RENAMED.iter().find(|(old, _)| *old == name).map(|&(_, new)| new)
}

/// A warning at each use of an old name, in all attributes of the file, those of nested blocks included.
pub fn deprecation_warnings(file: &File) -> Diagnostics {
    let references = file.body.references();
    let uses = references.iter().filter_map(|reference| Some((reference, deprecated_for(reference.names().next()?)?)));
    uses.map(|(reference, new)| {
        let message = "this stdlib function is deprecated; please refer to the documentation for updated usage and \
                       alternatives";
        Diagnostic::warning(&file.name, reference.span, message).with_help(format!("write {new} instead"))
    })
    .collect()
}
