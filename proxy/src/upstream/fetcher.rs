//! Asks servers for what they have, with the reference's options: whole bodies, bounded and paid for.

use alloy_syntax::Invalid;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, header};

use super::client::intake::Intake;
use super::http_client::{
    Credentials, CredentialsError, HttpClientArguments, HttpError, MOST_REDIRECTS, Next, USER_AGENT,
};
use super::{Client, ClientError};

/// Of servers that compress only for those who say so.
const ENCODINGS: HeaderValue = HeaderValue::from_static("gzip");

/// Asks with GET. Files with credentials are read again for each request, as by the reference.
#[derive(Debug)]
pub struct Fetcher {
    client: Client,
    credentials: Option<Credentials>,
    /// Secrets, for the server that was asked alone.
    headers: HeaderMap,
    follow_redirects: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The credentials cannot be read.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// A redirect that leads nowhere, or redirects without end.
    #[error(transparent)]
    Redirect(HttpError),
    /// No connection, it broke before the answer's end, or the answer is not kept.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl FetchError {
    /// Whether the answer is larger than it may be.
    pub fn is_too_large(&self) -> bool {
        matches!(self, Self::Client(error) if error.is_too_large())
    }
}

impl Fetcher {
    /// One that asks through this client.
    ///
    /// # Errors
    /// Options that exclude each other, or that no request can carry.
    pub fn new(client: Client, arguments: &HttpClientArguments) -> Result<Self, Invalid> {
        Ok(Self {
            client,
            credentials: arguments.credentials()?,
            headers: arguments.headers()?,
            follow_redirects: arguments.follow_redirects,
        })
    }

    /// Asks, following redirects; the body goes into the intake, the beginning alone where the answer is no success. The
    /// deadline is the caller's.
    ///
    /// # Errors
    /// When there is no whole answer; one with any status is.
    pub async fn get(&self, uri: &Uri, intake: &mut Intake) -> Result<(StatusCode, HeaderMap), FetchError> {
        let mut request = Request::new(());
        *request.uri_mut() = uri.clone();
        let mut next = Next::first(request);
        for _ in 0..=MOST_REDIRECTS {
            let request = self.complete(&next).await?;
            let (status, headers) = self.client.fetch(request, intake).await?;
            let after = if self.follow_redirects { next.after(status, &headers) } else { Ok(None) };
            match after.map_err(FetchError::Redirect)? {
                Some(after) => next = after,
                None => return Ok((status, headers)),
            }
        }
        Err(FetchError::Redirect(HttpError::TooManyRedirects))
    }

    async fn complete(&self, next: &Next<()>) -> Result<Request<()>, CredentialsError> {
        let mut request = next.request();
        let proxy_authorization = self.client.proxy_authorization(request.uri());
        let headers = request.headers_mut();
        headers.insert(header::USER_AGENT, USER_AGENT);
        headers.insert(header::ACCEPT_ENCODING, ENCODINGS);
        if next.is_at_home() {
            for (name, value) in &self.headers {
                headers.append(name, value.clone());
            }
            if let Some(credentials) = &self.credentials {
                headers.insert(header::AUTHORIZATION, credentials.header().await?);
            }
        }
        if let Some(authorization) = proxy_authorization {
            headers.insert(header::PROXY_AUTHORIZATION, authorization);
        }
        Ok(request)
    }
}
