//! The API for debug information: `debuginfo.v1alpha1`. Its messages are handed on as they are.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

/// Asks whether a file is wanted.
pub const SHOULD_INITIATE_UPLOAD: &str = "/debuginfo.v1alpha1.DebuginfoService/ShouldInitiateUpload";
/// Says that a file was sent whole.
pub const UPLOAD_FINISHED: &str = "/debuginfo.v1alpha1.DebuginfoService/UploadFinished";
/// Takes a file, as it is.
pub const UPLOAD: &str = "/debuginfo.v1alpha1.DebuginfoService/Upload/{gnu_build_id}";

/// Before the id of the build in the path of [`UPLOAD`].
const UPLOAD_PREFIX: &str = "/debuginfo.v1alpha1.DebuginfoService/Upload/";
/// What stands for itself in a path.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The id of the build in a path of [`UPLOAD`], escaped; none in any other path.
pub fn build_id(path: &str) -> Option<String> {
    let id = path.strip_prefix(UPLOAD_PREFIX).filter(|id| !id.contains('/'))?;
    let id: Vec<u8> = percent_decode_str(id).collect();
    // A server would take the dots for a way to another path.
    let id = Some(id).filter(|id| !matches!(id.as_slice(), b"" | b"." | b".."))?;
    Some(percent_encode(&id, ESCAPED).to_string())
}

/// The path of [`UPLOAD`] for the id of a build that is escaped.
pub fn upload_path(build_id: &str) -> String {
    format!("{UPLOAD_PREFIX}{build_id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_one_segment() {
        let id = |id: &str| build_id(&upload_path(id));
        assert_eq!(id("0a1B-_.~").as_deref(), Some("0a1B-_.~"));
        assert_eq!(id("a%2fb%20c+d").as_deref(), Some("a%2Fb%20c%2Bd"));
        for none in ["", ".", "..", "%2e%2E", "a/b", "/"] {
            assert_eq!(id(none), None, "{none}");
        }
        assert_eq!(build_id("/other"), None);
    }
}
