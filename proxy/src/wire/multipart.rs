//! Forms of several parts (RFC 7578), for changing what stands in one of them.

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream;
use http::HeaderMap;
use multer::Multipart;

/// A form, part by part.
#[derive(Debug, Clone)]
pub struct Form {
    boundary: String,
    parts: Vec<Part>,
}

/// A part of a form.
#[derive(Debug, Clone)]
pub struct Part {
    headers: HeaderMap,
    name: String,
    /// What stands in it.
    pub bytes: Bytes,
}

/// Why bytes are no form, or cannot become one.
#[derive(Debug, thiserror::Error)]
pub enum FormError {
    /// The Content-Type names no boundary, or the body does not keep to it.
    #[error("the form cannot be read: {0}")]
    Unreadable(#[from] multer::Error),
    /// A part holds the text that would end it.
    #[error("the form's part {0:?} holds the form's own boundary")]
    Boundary(String),
}

impl Form {
    /// Reads a form that was received whole.
    pub async fn read(content_type: &[u8], body: &Bytes) -> Result<Self, FormError> {
        let boundary = multer::parse_boundary(String::from_utf8_lossy(content_type))?;
        let body = stream::iter([Ok::<_, std::convert::Infallible>(body.clone())]);
        let mut form = Multipart::new(body, &boundary);
        let mut parts = Vec::new();
        while let Some(field) = form.next_field().await? {
            let (headers, name) = (field.headers().clone(), field.name().unwrap_or_default().to_owned());
            parts.push(Part { headers, name, bytes: field.bytes().await? });
        }
        Ok(Self { boundary, parts })
    }

    /// All parts, in order.
    pub fn parts_mut(&mut self) -> impl Iterator<Item = &mut Part> {
        self.parts.iter_mut()
    }

    /// Takes a part out.
    pub fn remove(&mut self, place: usize) {
        if place < self.parts.len() {
            self.parts.remove(place);
        }
    }

    /// The form as a body, with the boundary that it came with: its Content-Type still holds.
    pub fn to_bytes(&self) -> Result<Bytes, FormError> {
        let end = format!("\r\n--{}", self.boundary);
        let mut body = BytesMut::with_capacity(self.parts.iter().map(|part| part.bytes.len() + 256).sum());
        for part in &self.parts {
            if memchr::memmem::find(&part.bytes, end.as_bytes()).is_some() {
                return Err(FormError::Boundary(part.name.clone()));
            }
            put(&mut body, &[b"--", self.boundary.as_bytes(), b"\r\n"]);
            for (name, value) in &part.headers {
                put(&mut body, &[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"]);
            }
            put(&mut body, &[b"\r\n", &part.bytes, b"\r\n"]);
        }
        put(&mut body, &[b"--", self.boundary.as_bytes(), b"--\r\n"]);
        Ok(body.freeze())
    }
}

impl Part {
    /// Its name; empty where it has none.
    pub fn name(&self) -> &str {
        &self.name
    }
}

fn put(body: &mut BytesMut, pieces: &[&[u8]]) {
    pieces.iter().for_each(|piece| body.put_slice(piece));
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &[u8] = b"multipart/form-data; boundary=\"x y\"";
    const BODY: &[u8] = b"--x y\r\nContent-Disposition: form-data; name=\"labels\"; filename=\"a b\"\r\nContent-Type: \
        application/octet-stream\r\n\r\n\x00\r\n--x\r\n--x y\r\ncontent-disposition: form-data; name=\"jfr\"\r\n\r\n\r\n\
        --x y--\r\n";

    #[tokio::test]
    async fn what_was_read_is_written_the_same() {
        let mut form = Form::read(TYPE, &Bytes::from_static(BODY)).await.unwrap();
        let again = form.to_bytes().unwrap();
        assert!(again.eq_ignore_ascii_case(BODY), "{again:?}");
        let parts: Vec<_> = form.parts_mut().map(|part| (part.name().to_owned(), part.bytes.clone())).collect();
        let expected = [("labels", &b"\x00\r\n--x"[..]), ("jfr", b"")];
        assert_eq!(parts, expected.map(|(name, bytes)| (name.to_owned(), Bytes::from_static(bytes))));
    }

    #[tokio::test]
    async fn a_part_that_would_end_itself_is_refused() {
        let mut form = Form::read(TYPE, &Bytes::from_static(BODY)).await.unwrap();
        form.parts_mut().for_each(|part| part.bytes = Bytes::from_static(b"a\r\n--x y\r\nb"));
        assert!(matches!(form.to_bytes(), Err(FormError::Boundary(part)) if part == "labels"));
    }

    #[tokio::test]
    async fn every_cut_is_an_error() {
        for cut in 0..BODY.len() - "--\r\n".len() {
            let read = Form::read(TYPE, &Bytes::from_static(&BODY[..cut])).await;
            assert!(read.is_err(), "cut at {cut}: {read:?}");
        }
        assert!(Form::read(b"multipart/form-data", &Bytes::from_static(BODY)).await.is_err());
    }
}
