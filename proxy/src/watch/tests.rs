//! Real files on a real file system.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::*;

/// No poll comes within a test.
const NEVER: Duration = Duration::from_secs(3600);
const DEADLINE: Duration = Duration::from_secs(20);

async fn watch(path: &Path, detector: Detector, poll_frequency: Duration) -> Watch {
    let mut watch = Watch::new(WatchSettings { path: path.to_owned(), detector, poll_frequency });
    watch.changed().await;
    watch
}

/// Waits until the content is this, looking only when told to.
async fn becomes(watch: &mut Watch, path: &Path, content: Option<&str>) {
    let told = async {
        while fs::read_to_string(path).ok().as_deref() != content {
            watch.changed().await;
        }
    };
    timeout(DEADLINE, told).await.unwrap_or_else(|_| panic!("nobody told that {} is {content:?}", path.display()));
}

#[tokio::test]
async fn whatever_becomes_of_a_file_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let parent = folder.path().join("parent");
    fs::create_dir(&parent).unwrap();
    let (path, other) = (parent.join("file"), parent.join("other"));
    let mut watch = watch(&path, Detector::Fsnotify, NEVER).await;
    let mut is = async |content: Option<&str>| becomes(&mut watch, &path, content).await;
    fs::write(&path, "created").unwrap();
    is(Some("created")).await;
    fs::write(&path, "in place").unwrap();
    is(Some("in place")).await;
    fs::write(&other, "renamed over it").unwrap();
    fs::rename(&other, &path).unwrap();
    is(Some("renamed over it")).await;
    fs::remove_file(&path).unwrap();
    is(None).await;
    fs::write(&path, "again").unwrap();
    is(Some("again")).await;
    fs::remove_dir_all(&parent).unwrap();
    is(None).await;
    fs::create_dir(&parent).unwrap();
    fs::write(&path, "with its folder").unwrap();
    is(Some("with its folder")).await;
    fs::rename(&parent, folder.path().join("moved")).unwrap();
    is(None).await;
    fs::rename(folder.path().join("moved"), &parent).unwrap();
    is(Some("with its folder")).await;
    fs::write(&path, "in place").unwrap();
    is(Some("in place")).await;
}

/// As Kubernetes mounts a config map: `file -> ..data/file`, `..data -> ..1`, and a new `..data` is renamed over it.
#[tokio::test]
async fn links_on_the_way_are_followed() {
    let folder = tempfile::tempdir().unwrap();
    let mount = folder.path().join("mount");
    fs::create_dir(&mount).unwrap();
    let swap = |version: &str| {
        fs::create_dir(mount.join(version)).unwrap();
        fs::write(mount.join(version).join("file"), version).unwrap();
        symlink(version, mount.join("..tmp")).unwrap();
        fs::rename(mount.join("..tmp"), mount.join("..data")).unwrap();
    };
    swap("..1");
    symlink("..data/file", mount.join("file")).unwrap();
    // And from elsewhere, through an absolute link.
    let outside = folder.path().join("outside");
    symlink(mount.join("file"), &outside).unwrap();
    let mut file = watch(&mount.join("file"), Detector::Fsnotify, NEVER).await;
    let mut linked = watch(&outside, Detector::Fsnotify, NEVER).await;
    let mut whole = watch(&mount, Detector::Fsnotify, NEVER).await;
    for version in ["..2", "..3"] {
        swap(version);
        becomes(&mut file, &mount.join("file"), Some(version)).await;
        becomes(&mut linked, &outside, Some(version)).await;
        timeout(DEADLINE, whole.changed()).await.unwrap();
    }
    fs::write(mount.join("..3/file"), "in place").unwrap();
    becomes(&mut linked, &outside, Some("in place")).await;
}

#[tokio::test]
async fn reading_and_what_happens_beside_it_is_not_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "1").unwrap();
    let mut watch = watch(&path, Detector::Fsnotify, NEVER).await;
    fs::write(folder.path().join("beside"), "1").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "1");
    // Events come in order: those of the above are past when this one is told.
    fs::write(&path, "2").unwrap();
    timeout(DEADLINE, watch.changed()).await.unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "2");
    let more = timeout(QUIET * 3, watch.changed()).await;
    assert!(more.is_err(), "reading was told as a change");
}

#[tokio::test]
async fn polling_asks_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let mut watch = watch(&path, Detector::Poll, Duration::from_millis(5)).await;
    assert!(watch.notifications.is_none());
    fs::write(&path, "1").unwrap();
    becomes(&mut watch, &path, Some("1")).await;
}

#[test]
fn a_chain_of_links_without_end_ends() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    symlink(&b, &a).unwrap();
    symlink(&a, &b).unwrap();
    let places = places::Places::of(&a).unwrap();
    assert!(places.concern(&a) && places.concern(&b));
}
