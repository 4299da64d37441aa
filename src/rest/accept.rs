//! Which form of `/api/events` a client asks for: `Accept` with its qualities (RFC 9110 section 12.5.1).

use actix_web::{
    HttpRequest,
    http::header::{self, Accept, Header, Quality, QualityItem},
    mime::Mime,
};

use crate::{
    error::{Code, Error},
    wire::sse,
};

/// How events are received without a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `text/event-stream`.
    Stream,
    /// `application/json`: a long poll.
    Poll,
}

/// How well a media type fits: how exactly it is named (0 by `*/*`, 1 by `type/*`, 2 itself) and how much it is wanted.
type Fit = (u8, Quality);

/// The form a request asks for: the one it wants more. Of two it wants alike, the stream if it names that itself;
/// whoever takes anything gets the poll.
///
/// # Errors
/// `not_acceptable`, if it takes neither.
pub fn form(request: &HttpRequest) -> Result<Form, Error> {
    if request.headers().get_all(header::ACCEPT).all(|value| value.as_bytes().trim_ascii().is_empty()) {
        return Ok(Form::Poll);
    }
    let accepted = Accept::parse(request).map(|accept| accept.0).unwrap_or_default();
    let stream = fit(&accepted, sse::MEDIA_TYPE);
    let poll = fit(&accepted, "application/json");
    let wanted = |fit: Option<Fit>| fit.map(|(_, quality)| quality).filter(|quality| *quality > Quality::ZERO);
    match (wanted(stream), wanted(poll)) {
        (None, None) => {
            let detail = "Accept text/event-stream for a stream, or application/json for a long poll.";
            Err(Error::new(Code::NotAcceptable, detail))
        }
        (stream, poll) if stream > poll => Ok(Form::Stream),
        (wanted, poll) if wanted == poll && stream.is_some_and(|(exact, _)| exact == 2) => Ok(Form::Stream),
        _ => Ok(Form::Poll),
    }
}

/// The most exact range that holds a media type; of several, the one it wants most.
fn fit(accepted: &[QualityItem<Mime>], media_type: &str) -> Option<Fit> {
    let (main, sub) = media_type.split_once('/')?;
    let exactness = |range: &actix_web::mime::Mime| match (range.type_().as_str(), range.subtype().as_str()) {
        ("*", "*") => Some(0),
        (range, "*") if range == main => Some(1),
        (range, subtype) if range == main && subtype == sub => Some(2),
        _ => None,
    };
    accepted.iter().filter_map(|range| Some((exactness(&range.item)?, range.quality))).max()
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use proptest::prelude::*;

    use super::*;

    fn asked(accept: &[&str]) -> Result<Form, Code> {
        let request =
            accept.iter().fold(TestRequest::default(), |request, value| request.append_header((header::ACCEPT, *value)));
        form(&request.to_http_request()).map_err(|error| error.code)
    }

    #[test]
    fn the_form_that_is_wanted_more_is_the_one_that_comes() {
        let (stream, poll, neither) = (Ok(Form::Stream), Ok(Form::Poll), Err(Code::NotAcceptable));
        let table: &[(&[&str], Result<Form, Code>)] = &[
            (&[], poll),
            (&[""], poll),
            (&["*/*"], poll),
            (&["application/json"], poll),
            (&["application/*"], poll),
            (&["text/event-stream"], stream),
            (&["Text/Event-Stream; charset=utf-8"], stream),
            (&["text/*"], stream),
            (&["text/event-stream, */*"], stream),
            (&["*/*, text/event-stream"], stream),
            (&["application/json, text/event-stream"], stream),
            (&["application/json", "text/event-stream"], stream),
            (&["text/event-stream;q=0.5, application/json"], poll),
            (&["text/event-stream;q=0.5, application/json;q=0.4"], stream),
            (&["text/event-stream;q=0.5, */*;q=0.8"], poll),
            (&["text/event-stream;q=0, */*"], poll),
            (&["application/json;q=0, */*"], stream),
            (&["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], poll),
            (&["text/event-stream;q=0"], neither),
            (&["text/event-stream;q=0, application/json;q=0, */*"], neither),
            (&["text/html"], neither),
            (&["*/*;q=0"], neither),
            (&["nonsense"], neither),
            (&["text/event-stream;q=2"], neither),
        ];
        for (accept, expected) in table {
            assert_eq!(asked(accept), *expected, "{accept:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_stands_in_the_header_is_answered(accept in "[ -~]{0,60}") {
            let _ = asked(&[&accept]);
        }
    }
}
