//! `[server.tls]`: TLS in the server itself.

use std::path::{Path, PathBuf};

use super::walk::{Section, path};

/// `[server.tls]`: the certificate that the public listener shows, and whose
/// certificates clients may show. Relative paths stand for places beside the file.
///
/// TLS 1.2 and 1.3. Every file is read anew when it changes, together with the others:
/// new connections get the new ones within three seconds, and a set that is not whole
/// changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificate chain, PEM, the server's own first: 1 to 10 certificates in at
    /// most 256 KiB. Required.
    pub certificate: PathBuf,
    /// Its private key, PEM (PKCS #8, PKCS #1 or SEC 1) without a passphrase, at most
    /// 64 KiB. Nobody but its owner may use the file; where that is root, its group may
    /// read it. Required.
    pub key: PathBuf,
    /// The authorities, PEM, whose client certificates are a credential, in at most
    /// 4 MiB. A client may still show none. None by default: no client is asked.
    pub client_ca: Option<PathBuf>,
    /// What the authorities have revoked (RFC 5280 §5), PEM, in at most 16 MiB: a list of
    /// each authority in a client's chain, none of them past its `nextUpdate`. None by
    /// default: revocation is not looked up.
    pub client_crl: Option<PathBuf>,
}

impl Tls {
    pub(super) fn read(section: &mut Section<'_>, base: &Path) -> Self {
        let mut file = |key| base.join(section.required(key, path).unwrap_or_default());
        let (certificate, key) = (file("certificate"), file("key"));
        let mut file = |key| section.get(key, path).map(|path| base.join(path));
        let (client_ca, client_crl) = (file("client_ca"), file("client_crl"));
        if client_ca.is_none() {
            let why = "says what authorities have revoked: name them in `client_ca`";
            section.refuse("client_crl", why);
        }
        Self { certificate, key, client_ca, client_crl }
    }

    /// All its files.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let always = [self.certificate.as_path(), self.key.as_path()];
        let clients = [&self.client_ca, &self.client_crl];
        always.into_iter().chain(clients.into_iter().flatten().map(PathBuf::as_path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Problems, Server};

    fn server(text: &str) -> Result<Server, Problems> {
        let parsed = Config::parse("b.toml", text, Path::new("/etc/bulkhead"), []);
        parsed.map(|config| config.server)
    }

    const BOTH: &str = "certificate = 'tls/a.pem'\nkey = '/run/a.key'\n";

    #[test]
    fn its_files_are_beside_the_configuration() {
        let text = format!("[server.tls]\n{BOTH}client_ca = 'ca.pem'\nclient_crl = 'crl.pem'");
        let files = ["/etc/bulkhead/tls/a.pem", "/run/a.key", "/etc/bulkhead/ca.pem"];
        let tls = server(&text).unwrap().tls.unwrap();
        assert!(
            tls.files().eq(files.iter().chain(["/etc/bulkhead/crl.pem"].iter()).map(Path::new))
        );
        let fewer = server(&format!("[server.tls]\n{BOTH}")).unwrap().tls.unwrap();
        assert_eq!((fewer.client_ca.as_ref(), fewer.files().count()), (None, 2));
        assert_eq!(server("").unwrap().tls, None);
    }

    #[test]
    fn what_is_incomplete_is_refused() {
        for (text, expected) in [
            ("[server.tls]\nkey = 'a'", "b.toml:1:9: `server.tls.certificate` is missing"),
            ("[server.tls]\ncertificate = 'a'", "b.toml:1:9: `server.tls.key` is missing"),
            (
                &format!("[server.tls]\n{BOTH}client_crl = 'c'"),
                "b.toml:4:14: `server.tls.client_crl`: says what authorities have revoked: name \
                 them in `client_ca`",
            ),
            (
                &format!("[server.tls]\n{BOTH}client_cas = 'c'"),
                "b.toml:4:1: unknown key `server.tls.client_cas`; did you mean `client_ca`?",
            ),
        ] {
            assert_eq!(server(text).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn plain_http_is_for_this_machine_unless_a_proxy_is_named() {
        for local in ["127.0.0.1:80", "127.9.9.9:80", "[::1]:80", "[::ffff:127.0.0.1]:80"] {
            assert!(server(&format!("server.listen = '{local}'")).is_ok(), "{local}");
        }
        for open in ["0.0.0.0:80", "[::]:80", "10.0.0.1:80", "[::ffff:10.0.0.1]:80"] {
            let listen = format!("[server]\nlisten = '{open}'\n");
            let refused = server(&listen).unwrap_err().to_string();
            for part in
                ["b.toml:2:10: `server.listen`: ", "[server.tls]", "`behind_tls_proxy = true`"]
            {
                assert!(refused.contains(part), "{part}: {refused}");
            }
            assert!(server(&format!("{listen}behind_tls_proxy = false")).is_err());
            assert!(server(&format!("{listen}behind_tls_proxy = true")).unwrap().behind_tls_proxy);
            assert!(server(&format!("{listen}[server.tls]\n{BOTH}")).is_ok());
        }
    }

    #[test]
    fn tls_here_and_in_front_contradict_each_other() {
        let both = format!("[server]\nbehind_tls_proxy = true\n[server.tls]\n{BOTH}");
        let refused = server(&both).unwrap_err().to_string();
        assert_eq!(
            refused,
            "b.toml:2:20: `server.behind_tls_proxy`: allows plain HTTP, and with [server.tls] none \
             is served; leave one of the two out"
        );
    }
}
