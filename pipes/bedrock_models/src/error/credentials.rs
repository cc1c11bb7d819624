//! Errors of the credentials, with advice. The sentences hold no names, paths or keys, because
//! people who chat read them.

use bedrock_runtime::CredentialsFault;

/// The advice where there are no credentials at all.
const NO_CREDENTIALS: &str = "no AWS credentials found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, a role or a \
     Bedrock API key, in the environment or as valves of this pipe";

/// The advice where the source of the credentials fails.
const CREDENTIALS_UNAVAILABLE: &str = "the AWS credentials could not be loaded";

/// Returns the error for missing credentials. It names the variable that was meant to lead to some
/// and does not, if there is one.
pub fn missing_credentials() -> &'static str {
    let is_set = |name: &str| std::env::var(name).is_ok_and(|value| !value.trim().is_empty());
    if is_set("AWS_ACCESS_KEY_ID") && !is_set("AWS_SECRET_ACCESS_KEY") {
        return "no AWS credentials found: AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not: set both";
    }
    if is_set("AWS_PROFILE") {
        return "no AWS credentials found: the profile that AWS_PROFILE names is not defined in ~/.aws/config or ~/.aws/credentials, or \
                has no credentials there";
    }
    if is_set("AWS_WEB_IDENTITY_TOKEN_FILE") && !is_set("AWS_ROLE_ARN") {
        return "no AWS credentials found: AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not: set both";
    }
    NO_CREDENTIALS
}

/// Returns the error for credentials that cannot be loaded, with advice.
pub fn unavailable_credentials(fault: CredentialsFault) -> String {
    let reason = match fault {
        CredentialsFault::UndefinedProfile => {
            "the profile that AWS_PROFILE or the valve `aws_profile` names is not defined in ~/.aws/config or ~/.aws/credentials"
        }
        CredentialsFault::IncompleteProfile => {
            "the profile holds no credentials, or names a source that does not exist"
        }
        CredentialsFault::SsoSession => "the SSO session has expired: run `aws sso login`",
        CredentialsFault::TokenFile => {
            "the file that holds them cannot be read: check AWS_WEB_IDENTITY_TOKEN_FILE"
        }
        CredentialsFault::Role => "AWS refuses the role: check its ARN and its trust policy",
        CredentialsFault::Process => "the `credential_process` of the profile fails",
        CredentialsFault::Unknown => {
            "check the profile, the role or the SSO session that they come from"
        }
    };
    format!("{CREDENTIALS_UNAVAILABLE}: {reason}")
}
