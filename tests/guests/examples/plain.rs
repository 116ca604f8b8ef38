//! A plain component: functions of many types, in a world and in an interface, and no
//! SDK. What is well and what is not comes back as what was given.

#![allow(missing_docs, unreachable_pub, reason = "generated")]

wit_bindgen::generate!({
    inline: "
        package example:plain@1.0.0;

        interface shop {
            /// A thing that is sold.
            record item {
                /// What it is called.
                name: string,
                price-cents: u64,
                tags: list<string>,
                note: option<string>,
            }
            enum color { red, deep-blue }
            flags rights { read, write, share }
            variant size { small, custom(u16) }
            variant refusal {
                /// Nothing of it is left.
                sold-out,
                too-many(u32),
                other(string),
            }
            /// Gives an item back.
            same-item: func(item: item) -> item;
            same-color: func(color: color) -> color;
            same-rights: func(rights: rights) -> rights;
            same-size: func(size: size) -> size;
            buy: func(count: u32, why: option<string>) -> result<item, refusal>;
        }

        world plain {
            export shop;
            export add: func(a: s64, b: s64) -> s64;
            export half: func(of: f64) -> f64;
            export shout: func(text: string) -> string;
            export same-bytes: func(bytes: list<u8>) -> list<u8>;
            export pair: func(nested: option<option<u8>>, letter: char) -> tuple<option<option<u8>>, char>;
            export nothing: func();
            export many: func(count: u32) -> list<u8>;
            export fail: func(why: string) -> result<_, string>;
            export spin: func();
            export trap: func();
        }
    ",
});

use exports::example::plain::shop::{Color, Guest as Shop, Item, Refusal, Rights, Size};

struct Plain;

impl Shop for Plain {
    fn same_item(item: Item) -> Item {
        item
    }

    fn same_color(color: Color) -> Color {
        color
    }

    fn same_rights(rights: Rights) -> Rights {
        rights
    }

    fn same_size(size: Size) -> Size {
        size
    }

    fn buy(count: u32, why: Option<String>) -> Result<Item, Refusal> {
        match (count, why) {
            (0, _) => Err(Refusal::SoldOut),
            (2.., None) => Err(Refusal::TooMany(count)),
            (_, Some(why)) => Err(Refusal::Other(why)),
            (_, None) => Ok(Item {
                name: "bolt".to_owned(),
                price_cents: u64::MAX,
                tags: vec!["new".to_owned()],
                note: None,
            }),
        }
    }
}

impl Guest for Plain {
    fn add(a: i64, b: i64) -> i64 {
        a.wrapping_add(b)
    }

    fn half(of: f64) -> f64 {
        of / 2.0 - if of < 0.0 { f64::INFINITY } else { 0.0 }
    }

    fn shout(text: String) -> String {
        text.to_uppercase()
    }

    fn same_bytes(bytes: Vec<u8>) -> Vec<u8> {
        bytes
    }

    fn pair(nested: Option<Option<u8>>, letter: char) -> (Option<Option<u8>>, char) {
        (nested, letter)
    }

    fn nothing() {}

    fn many(count: u32) -> Vec<u8> {
        vec![7; count as usize]
    }

    fn fail(why: String) -> Result<(), String> {
        Err(why)
    }

    fn spin() {
        loop {
            std::hint::black_box(());
        }
    }

    fn trap() {
        unreachable!("as asked")
    }
}

export!(Plain);
