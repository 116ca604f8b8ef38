//! A plain component with two functions of one name, in two interfaces.

#![allow(missing_docs, unreachable_pub, reason = "generated")]

wit_bindgen::generate!({
    inline: "
        package example:twins;
        interface first { find: func() -> u32; }
        interface second { find: func() -> u32; }
        world twins { export first; export second; }
    ",
});

struct Twins;

impl exports::example::twins::first::Guest for Twins {
    fn find() -> u32 {
        1
    }
}

impl exports::example::twins::second::Guest for Twins {
    fn find() -> u32 {
        2
    }
}

export!(Twins);
