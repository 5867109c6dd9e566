//! Certificates for TLS to Redis. There is no way to switch their verification off.

use redis::{Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, RedisResult, TlsCertificates};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, RootCertStore};

/// What TLS trusts, and what it shows of itself: PEM texts that were found to be in order.
#[derive(Clone, Debug)]
pub struct RedisCertificates(TlsCertificates);

/// Why PEM texts cannot be used. Never repeats them.
#[derive(Debug, thiserror::Error)]
pub enum InvalidPem {
    /// There is no certificate in it.
    #[error("there is no certificate in it")]
    NoCertificate,
    /// There is no private key in it.
    #[error("there is no private key in it")]
    NoKey,
    /// It is damaged.
    #[error("{0}")]
    Damaged(pem::Error),
    /// A certificate or key cannot be used, or the two do not belong together.
    #[error("{0}")]
    Unusable(Error),
}

impl RedisCertificates {
    /// Trusts these authorities in place of the public ones, if any are given, and shows this certificate
    /// (with those between it and its authority after it) and proves it with this key, if they are given.
    pub fn new(authorities: Option<Vec<u8>>, identity: Option<(Vec<u8>, Vec<u8>)>) -> Self {
        let client_tls = identity.map(|(client_cert, client_key)| ClientTlsConfig { client_cert, client_key });
        Self(TlsCertificates { client_tls, root_cert: authorities })
    }

    /// Whether this PEM text holds authorities that can be trusted.
    pub fn check_authorities(pem: &[u8]) -> Result<(), InvalidPem> {
        let mut roots = RootCertStore::empty();
        for certificate in read_certificates(pem)? {
            roots.add(certificate).map_err(InvalidPem::Unusable)?;
        }
        Ok(())
    }

    /// Whether this PEM text holds a certificate.
    pub fn check_certificate(pem: &[u8]) -> Result<(), InvalidPem> {
        read_certificates(pem).map(drop)
    }

    /// Whether this PEM text holds the private key of that certificate.
    pub fn check_key(certificate: &[u8], key: &[u8]) -> Result<(), InvalidPem> {
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
            pem::Error::NoItemsFound => InvalidPem::NoKey,
            error => InvalidPem::Damaged(error),
        })?;
        let chain = read_certificates(certificate)?;
        CertifiedKey::from_der(chain, key, &default_provider()).map(drop).map_err(InvalidPem::Unusable)
    }

    pub(super) fn parts(&self) -> TlsCertificates {
        self.0.clone()
    }
}

fn read_certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, InvalidPem> {
    let certificates: Vec<_> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(InvalidPem::Damaged)?;
    if certificates.is_empty() { Err(InvalidPem::NoCertificate) } else { Ok(certificates) }
}

/// A client of a server, which trusts and shows these certificates where the server speaks TLS.
pub(super) fn client(info: ConnectionInfo, certificates: Option<&RedisCertificates>) -> RedisResult<Client> {
    match (info.addr(), certificates) {
        (ConnectionAddr::TcpTls { .. }, Some(certificates)) => Client::build_with_tls(info, certificates.parts()),
        _ => Client::open(info),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_without_what_is_needed_is_refused_without_being_repeated() {
        let damaged = b"-----BEGIN CERTIFICATE-----\ns3cret!\n-----END CERTIFICATE-----\n";
        let odd = b"-----BEGIN CERTIFICATE-----\nczNjcmV0\n-----END CERTIFICATE-----\n";
        for pem in [&b""[..], b"s3cret", damaged, odd] {
            let refusal = RedisCertificates::check_authorities(pem).unwrap_err().to_string();
            assert!(!refusal.contains("s3cret"), "{refusal}");
        }
        let refusal = RedisCertificates::check_key(odd, b"s3cret").unwrap_err();
        assert!(matches!(refusal, InvalidPem::NoKey), "{refusal}");
    }
}
