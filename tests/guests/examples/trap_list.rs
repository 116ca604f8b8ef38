//! Crashes when it is asked for its tools.

guests::lists!(panic!("no tools today"));
