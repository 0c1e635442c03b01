//! Request lines as people write them: curl sends `effective_status=["ACTIVE"]` with its quotes, which Meta takes and
//! hyper's parser of addresses does not. Such bytes are percent-encoded on their way in.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// No header that is looked at is longer.
const LINE_BYTES: usize = 64;

/// A connection whose request lines are encoded.
#[derive(Debug)]
pub(crate) struct Encoded<S> {
    stream: S,
    reader: Reader,
    /// What did not fit any more after it was encoded.
    over: Vec<u8>,
}

impl<S> Encoded<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, reader: Reader::default(), over: Vec::new() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Encoded<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { stream, reader, over } = self.get_mut();
        if over.is_empty() {
            let before = buffer.filled().len();
            ready!(Pin::new(stream).poll_read(context, buffer))?;
            let came = buffer.filled().get(before..).unwrap_or_default();
            let raw = reader.raw(came);
            if raw.is_empty() {
                return Poll::Ready(Ok(()));
            }
            *over = encoded(came, &raw);
            buffer.set_filled(before);
        }
        let fits = over.len().min(buffer.remaining());
        over.drain(..fits).for_each(|byte| buffer.put_slice(&[byte]));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Encoded<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// Follows a connection of HTTP/1 from request to request.
#[derive(Debug, Default)]
struct Reader {
    place: Place,
    /// The beginning of the line that is being read.
    line: Vec<u8>,
    body: u64,
    is_chunked: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Request,
    Headers,
    Body,
    /// HTTP/2, or behind a body of unknown length: left as it is.
    Beyond,
}

impl Reader {
    /// The places of bytes in request lines that must be encoded.
    fn raw(&mut self, came: &[u8]) -> Vec<usize> {
        let mut raw = Vec::new();
        let mut at = 0;
        while let Some(rest) = came.get(at..).filter(|rest| !rest.is_empty()) {
            at += match self.place {
                Place::Beyond => return raw,
                Place::Body => {
                    let skipped = usize::try_from(self.body).unwrap_or(usize::MAX).min(rest.len());
                    self.body -= u64::try_from(skipped).unwrap_or_default();
                    if self.body == 0 {
                        self.place = Place::Request;
                    }
                    skipped
                }
                Place::Request | Place::Headers => {
                    let end = rest.iter().position(|byte| *byte == b'\n');
                    let part = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
                    if self.place == Place::Request {
                        raw.extend((at..).zip(part).filter(|(_, byte)| is_raw(**byte)).map(|(at, _)| at));
                    }
                    self.line.extend(part.iter().take(LINE_BYTES.saturating_sub(self.line.len())));
                    if end.is_some() {
                        self.end_line();
                    }
                    part.len() + usize::from(end.is_some())
                }
            };
        }
        raw
    }

    fn end_line(&mut self) {
        let mut line = std::mem::take(&mut self.line);
        self.see_line(line.trim_ascii());
        line.clear();
        self.line = line;
    }

    fn see_line(&mut self, line: &[u8]) {
        match self.place {
            // Empty lines may stand before a request.
            Place::Request if line.is_empty() => {}
            Place::Request if line.starts_with(b"PRI ") => self.place = Place::Beyond,
            Place::Request => {
                self.place = Place::Headers;
                self.body = 0;
                self.is_chunked = false;
            }
            _ if line.is_empty() => {
                self.place = match (self.is_chunked, self.body) {
                    (true, _) => Place::Beyond,
                    (false, 0) => Place::Request,
                    (false, _) => Place::Body,
                };
            }
            _ => self.see_header(line),
        }
    }

    fn see_header(&mut self, line: &[u8]) {
        let (name, value) = line.split_at(line.iter().position(|byte| *byte == b':').unwrap_or(line.len()));
        if name.eq_ignore_ascii_case(b"content-length") {
            let digits = std::str::from_utf8(value).unwrap_or_default().trim_matches([':', ' ']);
            self.body = digits.parse().unwrap_or_default();
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.is_chunked = true;
        }
    }
}

fn is_raw(byte: u8) -> bool {
    matches!(byte, b'"' | b'<' | b'>' | 0x80..)
}

fn encoded(bytes: &[u8], raw: &[usize]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 2 * raw.len());
    let mut raw = raw.iter().peekable();
    for (at, byte) in bytes.iter().enumerate() {
        if raw.next_if_eq(&&at).is_some() {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        } else {
            out.push(*byte);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;

    /// What comes through when so many bytes arrive and so many are taken at a time.
    async fn through(bytes: &[u8], arriving: usize, taken: usize) -> String {
        let mut stream = dripping(bytes, arriving);
        let mut out = Vec::new();
        let mut buffer = vec![0; taken];
        loop {
            let count = stream.read(&mut buffer).await.unwrap();
            if count == 0 {
                return String::from_utf8(out).unwrap();
            }
            out.extend_from_slice(&buffer[..count]);
        }
    }

    /// A stream that gives so many bytes at a time.
    struct Dripping {
        bytes: Vec<u8>,
        arriving: usize,
    }

    impl AsyncRead for Dripping {
        fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            let count = self.arriving.min(self.bytes.len()).min(buffer.remaining());
            buffer.put_slice(&self.bytes.drain(..count).collect::<Vec<_>>());
            Poll::Ready(Ok(()))
        }
    }

    fn dripping(bytes: &[u8], arriving: usize) -> Encoded<Dripping> {
        Encoded::new(Dripping { bytes: bytes.to_vec(), arriving })
    }

    #[tokio::test]
    async fn only_request_lines_are_encoded_however_they_arrive() {
        let sent = "GET /a?x=[\"A\"] HTTP/1.1\r\nHost: h\r\nX: \"q\"\r\n\r\n\
                    POST /b?y=<ä> HTTP/1.1\r\nContent-Length: 8\r\n\r\n{\"a\":1}\n\
                    GET /c?z=\"C\" HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n\"d\"\r\n0\r\n\r\n";
        let expected = sent.replace("[\"A\"]", "[%22A%22]").replace("<ä>", "%3C%C3%A4%3E").replace("\"C\"", "%22C%22");
        for (arriving, taken) in [(1, 1), (7, 3), (4_096, 5), (4_096, 4_096)] {
            assert_eq!(through(sent.as_bytes(), arriving, taken).await, expected, "{arriving} {taken}");
        }
    }

    #[tokio::test]
    async fn the_other_protocol_is_left_alone() {
        let sent = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\"<>\"";
        assert_eq!(through(sent.as_bytes(), 9, 9).await, sent);
    }
}
