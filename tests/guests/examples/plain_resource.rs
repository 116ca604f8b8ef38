//! A plain component that exports a resource, which no JSON can stand for.

#![allow(missing_docs, unreachable_pub, reason = "generated")]

wit_bindgen::generate!({
    inline: "
        package example:files;
        interface files {
            resource file { size: func() -> u64; }
            open: func(name: string) -> file;
        }
        world filing { export files; }
    ",
});

use exports::example::files::files::{File, Guest, GuestFile};

struct Files;

struct Empty;

impl Guest for Files {
    type File = Empty;

    fn open(_: String) -> File {
        File::new(Empty)
    }
}

impl GuestFile for Empty {
    fn size(&self) -> u64 {
        0
    }
}

export!(Files);
