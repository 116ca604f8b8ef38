;; Needs a memory of 64-bit addresses, larger than any machine's.
(module (memory i64 0x1000000000000))
