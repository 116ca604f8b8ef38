//! Media by their first bytes: what a type says and what is there have to agree.
//!
//! The threat: HTML or a script in what is declared as a picture, for a client that
//! looks at the bytes.

/// Whether `bytes` begin as the media type says. Of a type that is not known here, only
/// that they do not begin as something that a browser runs.
pub(super) fn is_of(media_type: &str, bytes: &[u8]) -> bool {
    let begins = |with: &[u8]| bytes.starts_with(with);
    let holds = |at: usize, what: &[u8]| bytes.get(at..).is_some_and(|rest| rest.starts_with(what));
    match media_type {
        "image/png" => begins(b"\x89PNG\r\n\x1a\n"),
        "image/jpeg" => begins(b"\xff\xd8\xff"),
        "image/gif" => begins(b"GIF87a") || begins(b"GIF89a"),
        "image/webp" => begins(b"RIFF") && holds(8, b"WEBP"),
        "image/bmp" => begins(b"BM"),
        "image/tiff" => begins(b"II*\0") || begins(b"MM\0*"),
        "image/avif" => holds(4, b"ftypavi"),
        "image/heic" => holds(4, b"ftyphei") || holds(4, b"ftypmif"),
        "audio/wav" | "audio/x-wav" | "audio/wave" => begins(b"RIFF") && holds(8, b"WAVE"),
        "audio/mpeg" => {
            begins(b"ID3") || matches!(bytes, [0xff, second, ..] if second & 0xe0 == 0xe0)
        }
        "audio/ogg" | "video/ogg" => begins(b"OggS"),
        "audio/flac" => begins(b"fLaC"),
        "audio/mp4" | "video/mp4" => holds(4, b"ftyp"),
        "audio/webm" | "video/webm" => begins(b"\x1a\x45\xdf\xa3"),
        "application/pdf" => begins(b"%PDF-"),
        "application/zip" => begins(b"PK\x03\x04") || begins(b"PK\x05\x06"),
        "application/gzip" => begins(b"\x1f\x8b"),
        // Whoever lists what runs has it run.
        "image/svg+xml"
        | "text/html"
        | "application/xhtml+xml"
        | "application/xml"
        | "text/xml" => true,
        _ => !runs(bytes),
    }
}

/// Whether a browser that looks at the bytes may run them (WHATWG, MIME Sniffing §7.1).
fn runs(bytes: &[u8]) -> bool {
    let begin = bytes.get(..bytes.len().min(512)).unwrap_or_default();
    let trimmed = begin.strip_prefix(b"\xef\xbb\xbf").unwrap_or(begin).trim_ascii_start();
    trimmed.first() == Some(&b'<')
        && trimmed.get(1).is_some_and(|b| b.is_ascii_alphabetic() || matches!(b, b'!' | b'?'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_declared_is_there() {
        let page: &[u8] = b"\xef\xbb\xbf \n<!DOCTYPE html><script>";
        for (media_type, good) in [
            ("image/png", &b"\x89PNG\r\n\x1a\n\0"[..]),
            ("image/jpeg", b"\xff\xd8\xff\xe0"),
            ("image/gif", b"GIF89a.."),
            ("image/webp", b"RIFF....WEBPVP8 "),
            ("image/bmp", b"BM...."),
            ("image/tiff", b"II*\0"),
            ("image/avif", b"....ftypavif"),
            ("image/heic", b"....ftypheic"),
            ("audio/wav", b"RIFF....WAVEfmt "),
            ("audio/mpeg", b"\xff\xfb\x90"),
            ("audio/ogg", b"OggS"),
            ("audio/flac", b"fLaC"),
            ("video/mp4", b"....ftypisom"),
            ("video/webm", b"\x1a\x45\xdf\xa3"),
            ("application/pdf", b"%PDF-1.7"),
            ("application/zip", b"PK\x03\x04"),
            ("application/gzip", b"\x1f\x8b\x08"),
            ("application/octet-stream", b"\0\x01<a>"),
        ] {
            assert!(is_of(media_type, good), "{media_type}");
            assert!(!is_of(media_type, page), "{media_type}");
            let empty_is_fine = media_type == "application/octet-stream";
            assert_eq!(is_of(media_type, b""), empty_is_fine, "{media_type}");
        }
    }
}
