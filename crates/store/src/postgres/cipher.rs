//! Encryption of saved valves, so that the database alone does not reveal them.

use crate::{Result, StoreError};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::{Digest, Sha256};
use std::fmt;

/// A cipher for saved valves: AES-256-GCM.
#[derive(Clone)]
pub(super) struct Cipher(LessSafeKey);

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher")
    }
}

impl Cipher {
    /// Derives the key from this secret. It must be random, so the key is not stretched.
    pub fn from_secret(secret: &str) -> Result<Self> {
        let bad = || {
            StoreError::Refused("PIPEWRIGHT_SECRET_KEY must have 32 characters at least, random ones: `openssl rand -base64 32` makes them".into())
        };
        if secret.len() < 32 {
            return Err(bad());
        }
        let key = Sha256::new().chain_update("pipewright saved valves\0").chain_update(secret);
        let key = UnboundKey::new(&AES_256_GCM, &key.finalize()).map_err(|_| bad())?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Encrypts valves; only the same pipe can decrypt them.
    pub fn encrypt(&self, pipe: &str, content: &str) -> Result<String> {
        let mut nonce = [0; NONCE_LEN];
        ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut nonce)
            .map_err(|_| StoreError::Unavailable("no random numbers can be had".into()))?;
        let mut sealed = content.as_bytes().to_vec();
        let for_pipe = Aad::from(pipe.as_bytes());
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), for_pipe, &mut sealed)
            .map_err(|_| StoreError::Refused("the valves are too many to be sealed".into()))?;
        Ok(BASE64_STANDARD.encode([nonce.as_slice(), &sealed].concat()))
    }

    /// Decrypts valves of this pipe.
    pub fn decrypt(&self, pipe: &str, sealed: &str) -> Result<String> {
        let other = || {
            StoreError::Refused(format!(
                "the saved valves of `{pipe}` were sealed with another PIPEWRIGHT_SECRET_KEY"
            ))
        };
        let sealed = BASE64_STANDARD.decode(sealed).map_err(|_| other())?;
        let (nonce, content) = sealed.split_first_chunk::<NONCE_LEN>().ok_or_else(other)?;
        let mut content = content.to_vec();
        let for_pipe = Aad::from(pipe.as_bytes());
        let opened = self
            .0
            .open_in_place(Nonce::assume_unique_for_key(*nonce), for_pipe, &mut content)
            .map_err(|_| other())?;
        String::from_utf8(opened.to_vec()).map_err(|_| other())
    }
}
