//! Connections that are made with files, and made again when these change.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use super::{ClientSettings, Pool, pool};
use crate::upstream::connector::Versions;
use crate::upstream::http_client::{Dialing, Material, Proxies, TlsConfigArguments, TlsError};

/// Between two looks at the files.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The connections of a client whose certificates are in files.
#[derive(Debug)]
pub(super) struct Renewed {
    files: Arc<Files>,
    dialing: Dialing,
    made: ArcSwap<Made>,
}

#[derive(Debug)]
struct Made {
    with: Arc<ClientSettings>,
    pool: Arc<Pool>,
}

impl Renewed {
    pub(super) fn new(files: Arc<Files>, dialing: Dialing) -> Self {
        let made = ArcSwap::from_pointee(Made::new(files.settings.load_full(), dialing.clone()));
        Self { files, dialing, made }
    }

    /// The connections by now.
    pub(super) async fn pool(&self) -> Arc<Pool> {
        let settings = self.files.settings().await;
        let made = self.made.load();
        if Arc::ptr_eq(&made.with, &settings) {
            return made.pool.clone();
        }
        // Two requests may come here at once: the connections of one of them are not used again.
        let made = Arc::new(Made::new(settings, self.dialing.clone()));
        self.made.store(made.clone());
        made.pool.clone()
    }
}

impl Made {
    fn new(with: Arc<ClientSettings>, dialing: Dialing) -> Self {
        let pool = Arc::new(pool(ClientSettings::clone(&with), dialing));
        Self { with, pool }
    }
}

/// Files with certificates, for any number of clients. The last ones that could be used stay in use.
#[derive(Debug)]
pub(super) struct Files {
    tls: TlsConfigArguments,
    versions: Versions,
    proxies: Option<Arc<Proxies>>,
    settings: ArcSwap<ClientSettings>,
    /// When the files were looked at last.
    looked: Mutex<Instant>,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    /// What the connections are made with.
    material: Material,
    /// What was wrong at the last look: it is told once.
    wrong: Option<String>,
}

impl Files {
    pub(super) fn read(
        tls: TlsConfigArguments,
        versions: Versions,
        proxies: Option<Arc<Proxies>>,
    ) -> Result<Self, TlsError> {
        let looked = Mutex::new(Instant::now());
        let material = tls.material()?;
        let settings = ArcSwap::from_pointee(tls.settings_of(&material, versions, proxies.clone())?);
        let seen = Mutex::new(Seen { material, wrong: None });
        Ok(Self { tls, versions, proxies, settings, looked, seen })
    }

    /// What to make connections with by now. One request a second looks at the files before it goes; the others go
    /// meanwhile.
    async fn settings(self: &Arc<Self>) -> Arc<ClientSettings> {
        if self.is_time() {
            let this = self.clone();
            // Where the process ends meanwhile, what was made before is as good.
            let _looked = tokio::task::spawn_blocking(move || this.look()).await;
        }
        self.settings.load_full()
    }

    fn is_time(&self) -> bool {
        let Ok(mut looked) = self.looked.try_lock() else { return false };
        let due = looked.elapsed() >= LOOK_AGAIN;
        if due {
            *looked = Instant::now();
        }
        due
    }

    fn look(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match self.made_of_what_changed(&seen.material) {
            Ok(None) => seen.wrong = None,
            Ok(Some((material, made))) => {
                self.settings.store(Arc::new(made));
                *seen = Seen { material, wrong: None };
                tracing::info!("the certificates of a client changed and were read again");
            }
            Err(error) => {
                let wrong = error.to_string();
                if seen.wrong.as_ref() != Some(&wrong) {
                    let says = "the certificates of a client changed and cannot be used; those of before stay";
                    tracing::error!(err = %wrong, "{says}");
                    seen.wrong = Some(wrong);
                }
            }
        }
    }

    fn made_of_what_changed(&self, before: &Material) -> Result<Option<(Material, ClientSettings)>, TlsError> {
        let material = self.tls.material()?;
        if material == *before {
            return Ok(None);
        }
        let settings = self.tls.settings_of(&material, self.versions, self.proxies.clone())?;
        Ok(Some((material, settings)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::tests::certificates::Authority;

    #[test]
    fn what_cannot_be_used_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca");
        std::fs::write(&file, Authority::new("first").pem).unwrap();
        let tls = format!("client {{\ntls_config {{\nca_file = \"{}\"\n}}\n}}", file.display());
        let parsed = alloy_syntax::parse_file("test", &tls).unwrap();
        let scope = alloy_syntax::Scope::stdlib(&alloy_syntax::StdlibOptions::default());
        let arguments: crate::upstream::http_client::HttpClientArguments =
            alloy_syntax::decode_block(parsed.body.blocks().next().unwrap(), &scope).unwrap();
        let files = Files::read(arguments.tls_config, Versions::Both, None).unwrap();
        let after = |text: Option<&str>| {
            let before = files.settings.load_full();
            match text {
                Some(text) => std::fs::write(&file, text).unwrap(),
                None => std::fs::remove_file(&file).unwrap(),
            }
            files.look();
            (Arc::ptr_eq(&before, &files.settings.load_full()), files.seen.lock().unwrap().wrong.clone())
        };
        let (same, wrong) = after(Some("no certificate"));
        assert!(same && wrong.unwrap().contains("no certificate in it"));
        let (same, wrong) = after(None);
        assert!(same && wrong.unwrap().contains("cannot read ca_file"));
        assert_eq!(after(Some(&Authority::new("second").pem)), (false, None));
    }
}
