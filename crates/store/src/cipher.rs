//! Encryption of stored texts with the operator's key (AES-256-GCM).

use crate::{Result, StoreError};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom, SystemRandom},
};
use sha2::{Digest, Sha256};
use std::fmt;

/// The shortest secret, in bytes.
const MIN_SECRET_BYTES: usize = 32;

/// A key that encrypts texts for one purpose.
#[derive(Clone)]
pub struct Cipher(LessSafeKey);

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher")
    }
}

/// The purpose of the key that encrypts saved valves.
const VALVES: &str = "pipewright saved valves";

impl Cipher {
    /// Derives the key that encrypts saved valves.
    ///
    /// # Errors
    /// [`StoreError::InvalidSecretKey`] if the secret is too short.
    pub fn for_valves(secret: &str) -> Result<Self> {
        Self::from_secret(secret, VALVES)
    }

    /// Derives the key for this purpose. The secret must be random, so it is not stretched.
    ///
    /// # Errors
    /// [`StoreError::InvalidSecretKey`] if the secret is too short.
    pub(crate) fn from_secret(secret: &str, purpose: &str) -> Result<Self> {
        if secret.len() < MIN_SECRET_BYTES {
            return Err(StoreError::InvalidSecretKey);
        }
        let key = Sha256::new().chain_update(purpose).chain_update("\0").chain_update(secret);
        let key = UnboundKey::new(&AES_256_GCM, &key.finalize())
            .map_err(|_| StoreError::InvalidSecretKey)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Encrypts a text. It can be decrypted only with the same `context`, which names what the text
    /// belongs to.
    ///
    /// # Errors
    /// If there are no random numbers, or the text has more than 64 GiB.
    pub fn encrypt(&self, context: &str, text: &str) -> Result<String> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new()
            .fill(&mut nonce)
            .map_err(|_| StoreError::Refused("the system has no random numbers".into()))?;
        let mut sealed = text.as_bytes().to_vec();
        let (unique, aad) = (Nonce::assume_unique_for_key(nonce), Aad::from(context.as_bytes()));
        self.0
            .seal_in_place_append_tag(unique, aad, &mut sealed)
            .map_err(|_| StoreError::Refused("the text is too long to be encrypted".into()))?;
        Ok(BASE64_STANDARD.encode([nonce.as_slice(), &sealed].concat()))
    }

    /// Decrypts a text; `None` if it was encrypted with another key or for another context.
    pub fn decrypt(&self, context: &str, sealed: &str) -> Option<String> {
        let sealed = BASE64_STANDARD.decode(sealed).ok()?;
        let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut text = text.to_vec();
        let (nonce, aad) = (Nonce::assume_unique_for_key(*nonce), Aad::from(context.as_bytes()));
        let opened = self.0.open_in_place(nonce, aad, &mut text).ok()?;
        String::from_utf8(opened.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_decrypted_only_with_its_key_for_its_purpose_and_context() {
        let secret = "0123456789abcdef0123456789abcdef";
        let cipher = Cipher::from_secret(secret, "one").unwrap();
        let sealed = cipher.encrypt("a", "hello").unwrap();
        assert!(!sealed.contains("hello"));
        assert_ne!(sealed, cipher.encrypt("a", "hello").unwrap());
        assert_eq!(cipher.decrypt("a", &sealed).as_deref(), Some("hello"));
        assert_eq!(cipher.decrypt("b", &sealed), None);
        let other = Cipher::from_secret(secret, "two").unwrap();
        assert_eq!(other.decrypt("a", &sealed), None);
        assert!(Cipher::from_secret("short", "one").is_err());
    }
}
