;; Needs all that 32-bit wasm can address before it begins.
(module (memory 65536 65536))
