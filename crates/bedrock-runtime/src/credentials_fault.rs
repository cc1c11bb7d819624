//! The reason for which configured credentials cannot be loaded.

use std::error::Error;

/// The reason for which configured credentials cannot be loaded, as far as their source tells. It
/// holds no names and no paths, because people who chat read the error that is made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialsFault {
    /// The source does not tell in words that are known.
    Unknown,
    /// The profile is not defined.
    UndefinedProfile,
    /// The profile is defined, but holds no credentials, or names a source that does not exist.
    IncompleteProfile,
    /// There is no valid SSO session.
    SsoSession,
    /// The file with the web identity token cannot be read.
    TokenFile,
    /// AWS refuses to assume the role.
    Role,
    /// The program of `credential_process` fails.
    Process,
}

/// Words of the causes, and what they mean; the first row that fits counts. They are those of the
/// crate `aws-config` 1.13.
const WORDS: [(&[&str], CredentialsFault); 13] = [
    (&["profile", "was not defined"], CredentialsFault::UndefinedProfile),
    (&["no profiles were defined"], CredentialsFault::UndefinedProfile),
    (&["did not contain credential information"], CredentialsFault::IncompleteProfile),
    (&["credential source in"], CredentialsFault::IncompleteProfile),
    (&["sso token"], CredentialsFault::SsoSession),
    (&["sso config"], CredentialsFault::SsoSession),
    (&["sso-session"], CredentialsFault::SsoSession),
    (&["sso/cache"], CredentialsFault::SsoSession),
    (&["no such file"], CredentialsFault::TokenFile),
    (&["permission denied"], CredentialsFault::TokenFile),
    (&["assumerole"], CredentialsFault::Role),
    (&["assume role"], CredentialsFault::Role),
    (&["credential process"], CredentialsFault::Process),
];

impl CredentialsFault {
    /// Returns whether the one profile that was asked for is not defined. The chain of all sources
    /// says so of its own profile, too, but not as the first cause.
    pub(crate) fn is_undefined_profile(error: &dyn Error) -> bool {
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        cause.starts_with("profile `") && cause.contains("was not defined")
    }

    /// Returns the fault that an error and its causes tell of.
    pub fn from_error(error: &(dyn Error + 'static)) -> Self {
        let (mut causes, mut next) = (String::new(), Some(error));
        while let Some(cause) = next {
            // Errors of the SDK say more in their debug form.
            causes += &format!("{cause} {cause:?} ").to_lowercase();
            next = cause.source();
        }
        let fits = |words: &[&str]| words.iter().all(|word| causes.contains(word));
        let row = WORDS.iter().find(|(words, _)| fits(words));
        row.map_or(Self::Unknown, |(_, fault)| *fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_credential_types::provider::error::CredentialsError;
    use std::io;

    #[test]
    fn the_words_of_the_sdk_are_understood() {
        for (words, fault) in [
            ("profile `x` was not defined: could not find", CredentialsFault::UndefinedProfile),
            (
                "profile `x` did not contain credential information",
                CredentialsFault::IncompleteProfile,
            ),
            ("the SSO token has expired and cannot be refreshed", CredentialsFault::SsoSession),
            ("something new", CredentialsFault::Unknown),
        ] {
            let error = CredentialsError::invalid_configuration(words.to_owned());
            assert_eq!(CredentialsFault::from_error(&error), fault, "{words}");
        }
        let missing = io::Error::from(io::ErrorKind::NotFound);
        let missing = CredentialsError::provider_error(io::Error::other(format!("{missing}")));
        assert_eq!(CredentialsFault::from_error(&missing), CredentialsFault::Unknown);
        let missing = CredentialsError::provider_error(io::Error::from_raw_os_error(2));
        assert_eq!(CredentialsFault::from_error(&missing), CredentialsFault::TokenFile);
    }
}
