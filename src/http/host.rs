//! The form of the `Host` header (RFC 9112 section 3.2). The gateway never goes by its value, but whoever stands in front and
//! does may read a malformed one differently. A missing one and several are refused by the HTTP library.

use std::net::Ipv6Addr;

use actix_web::http::header::{HOST, HeaderMap};

use crate::error::{Code, Error};

/// Refuses a request whose `Host` is none.
///
/// # Errors
/// `invalid`.
pub fn judge(headers: &HeaderMap) -> Result<(), Error> {
    let malformed = headers.get_all(HOST).any(|host| !well_formed(host.as_bytes()));
    if malformed {
        return Err(Error::new(Code::Invalid, "The Host header must be a name or an address, and a port if it has one."));
    }
    Ok(())
}

/// `uri-host [ ":" port ]` (RFC 3986 section 3.2.2). It may be empty.
fn well_formed(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else { return false };
    let (name, port) = match host.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(Some((address, port))) if address.parse::<Ipv6Addr>().is_ok() => ("", port),
        Some(_) => return false,
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let port = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    port && registered_name(name.as_bytes())
}

/// Checked in a loop: a header may be as long as a request's head.
fn registered_name(mut name: &[u8]) -> bool {
    loop {
        name = match name {
            [] => return true,
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => rest,
            [byte, rest @ ..] if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(byte) => rest,
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        for right in [
            "",
            "chat.example.org",
            "chat.example.org:8443",
            "chat.example.org:",
            "my_service:80",
            "127.0.0.1:8080",
            "[::1]",
            "[2001:db8::1]:443",
            "xn--bcher-kva.example",
            "a%20b",
        ] {
            assert!(well_formed(right.as_bytes()), "{right:?}");
        }
        for wrong in [
            "bad host",
            "a/b",
            "[::1",
            "::1",
            "http://x/",
            "x:8o",
            "x:80:80",
            "user@x",
            "[::1]x",
            "[x]",
            "a?b",
            "a#b",
            "a\\b",
            "a%2",
            "a%zz",
            "b\u{fc}cher.example",
            "a,b c",
        ] {
            assert!(!well_formed(wrong.as_bytes()), "{wrong:?}");
        }
        assert!(!well_formed(b"\xff"));
    }
}
