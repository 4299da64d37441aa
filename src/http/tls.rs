//! TLS on the port: a certificate chain and its key, read at the start and again whenever it is told to.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use crate::config::{Complaint, TlsFiles};

/// The certificate in force. Connections that are open keep the one that they began with.
#[derive(Clone)]
pub struct Tls {
    held: Arc<Held>,
    provider: Arc<CryptoProvider>,
}

struct Held(RwLock<Arc<CertifiedKey>>);

impl Held {
    fn get(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a certificate")
    }
}

impl ResolvesServerCert for Held {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.get())
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// What is wrong with one of them, or that they do not belong together.
    pub fn read(files: &TlsFiles) -> Result<Tls, Complaint> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let held = Held(RwLock::new(Arc::new(read(files, &provider)?)));
        Ok(Tls { held: Arc::new(held), provider })
    }

    /// Reads the files again; whether the certificate is another one. If one of them is wrong, the old one stays.
    ///
    /// # Errors
    /// As [`Tls::read`].
    pub fn replace(&self, files: &TlsFiles) -> Result<bool, Complaint> {
        let new = read(files, &self.provider)?;
        let changed = new.cert != self.held.get().cert;
        *self.held.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
        Ok(changed)
    }

    /// What a listening port is set up with: TLS 1.2 and 1.3, as the library has them.
    ///
    /// # Panics
    /// Never: the provider has both versions.
    pub fn server(&self) -> ServerConfig {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider));
        let versions = builder.with_safe_default_protocol_versions().expect("both versions");
        let mut server = versions.with_no_client_auth().with_cert_resolver(Arc::<Held>::clone(&self.held));
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        server
    }
}

fn read(files: &TlsFiles, provider: &CryptoProvider) -> Result<CertifiedKey, Complaint> {
    let TlsFiles { certificate, key } = files;
    let chain = "Name a PEM file with the certificate, and then those that lead to one that clients trust.";
    let wrong = |what: String| Complaint::new(what, &"variable HAILGATE_TLS_CERT", chain);
    let unread = |error| wrong(format!("{} cannot be read as certificates: {error}.", certificate.display()));
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect).map_err(unread);
    let certificates = certificates?;
    if certificates.is_empty() {
        return Err(wrong(format!("{} holds no certificate.", certificate.display())));
    }
    let wrong = |what: String| {
        Complaint::new(what, &"variable HAILGATE_TLS_KEY", "Name a PEM file with the key that the certificate was made for.")
    };
    let unread = |error| wrong(format!("{} cannot be read as a private key: {error}.", key.display()));
    let private = PrivateKeyDer::from_pem_file(key).map_err(unread)?;
    CertifiedKey::from_der(certificates, private, provider)
        .map_err(|error| wrong(format!("The key in {} cannot be used with the certificate: {error}.", key.display())))
}
