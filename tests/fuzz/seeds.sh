#!/bin/sh
# Fills corpus/loader with what is valid: the guests of the tests, once `cargo test` has
# built them, the plugins' manifests and sidecars, and some schemas. The first byte of
# each input says what it is; see fuzz_targets/loader.rs.
set -eu
cd "$(dirname "$0")"
mkdir -p corpus/loader

seed() { # KIND FILE NAME
    { printf %s "$1"; cat "$2"; } >"corpus/loader/$3"
}

for file in ../../target/wasm32-wasip2/plugin/examples/*.wasm; do
    case $file in *-????????????????.wasm) continue ;; esac # the same, under another name
    [ "$(wc -c <"$file")" -ge 60000 ] || seed c "$file" "component-$(basename "$file" .wasm)"
done
for file in ../../plugins/*/plugin.toml; do
    name=$(basename "$(dirname "$file")")
    seed m "$file" "manifest-$name"
    seed e "$file" "embedded-$name"
done
for file in ../../plugins/*.toml; do
    seed s "$file" "sidecar-$(basename "$file" .toml)"
done
mkdir -p corpus/arguments
printf '0{"id":"a","limit":"5","tags":["x"],"node":{"next":{"next":null}},"size":"{\\"w\\":1}"}' >corpus/arguments/usual
printf '1{"type":"object","properties":{"a":{"anyOf":[{"type":"integer"},{"type":"null"}]}}}\n{"a":"1"}' >corpus/arguments/schema
cat >corpus/loader/schema-tree <<'END'
j{"type":"object","properties":{"children":{"type":"array","items":{"$ref":"#"}},"at":{"type":"string","pattern":"^[a-z]{1,8}$","format":"date"}},"required":["at"]}
{"at":"a","children":[{"at":"2026-01-01"}]}
END
cat >corpus/loader/schema-forms <<'END'
j{"type":"object","$defs":{"n":{"type":"integer","minimum":1,"multipleOf":2}},"anyOf":[{"required":["a"]},{"properties":{"b":{"$ref":"#/$defs/n"}}}],"additionalProperties":false,"patternProperties":{"^x-":{"const":null}}}
{"a":1,"b":2,"x-y":null}
END
printf 't\033]8;;http://x\033\\link\033]8;;\033\\ \302\233 r\303\251sum\303\251 {"a":[1,"\\u001b"]}' >corpus/loader/text
