//! Variables that Kubernetes puts into every pod for each service of its namespace, and Docker for each link.
//!
//! A service named `hailgate-api` becomes `HAILGATE_API_SERVICE_HOST` and more, so a neighbouring service would otherwise keep
//! this program from starting. The forms are those of `makeLinkVariables` and `FromServices` in Kubernetes.

use std::{ffi::OsStr, net::SocketAddr};

/// What the names begin with where the service's own name begins with `hailgate`.
const PREFIX: &str = "HAILGATE_";
const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];

/// Whether a variable describes a service. The caller has looked for a setting of that name before.
pub(super) fn is_of_a_service(name: &str, value: &OsStr) -> bool {
    let Some(rest) = name.strip_prefix(PREFIX) else { return false };
    let part = |part: &str| !part.is_empty() && part.bytes().all(|b| matches!(b, b'A'..=b'Z' | b'0'..=b'9' | b'_'));
    if !part(rest) {
        return false;
    }
    // No setting begins with these, so they need no closer look.
    if rest == "PORT" || rest.starts_with("PORT_") || rest.starts_with("SERVICE_") {
        return true;
    }
    rest.ends_with("_SERVICE_HOST")
        || rest.ends_with("_SERVICE_PORT")
        || rest.split_once("_SERVICE_PORT_").is_some_and(|(service, port)| part(service) && part(port))
        // People write names like this one for settings of their own invention, with a bare number as value.
        || (rest.ends_with("_PORT") && is_address(value))
        || is_of_a_port(rest)
}

/// Whether a name ends with `_PORT_<N>_<PROTOCOL>`, or with that and `_ADDR`, `_PORT` or `_PROTO`.
fn is_of_a_port(rest: &str) -> bool {
    let rest = ["_ADDR", "_PORT", "_PROTO"].iter().find_map(|end| rest.strip_suffix(end)).unwrap_or(rest);
    let Some((rest, protocol)) = rest.rsplit_once('_') else { return false };
    let Some((rest, number)) = rest.rsplit_once('_') else { return false };
    PROTOCOLS.contains(&protocol) && number.parse::<u16>().is_ok() && rest.ends_with("_PORT")
}

/// Whether a value is one that Kubernetes gives to `<SERVICE>_PORT`, like `tcp://10.0.0.1:80`.
fn is_address(value: &OsStr) -> bool {
    let Some((protocol, address)) = value.to_str().and_then(|text| text.split_once("://")) else { return false };
    PROTOCOLS.contains(&protocol.to_uppercase().as_str()) && address.parse::<SocketAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::SETTINGS, domain::Limits};

    #[test]
    fn the_variables_of_every_service_are_known_and_those_of_a_mistyped_setting_are_not() {
        for service in ["GATEWAY", "REDIS_MASTER", "DB_2", "SERVICE", "PORT", "LIMIT_PAGE", "JWT_SECRET"] {
            let mut of_service = vec![
                (format!("{service}_SERVICE_HOST"), "10.0.0.1".to_owned()),
                (format!("{service}_SERVICE_PORT"), "80".to_owned()),
                (format!("{service}_SERVICE_PORT_HTTP_ALT"), "8080".to_owned()),
                (format!("{service}_PORT"), "tcp://10.0.0.1:80".to_owned()),
                (format!("{service}_PORT"), "udp://[fd00::1]:53".to_owned()),
            ];
            for protocol in PROTOCOLS {
                of_service.push((format!("{service}_PORT_80_{protocol}"), "tcp://10.0.0.1:80".to_owned()));
                for end in ["ADDR", "PORT", "PROTO"] {
                    of_service.push((format!("{service}_PORT_80_{protocol}_{end}"), "80".to_owned()));
                }
            }
            for (name, value) in of_service {
                assert!(is_of_a_service(&format!("HAILGATE_{name}"), OsStr::new(&value)), "{name}={value}");
            }
        }
        for name in ["SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_80_TCP", "PORT_80_TCP_ADDR"] {
            assert!(is_of_a_service(&format!("HAILGATE_{name}"), OsStr::new("x")), "{name}");
        }
        for (name, value) in [
            ("HAILGATE_METRICS_PORT", "9090"),
            ("HAILGATE_BIND_PORT", "8080"),
            ("HAILGATE_GATEWAY_PORT", "http://10.0.0.1:80"),
            ("HAILGATE_GATEWAY_PORT", ""),
            ("HAILGATE_JWT_SECRT", "x"),
            ("HAILGATE_GATEWAY_PORT_80_HTTP", "x"),
            ("HAILGATE_GATEWAY_PORT_99999_TCP", "x"),
            ("HAILGATE_GATEWAY_SERVICE", "x"),
            ("HAILGATE_gateway_SERVICE_HOST", "x"),
            ("OTHER_SERVICE_HOST", "x"),
        ] {
            assert!(!is_of_a_service(name, OsStr::new(value)), "{name}={value}");
        }
    }

    #[test]
    fn no_setting_has_such_a_name() {
        let limits = Limits::TABLE.iter().map(|(name, ..)| format!("HAILGATE_LIMIT_{}", name.to_uppercase()));
        for name in SETTINGS.iter().map(|setting| setting.variable.to_owned()).chain(limits) {
            assert!(!is_of_a_service(&name, OsStr::new("tcp://10.0.0.1:80")), "{name}");
        }
    }
}
