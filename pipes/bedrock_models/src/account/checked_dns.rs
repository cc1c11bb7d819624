//! The look-up of host names for the AWS SDK, without the addresses of metadata services.

use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};

/// The system's resolver without the addresses of metadata services. The SDK's own requests to
/// those services go to literal addresses, which are not resolved.
#[derive(Clone, Copy, Debug)]
pub struct CheckedDns;

impl ResolveDns for CheckedDns {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(
            async move { http_client::look_up(name).await.map_err(ResolveDnsError::new) },
        )
    }
}
