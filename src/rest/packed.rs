//! Long private lists as JSON, packed (gzip) for clients that take it.
//!
//! Compression tells by its length whether two parts of a text are alike. Who writes one part and sees the length on the way could
//! guess another (BREACH). So only three lists are packed, and no part of one context is a secret to the author of another part of it:
//! all members of a thread read the same messages and members, and threads are packed apart from each other. See "Long lists are
//! compressed" in src/docs/decisions/http.md.

use std::io;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, AcceptEncoding, ContentEncoding, Encoding, Header},
};
use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use serde::Serialize;
use serde_json::ser::Formatter;

/// Bytes from which an answer is packed: below it fits into one packet with its head, and packing gains nothing.
const WORTH: usize = 1_200;
/// Bytes up to which an answer is packed: packing runs between the writes of the worker's sockets.
const MOST: usize = 256 * 1024;

/// Head of a gzip member (RFC 1952): method deflate, no name, no time, unknown system.
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// Whether a client takes gzip, and takes it rather than the plain form.
pub fn takes_gzip(request: &HttpRequest) -> bool {
    let supported = [Encoding::gzip(), Encoding::identity()];
    let accepted = AcceptEncoding::parse(request).ok();
    accepted.is_some_and(|accepted| accepted.negotiate(supported.iter()) == Some(Encoding::gzip()))
}

/// 200 with a private JSON body in which everybody who writes any of it may read all of it.
pub(super) fn list(request: &HttpRequest, body: &impl Serialize) -> HttpResponse {
    answer(request, written(body, serde_json::ser::CompactFormatter))
}

/// The same for a body whose rows have readers of their own: no row is packed with another.
pub(super) fn rows_apart(request: &HttpRequest, body: &impl Serialize) -> HttpResponse {
    answer(request, written(body, Rows::default()))
}

/// JSON text, and where the parts end that are packed apart.
#[derive(Default)]
struct Text {
    json: Vec<u8>,
    ends: Vec<usize>,
}

impl io::Write for Text {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        self.json.extend_from_slice(part);
        Ok(part.len())
    }

    /// A part ends here.
    fn flush(&mut self) -> io::Result<()> {
        self.ends.push(self.json.len());
        Ok(())
    }
}

/// Compact JSON that flushes before and after each element of a list in the outermost object.
#[derive(Default)]
struct Rows {
    depth: usize,
}

impl Formatter for Rows {
    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth += 1;
        writer.write_all(b"[")
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        writer.write_all(b"]")
    }

    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if !first {
            writer.write_all(b",")?;
        }
        if self.depth == 1 { writer.flush() } else { Ok(()) }
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.depth == 1 { writer.flush() } else { Ok(()) }
    }
}

fn written(body: &impl Serialize, formatter: impl Formatter) -> serde_json::Result<Text> {
    let mut text = Text::default();
    body.serialize(&mut serde_json::Serializer::with_formatter(&mut text, formatter))?;
    Ok(text)
}

fn answer(request: &HttpRequest, text: serde_json::Result<Text>) -> HttpResponse {
    // As the framework's own `json` does. No shape of ours fails.
    let Ok(text) = text else { return HttpResponse::InternalServerError().finish() };
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CACHE_CONTROL, "no-store")).insert_header((header::VARY, "Accept-Encoding"));
    response.insert_header(header::ContentType::json());
    let packed = ((WORTH..=MOST).contains(&text.json.len()) && takes_gzip(request)).then(|| packed(&text));
    match packed {
        Some(packed) => response.insert_header(ContentEncoding::Gzip).body(packed),
        None => response.body(text.json),
    }
}

/// One gzip member. After each part the packer forgets what it has seen, so that no part refers to an earlier one.
fn packed(text: &Text) -> Vec<u8> {
    let mut packer = Compress::new(Compression::fast(), false);
    let mut out = Vec::with_capacity(HEAD.len() + text.json.len() / 2);
    out.extend_from_slice(&HEAD);
    let (mut begin, all) = (0, text.json.len());
    for end in text.ends.iter().copied().filter(|end| *end < all) {
        pack(&mut packer, &text.json[begin..end], FlushCompress::Full, &mut out);
        begin = end;
    }
    pack(&mut packer, &text.json[begin..], FlushCompress::Finish, &mut out);
    let mut crc = Crc::new();
    crc.update(&text.json);
    out.extend_from_slice(&crc.sum().to_le_bytes());
    out.extend_from_slice(&crc.amount().to_le_bytes());
    out
}

/// Packs one part whole.
fn pack(packer: &mut Compress, mut part: &[u8], flush: FlushCompress, out: &mut Vec<u8>) {
    loop {
        out.reserve(part.len() / 2 + 64);
        let taken = packer.total_in();
        // It fails only where it is used after its end.
        let status = packer.compress_vec(part, out, flush).expect("the packer has not ended");
        part = &part[usize::try_from(packer.total_in() - taken).unwrap_or(part.len())..];
        // Room that is left says that nothing more is to come.
        if status == Status::StreamEnd || (part.is_empty() && flush != FlushCompress::Finish && out.len() < out.capacity()) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Serialize)]
    struct Page {
        rows: Vec<Row>,
        end: String,
    }

    #[derive(Debug, Serialize)]
    struct Row {
        text: String,
        inner: Vec<Vec<u32>>,
    }

    fn unpacked(packed: &[u8]) -> String {
        let mut text = String::new();
        GzDecoder::new(packed).read_to_string(&mut text).expect("gzip");
        text
    }

    fn rows(texts: &[&str]) -> Page {
        let row = |text: &&str| Row { text: (*text).to_owned(), inner: vec![vec![1], vec![]] };
        Page { rows: texts.iter().map(row).collect(), end: "cursor".to_owned() }
    }

    fn length(page: &Page) -> usize {
        packed(&written(page, Rows::default()).expect("JSON")).len()
    }

    #[test]
    fn a_row_is_as_long_packed_whether_or_not_another_holds_the_same_words() {
        let secret = "the launch code is correct-horse-battery-staple-4711";
        let wrong = "tho lounch cade as carroct-harso-bottory-stoplo-1748";
        assert_eq!(
            length(&rows(&[secret, secret])),
            length(&rows(&[secret, wrong])) - length(&rows(&[wrong])) + length(&rows(&[secret]))
        );
        let together = |page: &Page| packed(&written(page, serde_json::ser::CompactFormatter).expect("JSON")).len();
        assert!(together(&rows(&[secret, secret])) < together(&rows(&[secret, wrong])), "else the test shows nothing");
    }

    proptest! {
        #[test]
        fn what_is_packed_unpacks_to_the_same_json(
            texts in prop::collection::vec(any::<String>(), 0..20),
            long in 0_usize..200_000,
        ) {
            let long = "longer than what the packer holds at once ".repeat(long / 42);
            let rows = texts.into_iter().chain([long]).map(|text| Row { text, inner: vec![vec![7; 3]; 2] });
            let page = Page { rows: rows.collect(), end: String::new() };
            let plain = serde_json::to_string(&page).expect("JSON");
            prop_assert_eq!(unpacked(&packed(&written(&page, Rows::default()).expect("JSON"))), plain.as_str());
            let whole = written(&page, serde_json::ser::CompactFormatter).expect("JSON");
            prop_assert_eq!(unpacked(&packed(&whole)), plain);
        }
    }
}
