//! What is asked of a client's certificate.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoClientAuth, WebPkiClientVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};

use super::names::ClientAuth;
use super::pem::PemSource;
use super::{TlsArguments, TlsError};

/// The verifier that a block asks for.
pub(super) fn verifier(
    arguments: &TlsArguments,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let authorities = arguments.authorities();
    let roots = authorities.map(|authorities| roots(&authorities)).transpose()?.unwrap_or_else(RootCertStore::empty);
    let unverified = |mandatory| -> Arc<dyn ClientCertVerifier> {
        let algorithms = provider.signature_verification_algorithms;
        Arc::new(AnySigner { mandatory, hints: roots.subjects(), algorithms })
    };
    let verified = || WebPkiClientVerifier::builder_with_provider(Arc::new(roots.clone()), provider.clone());
    let verifier = match arguments.client_auth_type {
        ClientAuth::NoClientCert => return Ok(Arc::new(NoClientAuth)),
        ClientAuth::RequestClientCert => return Ok(unverified(false)),
        ClientAuth::RequireAnyClientCert => return Ok(unverified(true)),
        ClientAuth::VerifyClientCertIfGiven => verified().allow_unauthenticated().build(),
        ClientAuth::RequireAndVerifyClientCert => verified().build(),
    };
    let place = authorities.map_or_else(|| "client_auth_type".to_owned(), |authorities| authorities.place());
    verifier.map_err(|error| TlsError::Authorities { place, cause: error.to_string() })
}

fn roots(authorities: &PemSource<'_>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in authorities.read_certificates()? {
        let bad = |error: Error| TlsError::Authorities { place: authorities.place(), cause: error.to_string() };
        roots.add(certificate).map_err(bad)?;
    }
    Ok(roots)
}

/// Takes any certificate, whoever signed it and for whatever time. The client proves all the same that it has the key.
#[derive(Debug)]
struct AnySigner {
    mandatory: bool,
    hints: Vec<DistinguishedName>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for AnySigner {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
