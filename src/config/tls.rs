//! The certificate of the port: where it stands.

use std::path::PathBuf;

use super::{Place, TlsFiles, check::Checker, issuers::beside};

impl Checker<'_> {
    /// Two files, or none. What is in them is read when they are needed.
    pub(super) fn tls(&mut self) -> Option<TlsFiles> {
        let file = |key| {
            let written = self.written(key).filter(|written| !written.text.is_empty())?;
            Some(match &written.place {
                Place::File(file, _) => beside(file, &written.text),
                _ => PathBuf::from(&written.text),
            })
        };
        match (file("tls_cert"), file("tls_key")) {
            (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
            (None, None) => None,
            (Some(_), None) => {
                self.complain("tls_key", "A certificate needs its private key.", "Name its PEM file too.");
                None
            }
            (None, Some(_)) => {
                self.complain("tls_cert", "A private key needs its certificate.", "Name its PEM file too.");
                None
            }
        }
    }
}
