//! What a certificate says of its holder, once somebody has verified it.
//!
//! Three things are read: the names that an agent's entry may list, since when it is good,
//! and the time after which it proves nothing, since a connection may outlive it. A common name is
//! deliberately not read: it is no name of any kind (RFC 9525 §2).

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

use crate::transport::ClientCertificate;

/// The holder of a certificate, with its DNS names before its URIs. None if it cannot be
/// read, which nobody who verified it will see.
pub(super) fn holder(der: &CertificateDer<'_>) -> Option<Arc<ClientCertificate>> {
    let certificate = EndEntityCert::try_from(der).ok()?;
    let names = certificate.valid_dns_names().chain(certificate.valid_uri_names());
    let sha256 = digest(&SHA256, der);
    let fingerprint: String = sha256.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Some(Arc::new(ClientCertificate {
        names: names.map(Box::from).collect(),
        fingerprint: fingerprint.into(),
        issued: validity(der).map(|(first, _)| first),
    }))
}

/// The last moment of a certificate: its `notAfter`. None if it cannot be read.
pub(super) fn last_moment(der: &[u8]) -> Option<Timestamp> {
    validity(der).map(|(_, last)| last)
}

/// Its first moment and its last (RFC 5280 §4.1.2.5).
fn validity(der: &[u8]) -> Option<(Timestamp, Timestamp)> {
    const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xa0;
    let certificate = Element::first(der, SEQUENCE)?;
    let mut rest = Element::first(certificate.content, SEQUENCE)?.content;
    if let Some(version) = Element::first(rest, VERSION) {
        rest = version.rest;
    }
    // The serial number, the signature's algorithm, the issuer.
    for _ in 0..3 {
        rest = Element::any(rest)?.rest;
    }
    let validity = Element::first(rest, SEQUENCE)?.content;
    let not_before = Element::any(validity)?;
    let not_after = Element::any(not_before.rest)?;
    Some((time(&not_before)?, time(&not_after)?))
}

/// One element of DER (X.690 §8.1): its tag, what it holds, and what comes after it.
struct Element<'d> {
    tag: u8,
    content: &'d [u8],
    rest: &'d [u8],
}

impl<'d> Element<'d> {
    fn any(der: &'d [u8]) -> Option<Self> {
        let (&[tag, first], rest) = der.split_first_chunk()?;
        let (length, rest) = match first {
            // As it is, or the number of bytes that it takes.
            0..0x80 => (usize::from(first), rest),
            0x81..=0x83 => {
                let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (length.iter().fold(0, |all, byte| all << 8 | usize::from(*byte)), rest)
            }
            // Without an end, or longer than anything that is taken.
            0x80 | 0x84.. => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        Some(Self { tag, content, rest })
    }

    fn first(der: &'d [u8], tag: u8) -> Option<Self> {
        Self::any(der).filter(|element| element.tag == tag)
    }
}

/// `UTCTime` or `GeneralizedTime` as RFC 5280 §4.1.2.5 has them: to the second, in UTC.
fn time(element: &Element<'_>) -> Option<Timestamp> {
    const UTC_TIME: u8 = 0x17;
    const GENERALIZED_TIME: u8 = 0x18;
    let digits = str::from_utf8(element.content).ok()?.strip_suffix('Z')?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = match (element.tag, digits.len()) {
        (UTC_TIME, 12) => {
            let (year, rest) = digits.split_at_checked(2)?;
            let year: i16 = year.parse().ok()?;
            (year + if year < 50 { 2_000 } else { 1_900 }, rest)
        }
        (GENERALIZED_TIME, 14) => {
            let (year, rest) = digits.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at + 2)?.parse::<i8>().ok();
    let date = Date::new(year, part(0)?, part(2)?).ok()?;
    let time = Time::new(part(4)?, part(6)?, part(8)?, 0).ok()?;
    // The last day of 9999 is how certificates say never (RFC 5280 §4.1.2.5), and after
    // the last moment that we have.
    let moment = TimeZone::UTC.to_timestamp(DateTime::from_parts(date, time));
    Some(moment.unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, SanType, date_time_ymd};

    use super::*;

    fn certificate(change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(["b.example".to_owned()]).unwrap();
        change(&mut params);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    #[test]
    fn its_names_are_its_dns_names_and_its_uris() {
        let der = certificate(|params| {
            let uri = "spiffe://example.com/reporting";
            params.subject_alt_names.insert(0, SanType::URI(uri.try_into().unwrap()));
            params.subject_alt_names.push(SanType::Rfc822Name("a@b.example".try_into().unwrap()));
            params.subject_alt_names.push(SanType::IpAddress("10.0.0.1".parse().unwrap()));
            params.distinguished_name.push(rcgen::DnType::CommonName, "root");
        });
        let holder = holder(&der).unwrap();
        let names: Vec<_> = holder.names.iter().map(|name| &**name).collect();
        assert_eq!(names, ["b.example", "spiffe://example.com/reporting"]);
        assert_eq!(holder.fingerprint.len(), 64);
        assert!(holder.fingerprint.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
    }

    #[test]
    fn its_last_moment_is_found_in_both_forms() {
        for (year, month, day, expected) in [
            (2030, 2, 28, "2030-02-28T00:00:00Z"),
            (2049, 12, 31, "2049-12-31T00:00:00Z"),
            (2050, 1, 1, "2050-01-01T00:00:00Z"),
            (4096, 1, 1, "4096-01-01T00:00:00Z"),
        ] {
            let der = certificate(|params| params.not_after = date_time_ymd(year, month, day));
            assert_eq!(last_moment(&der).unwrap().to_string(), expected);
            let der = certificate(|params| params.not_before = date_time_ymd(year, month, day));
            assert_eq!(holder(&der).unwrap().issued.unwrap().to_string(), expected);
        }
        let at = |tag, content: &str| {
            time(&Element { tag, content: content.as_bytes(), rest: &[] }).map(|t| t.to_string())
        };
        let found = |tag, content| at(tag, content).unwrap();
        assert_eq!(found(0x17, "500102030405Z"), "1950-01-02T03:04:05Z");
        assert_eq!(found(0x18, "99991231235959Z"), Timestamp::MAX.to_string());
        for (tag, bad) in [
            (0x17, "20300102030405Z"),
            (0x18, "300102030405Z"),
            (0x17, "3001020304Z"),
            (0x17, "300102030405"),
            (0x17, "301302030405Z"),
            (0x17, "30010203040+Z"),
            (0x17, "é0102030405Z"),
            (0x16, "300102030405Z"),
        ] {
            assert_eq!(at(tag, bad), None, "{bad}");
        }
    }

    #[test]
    fn a_certificate_that_is_cut_has_no_last_moment_and_no_holder() {
        let der = certificate(|_| {});
        assert!(last_moment(&der).is_some());
        for end in 0..der.len() {
            let cut = CertificateDer::from(der[..end].to_vec());
            assert_eq!((last_moment(&cut), holder(&cut)), (None, None), "{end}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(at in 0_usize..400, byte: u8, noise: Vec<u8>) {
            let mut der = certificate(|_| {}).to_vec();
            let len = der.len();
            der[at % len] = byte;
            for der in [der, noise] {
                let _ = last_moment(&der);
                let _ = holder(&der.into());
            }
        }
    }
}
