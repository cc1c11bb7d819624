//! The address of a PostgreSQL, parsed from `DATABASE_URL` as libpq does.

use super::tls::{CertificateCheck, Tls};
use crate::{Result, StoreError};
use std::{str::FromStr, time::Duration};
use tokio_postgres::{Config, config::SslMode};
use url::Url;

/// The address of a database, with its TLS settings.
pub struct Address {
    pub(super) config: Config,
    pub(super) tls: Tls,
}

impl Address {
    /// Parses a URL, with `sslmode` and `sslrootcert`.
    ///
    /// # Errors
    /// If the URL is invalid. The error contains only parameter names of it.
    pub fn read(url: &str) -> Result<Self> {
        let bad = |why: String| StoreError::InvalidUrl(why);
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(bad(
                "must begin with postgres:// (leave it out, and the data folder holds the database)".into(),
            ));
        }
        let mut url = Url::parse(url).map_err(|error| bad(format!("is no URL: {error}")))?;
        let (mut mode, mut roots) = ("prefer".to_owned(), None);
        let mut others = Vec::new();
        for (name, value) in url.query_pairs() {
            match &*name {
                "sslmode" => mode = value.into(),
                "sslrootcert" => roots = Some(value.into_owned()),
                _ => others.push((name.into_owned(), value.into_owned())),
            }
        }
        url.query_pairs_mut().clear().extend_pairs(others);
        // An empty query would be read as a name without a value.
        if url.query() == Some("") {
            url.set_query(None);
        }
        let mut config = Config::from_str(url.as_str()).map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            bad(format!("cannot be so: {}", cause.unwrap_or_else(|| error.to_string())))
        })?;
        let (ssl_mode, check) = match (&*mode, &roots) {
            ("disable", _) => (SslMode::Disable, CertificateCheck::None),
            ("allow" | "prefer", None) => (SslMode::Prefer, CertificateCheck::None),
            ("allow" | "prefer", Some(_)) => (SslMode::Prefer, CertificateCheck::Chain),
            ("require", None) => (SslMode::Require, CertificateCheck::None),
            ("require", Some(_)) | ("verify-ca", _) => (SslMode::Require, CertificateCheck::Chain),
            ("verify-full", _) => (SslMode::Require, CertificateCheck::ChainAndName),
            _ => {
                return Err(bad(
                    "has an unknown `sslmode`: use one of disable, prefer, require, verify-ca, verify-full".into(),
                ));
            }
        };
        config.ssl_mode(ssl_mode);
        apply_defaults(&mut config);
        Ok(Self { config, tls: Tls::new(check, roots.as_deref())? })
    }
}

/// Sets the options that the URL does not.
fn apply_defaults(config: &mut Config) {
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(Duration::from_secs(3));
    }
    if config.get_application_name().is_none() {
        config.application_name("pipewright");
    }
    if config.get_tcp_user_timeout().is_none() {
        // Detects a peer that vanished without closing the connection.
        config.tcp_user_timeout(Duration::from_secs(10));
    }
}
