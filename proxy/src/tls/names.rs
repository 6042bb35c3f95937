//! The names that Go gives to what TLS can be told.

use alloy_syntax::{DecodeError, DecodeValue, TextValue, Value};
use rustls::crypto::SupportedKxGroup;
use rustls::{CipherSuite, NamedGroup, SupportedCipherSuite, SupportedProtocolVersion};

/// What is asked of a client's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientAuth {
    /// It is not asked for.
    #[default]
    NoClientCert,
    /// It may be there, whoever signed it.
    RequestClientCert,
    /// It must be there, whoever signed it.
    RequireAnyClientCert,
    /// It may be there, and is then verified.
    VerifyClientCertIfGiven,
    /// It must be there and is verified.
    RequireAndVerifyClientCert,
}

impl ClientAuth {
    /// Whether certificates of authorities are needed.
    pub(super) fn verifies(self) -> bool {
        matches!(self, Self::VerifyClientCertIfGiven | Self::RequireAndVerifyClientCert)
    }
}

impl TextValue for ClientAuth {
    fn parse_text(text: &str) -> Result<Self, String> {
        match text {
            // The reference's receivers know two more spellings.
            "" | "NoClientCert" => Ok(Self::NoClientCert),
            "RequestClientCert" => Ok(Self::RequestClientCert),
            "RequireAnyClientCert" | "RequireClientCert" => Ok(Self::RequireAnyClientCert),
            "VerifyClientCertIfGiven" => Ok(Self::VerifyClientCertIfGiven),
            "RequireAndVerifyClientCert" => Ok(Self::RequireAndVerifyClientCert),
            _ => Err("must be \"NoClientCert\", \"RequestClientCert\", \"RequireAnyClientCert\", \
                      \"VerifyClientCertIfGiven\" or \"RequireAndVerifyClientCert\""
                .to_owned()),
        }
    }

    fn to_text(&self) -> String {
        match self {
            Self::NoClientCert => "NoClientCert",
            Self::RequestClientCert => "RequestClientCert",
            Self::RequireAnyClientCert => "RequireAnyClientCert",
            Self::VerifyClientCertIfGiven => "VerifyClientCertIfGiven",
            Self::RequireAndVerifyClientCert => "RequireAndVerifyClientCert",
        }
        .to_owned()
    }
}

/// A version of TLS, in their order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// TLS 1.2.
    #[default]
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl Version {
    pub(super) fn protocol(self) -> &'static SupportedProtocolVersion {
        match self {
            Self::Tls12 => &rustls::version::TLS12,
            Self::Tls13 => &rustls::version::TLS13,
        }
    }
}

impl TextValue for Version {
    fn parse_text(text: &str) -> Result<Self, String> {
        // The reference's receivers write `VersionTLS12`.
        match text.strip_prefix("Version").unwrap_or(text) {
            "TLS12" => Ok(Self::Tls12),
            "TLS13" => Ok(Self::Tls13),
            "TLS10" | "TLS11" => {
                Err("is a version that Flamegate does not speak, for it is not safe: write \"TLS12\" or \"TLS13\""
                    .to_owned())
            }
            _ => Err("must be \"TLS12\" or \"TLS13\"".to_owned()),
        }
    }

    fn to_text(&self) -> String {
        match self {
            Self::Tls12 => "TLS12",
            Self::Tls13 => "TLS13",
        }
        .to_owned()
    }
}

/// An elliptic curve of the key exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// Curve25519.
    X25519,
    /// NIST's of 256 bits.
    P256,
    /// NIST's of 384 bits.
    P384,
}

impl Curve {
    pub(super) fn key_exchange(self, known: &[&'static dyn SupportedKxGroup]) -> Option<&'static dyn SupportedKxGroup> {
        let name = match self {
            Self::X25519 => NamedGroup::X25519,
            Self::P256 => NamedGroup::secp256r1,
            Self::P384 => NamedGroup::secp384r1,
        };
        known.iter().copied().find(|group| group.name() == name)
    }
}

impl TextValue for Curve {
    fn parse_text(text: &str) -> Result<Self, String> {
        match text {
            "X25519" => Ok(Self::X25519),
            "CurveP256" => Ok(Self::P256),
            "CurveP384" => Ok(Self::P384),
            "CurveP521" => Err("is a curve that Flamegate does not have: write \"X25519\", \"CurveP256\" or \
                                \"CurveP384\""
                .to_owned()),
            _ => Err("must be \"X25519\", \"CurveP256\" or \"CurveP384\"".to_owned()),
        }
    }

    fn to_text(&self) -> String {
        match self {
            Self::X25519 => "X25519",
            Self::P256 => "CurveP256",
            Self::P384 => "CurveP384",
        }
        .to_owned()
    }
}

/// Cipher suites: a list of names, or one string with commas as the reference's receivers have it.
///
/// As in Go they are those of TLS 1.2 alone. The three of TLS 1.3 are always offered, whether they are named or not; if
/// only they are named, TLS 1.2 is not spoken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CipherSuites(Vec<CipherSuite>);

impl CipherSuites {
    /// Whether this suite may be used.
    pub(super) fn allow(&self, suite: &SupportedCipherSuite) -> bool {
        self.0.is_empty() || suite.tls13().is_some() || self.0.contains(&suite.suite())
    }
}

impl DecodeValue for CipherSuites {
    fn decode_value(value: &Value) -> Result<Self, DecodeError> {
        let names = match value {
            Value::String(text) => text.split(',').map(|name| name.trim().to_owned()).collect(),
            list => Vec::<String>::decode_value(list)?,
        };
        let names = names.iter().filter(|name| !name.is_empty());
        names.map(|name| cipher_suite(name).map_err(DecodeError::new)).collect::<Result<_, _>>().map(Self)
    }

    fn encode_value(&self) -> Value {
        let names = SUITES.iter().filter(|(_, suite)| self.0.contains(suite));
        Value::array(names.map(|(name, _)| Value::from(*name)))
    }

    fn type_name() -> String {
        Vec::<String>::type_name()
    }
}

/// By the names that Go has for them.
const SUITES: [(&str, CipherSuite); 9] = [
    ("TLS_AES_128_GCM_SHA256", CipherSuite::TLS13_AES_128_GCM_SHA256),
    ("TLS_AES_256_GCM_SHA384", CipherSuite::TLS13_AES_256_GCM_SHA384),
    ("TLS_CHACHA20_POLY1305_SHA256", CipherSuite::TLS13_CHACHA20_POLY1305_SHA256),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
];

fn cipher_suite(name: &str) -> Result<CipherSuite, String> {
    if let Some((_, suite)) = SUITES.iter().find(|(known, _)| *known == name) {
        return Ok(*suite);
    }
    if name.contains("_CBC_") || name.starts_with("TLS_RSA_WITH_") {
        return Err(format!(
            "names {name:?}, which Flamegate does not have, for it is not safe: name suites with ECDHE and either GCM \
             or CHACHA20"
        ));
    }
    Err(format!("names {name:?}, which is no cipher suite that Go has by this name"))
}
