//! W3C Trace Context, as far as it is passed on: checked for its form, never used
//! to decide anything.

/// The trace that a request belongs to, in its client's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceContext {
    /// `VERSION-TRACE-PARENT-FLAGS`, 55 lower-case hexadecimal digits and dashes.
    pub traceparent: Option<Box<str>>,
    /// What other systems added; at most 512 printable bytes, and only beside a
    /// `traceparent`.
    pub tracestate: Option<Box<str>>,
}

impl TraceContext {
    /// Takes what is well formed. What is not is dropped, as W3C Trace Context
    /// §3.3 says: a broken trace never fails a call.
    pub fn read(traceparent: Option<&str>, tracestate: Option<&str>) -> Self {
        let traceparent = traceparent.filter(|text| is_traceparent(text));
        let tracestate = tracestate.filter(|text| traceparent.is_some() && is_tracestate(text));
        Self { traceparent: traceparent.map(Into::into), tracestate: tracestate.map(Into::into) }
    }
}

/// W3C Trace Context §3.2.2. A later version may be longer; then it is dropped.
fn is_traceparent(text: &str) -> bool {
    let mut parts = text.split('-');
    let mut part = |len: usize, refused: char| {
        parts.next().is_some_and(|part| {
            part.len() == len
                && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
                && part.chars().any(|c| c != refused)
        })
    };
    // All of version `ff`, and a trace or parent of zeros, mean "none".
    part(2, 'f') && part(32, '0') && part(16, '0') && part(2, '\0') && parts.next().is_none()
}

fn is_tracestate(text: &str) -> bool {
    (1..=512).contains(&text.len()) && text.bytes().all(|b| matches!(b, b' '..=b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";

    #[test]
    fn well_formed_contexts_are_kept() {
        let context = TraceContext::read(Some(PARENT), Some("vendor=1,other=2"));
        assert_eq!(context.traceparent.as_deref(), Some(PARENT));
        assert_eq!(context.tracestate.as_deref(), Some("vendor=1,other=2"));
    }

    #[test]
    fn malformed_contexts_are_dropped() {
        for bad in [
            "",
            "00",
            &PARENT.to_uppercase(),
            &PARENT.replacen("00-", "ff-", 1),
            &format!("{PARENT}-x"),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7",
            "00-0af7651916cd43dd8448eb211c80319-00f067aa0ba902b7-011",
        ] {
            let context = TraceContext::read(Some(bad), Some("a=1"));
            assert_eq!(context, TraceContext::default(), "{bad}");
        }
        for bad in ["", "a=\n", "a=ü", &"x".repeat(513)] {
            assert_eq!(TraceContext::read(Some(PARENT), Some(bad)).tracestate, None, "{bad}");
        }
        assert_eq!(TraceContext::read(None, Some("a=1")), TraceContext::default());
    }
}
