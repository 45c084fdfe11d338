//! The value of `http_listen`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

/// An address of this machine and a port. A port alone means loopback, `*` as address all addresses of IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String")]
pub(crate) struct Listen(pub(crate) SocketAddr);

impl TryFrom<String> for Listen {
    type Error = String;

    fn try_from(text: String) -> Result<Listen, String> {
        parse(text.trim()).ok_or_else(|| {
            format!(
                "\"{}\" is not an address and a port; write for example 9187 or 127.0.0.1:9187 for this machine alone, 10.0.0.5:9187 \
                 or *:9187 for others too",
                text.escape_debug()
            )
        })
    }
}

fn parse(text: &str) -> Option<Listen> {
    let (ip, port): (IpAddr, &str) = match text.rsplit_once(':') {
        None | Some(("localhost", _)) => (Ipv4Addr::LOCALHOST.into(), text.trim_start_matches("localhost:")),
        Some(("*", port)) => (Ipv4Addr::UNSPECIFIED.into(), port),
        Some(_) => {
            let address: SocketAddr = text.parse().ok()?;
            return (address.port() != 0).then_some(Listen(address));
        }
    };
    let port: u16 = port.parse().ok()?;
    (port != 0).then_some(Listen(SocketAddr::new(ip, port)))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_port_alone_is_loopback() {
        for (text, expected) in [
            ("9187", Some("127.0.0.1:9187")),
            ("127.0.0.1:9187", Some("127.0.0.1:9187")),
            ("localhost:9187", Some("127.0.0.1:9187")),
            ("*:9187", Some("0.0.0.0:9187")),
            ("10.0.0.5:80", Some("10.0.0.5:80")),
            ("[::1]:9187", Some("[::1]:9187")),
            ("::1", None),
            (":9187", None),
            ("9187:", None),
            ("0", None),
            ("127.0.0.1:0", None),
            ("65536", None),
            ("db.example.com:9187", None),
            ("127.0.0.1", None),
            ("on", None),
        ] {
            assert_eq!(parse(text).map(|Listen(address)| address.to_string()).as_deref(), expected, "{text}");
        }
    }
}
