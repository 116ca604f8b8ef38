//! Says something else each time it is asked for its tools, although clock and
//! random numbers stand still: it measures how fast it is.

use std::fmt::Write;

use guests::tool;
use wasip2::clocks::monotonic_clock::subscribe_duration;

guests::lists!(vec![tool(&format!("fickle{}", speed()))]);

/// How often it could look at a timer until the timer was done, several times: one
/// count could be the same twice.
fn speed() -> String {
    let mut counts = String::new();
    for _ in 0..4 {
        let timer = subscribe_duration(500_000);
        let looks = std::iter::repeat_with(|| timer.ready()).take_while(|ready| !ready).count();
        let _ = write!(counts, "_{looks}");
    }
    counts
}
